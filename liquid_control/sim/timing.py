"""Timing of calls, for benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Seconds per call."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def in_turns(functions: list[Callable[[], Any]], repeats: int, turns: int) -> np.ndarray:
    """Seconds per call, ``(turns, functions)``, all functions timed within each turn."""
    return np.array([[seconds(f, repeats) for f in functions] for _ in range(turns)])
