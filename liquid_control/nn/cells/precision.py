"""Cells under ``torch.autocast``: they compute in their own dtype all the same.

Half precision is not enough for a state that follows dt of some ms with time constants of seconds,
over thousands of steps. What comes in is cast to the dtype of the cell's parameters, as torch casts
what goes into a loss, so that a network around a cell may train in half precision.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def autocast_is_on(like: Tensor) -> bool:
    """Whether torch would compute in half precision here, on the device of ``like``."""
    return torch.is_autocast_enabled(like.device.type)


def in_full_precision(function: Callable, like: Tensor, *values: object, **options) -> object:
    """``function(*values, **options)`` without autocast; floating tensors in ``like``'s dtype."""
    with torch.autocast(like.device.type, enabled=False):
        return function(*(_full(value, like.dtype) for value in values), **options)


def _full(value: object, dtype: torch.dtype) -> object:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
