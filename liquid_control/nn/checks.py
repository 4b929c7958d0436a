"""Checks of arguments: one error that names the value and what was expected."""

import math
from collections.abc import Collection
from numbers import Integral, Real

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


def shapes(**expected: tuple[Tensor, tuple[int, ...]]) -> None:
    """ValueError for the first tensor that has not its shape."""
    for name, (value, shape) in expected.items():
        if tuple(value.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, expected {shape}")
