"""Whether the compiled CPU kernels serve a call, and what they need in their layout.

The kernels need numba, and tensors of one floating type on the CPU. Everywhere else (GPU, no numba,
torch.compile, function transforms) the cells run in plain torch and compute the same.
"""

import importlib.util
import math
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad


@cache
def _numba_is_installed() -> bool:
    return importlib.util.find_spec("numba") is not None


def in_transform() -> bool:
    """Whether a function transform of torch (vmap, forward-mode derivatives) is under way."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def compiled_for(*tensors: Tensor) -> bool:
    """Whether a kernel can take these tensors."""
    dtype = tensors[0].dtype
    return (
        _numba_is_installed()
        and dtype in (torch.float32, torch.float64)
        and all(tensor.dtype == dtype and tensor.device.type == "cpu" for tensor in tensors)
        and not torch.compiler.is_compiling()
        and not in_transform()
    )


def kept_steps(steps: int, *tensors: Tensor) -> int:
    """Of how many steps a kernel keeps what it computed: all for a backward pass, else two."""
    backward = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return steps if backward else min(steps, 2)


def refuse_second_derivatives() -> None:
    """For the backward pass of a kernel, which autograd can't look into."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a compiled kernel has no second derivatives; call run_sequence(..., compiled=False)"
        )


LANES = 32  # samples that a kernel computes together
LONGEST = 1e30  # nominal_dt; of LTC's substeps: a longer one, infinity too, counts as this


class Scratch:
    """A large array for one call, handed to a later call once autograd has let go of this one.

    Memory fresh from the system costs a page fault every 4 KiB, which is more than the arithmetic
    on it. It begins at a cache line, so that a vector doesn't straddle two.

    Any thread may take and give back at any time, the garbage collector too while another call is
    at it. So there is nothing to look through and no lock to wait for: each size (four an octave)
    has a list of its own, from which one call of ``pop`` takes an array whole.
    """

    _free: ClassVar[dict[int, list[np.ndarray]]] = {}
    _kept = 2**28  # bytes
    _line = 64

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        size = math.prod(shape) * dtype.itemsize
        step = max(2 ** (size.bit_length() - 3), self._line)
        self._size = (size // step + 1) * step
        try:
            self._bytes = self._free[self._size].pop()
        except (KeyError, IndexError):
            whole = np.empty(self._size + self._line, np.uint8)
            first = -whole.ctypes.data % self._line
            self._bytes = whole[first : first + self._size]
        self.array = np.ndarray(shape, dtype, self._bytes)

    def __del__(self) -> None:
        free = list(self._free.items())  # none is ever removed
        total = self._size
        for size, arrays in free:
            total += size * len(arrays)
        if total > self._kept:
            for _, arrays in free:
                arrays.clear()
        if self._size <= self._kept:
            self._free.setdefault(self._size, []).append(self._bytes)


def blocks_of(batch: int) -> int:
    """How many blocks of LANES samples a batch fills."""
    return -(-batch // LANES)


def masks_TB(observed_BT: Tensor | None, reset_BT: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """(T, whole blocks) bool arrays: samples that are missing, beginnings of a sequence; empty if
    there are none. Lanes without a sample repeat the last one, as in the loops.
    """
    missing = None if observed_BT is None else ~observed_BT
    return tuple(_mask_TB(mask) for mask in (missing, reset_BT))


def _mask_TB(mask_BT: Tensor | None) -> np.ndarray:
    if mask_BT is None:
        return np.empty((0, 0), bool)
    batch, steps = mask_BT.shape
    mask_TB = np.empty((steps, blocks_of(batch) * LANES), bool)
    mask_TB[:, :batch] = mask_BT.numpy().T
    mask_TB[:, batch:] = mask_TB[:, batch - 1 : batch]
    return mask_TB
