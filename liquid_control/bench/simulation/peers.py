"""Physics steps per second of other simulators of quadrotors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from liquid_control.bench.timing import seconds


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Also of C code, so below Python's own stream."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def measure_peers() -> dict[str, Any]:
    """Physics steps per second of other simulators of quadrotors, where installed."""
    result = {}
    if find_spec("rotorpy") is not None:
        from rotorpy.vehicles.hummingbird_params import quad_params
        from rotorpy.vehicles.multirotor import Multirotor

        vehicle = Multirotor(quad_params)
        state = dict(vehicle.initial_state, rotor_speeds=np.full(4, 469.0))
        control = {"cmd_motor_speeds": np.full(4, 469.0)}
        result["rotorpy_steps_per_s"] = 1 / seconds(
            lambda: vehicle.step(state, control, 0.002), 300
        )
    if find_spec("PyFlyt") is not None:
        from PyFlyt.core import Aviary

        with _stdout_to_stderr():  # Aviary prints, and --json promises one object
            aviary = Aviary(np.array([[0.0, 0.0, 9.0]]), np.zeros((1, 3)), drone_type="quadx")
        aviary.step()  # compiles
        steps = aviary.updates_per_step
        result["pyflyt_steps_per_s"] = steps / seconds(aviary.step, 300)
        aviary.disconnect()
    return result
