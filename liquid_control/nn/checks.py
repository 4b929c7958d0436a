"""Checks of arguments: one error that names the value and what was expected."""

import math
from collections.abc import Collection
from numbers import Integral, Real

import torch
from torch import Tensor


def above_zero(name: str, value: float) -> float:
    """``value`` if it is a finite number above 0."""
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{name} is {value!r}, expected a finite number above 0")
    return float(value)


def at_least_zero(name: str, value: float) -> float:
    """``value`` if it is a finite number of at least 0."""
    if not (isinstance(value, Real) and 0 <= value < math.inf):
        raise ValueError(f"{name} is {value!r}, expected a finite number of at least 0")
    return float(value)


def share(name: str, value: float) -> float:
    """``value`` if it is a number from 0 to below 1."""
    if not (isinstance(value, Real) and 0 <= value < 1):
        raise ValueError(f"{name} is {value!r}, expected a number from 0 to below 1")
    return float(value)


def whole(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """``value`` if it is a whole number in the range."""
    if not (isinstance(value, Integral) and least <= value and (most is None or value <= most)):
        allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {value!r}, expected a whole number {allowed}")
    return int(value)


def interval(name: str, value: tuple[float, float]) -> tuple[float, float]:
    """``value`` if it is a pair of positive numbers, the smaller first."""
    try:
        low, high = (above_zero(name, bound) for bound in value)
        if low <= high:
            return low, high
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name} is {value!r}, expected two finite numbers above 0, the smaller first")


def one_of(name: str, value: object, allowed: Collection) -> None:
    """ValueError unless ``value`` is among ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, expected one of {list(allowed)}")


def tensors(like: Tensor, **expected: tuple[object, tuple[int | str, ...]]) -> None:
    """ValueError for the first that is no tensor of its shape, or of another dtype or device.

    like: a parameter of the cell, whose dtype and device the others must have; float32 or float64.
    expected: by name the value and its shape. A size that is a string is free: it is the same
    wherever the string stands.
    """
    if like.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the cell's parameters are of {like.dtype}, expected torch.float32 or torch.float64; "
            "to train in half precision leave them so and use torch.autocast"
        )
    sizes: dict[str, int] = {}
    for name, (value, shape) in expected.items():
        if not hasattr(type(value), "__torch_function__"):  # nor what stands for one
            shown = repr(value) if value is None or isinstance(value, Real) else type(value)
            raise ValueError(
                f"{name} is {shown}, expected a tensor of shape {_shown(shape, sizes)}"
            )
        given = tuple(value.shape)
        if len(given) == len(shape):
            for free, size in zip(shape, given):
                if isinstance(free, str):
                    sizes.setdefault(free, size)
        if given != tuple([sizes.get(size, size) for size in shape]):
            raise ValueError(f"{name} has shape {given}, expected {_shown(shape, sizes)}")
        if value.dtype != like.dtype:
            expected_dtype = f"{like.dtype} as the cell's parameters"
            raise ValueError(f"{name} is of {value.dtype}, expected {expected_dtype}")
        if value.device != like.device:
            place = f"{like.device} as the cell's parameters"
            raise ValueError(f"{name} is on {value.device}, expected {place}")


def masks(like: Tensor, shape: tuple[int, ...], **given: Tensor | None) -> None:
    """ValueError for the first that is neither None nor a bool tensor of the shape, on the device
    of ``like``.
    """
    for name, mask in given.items():
        if mask is None:
            continue
        if not isinstance(mask, Tensor):
            raise ValueError(f"{name} is {type(mask)}, expected a bool tensor of shape {shape}")
        if tuple(mask.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(mask.shape)}, expected {shape}")
        if mask.dtype != torch.bool:
            raise ValueError(f"{name} is of {mask.dtype}, expected torch.bool")
        if mask.device != like.device:
            raise ValueError(f"{name} is on {mask.device}, expected {like.device}")


def _shown(shape: tuple[int | str, ...], sizes: dict[str, int]) -> str:
    return f"({', '.join(str(sizes.get(size, size)) for size in shape)})"
