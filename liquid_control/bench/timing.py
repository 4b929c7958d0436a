"""Timing of calls on one core, for all benchmarks.

Processor time of this process, so that other programs on the machine count as little as they can;
with one thread on an idle machine it equals the wall clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Processor seconds per call."""
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def in_turns(functions: list[Callable[[], Any]], repeats: int, turns: int) -> np.ndarray:
    """Seconds per call, ``(turns, functions)``, all functions timed within each turn."""
    return np.array([[seconds(f, repeats) for f in functions] for _ in range(turns)])


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, as long as it lasts."""
    import torch  # here, since the simulator is timed without it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
