"""The world's step kernel, compiled by numba where that is installed, else as plain Python."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from liquid_control import frames
from liquid_control.sim import kernel

_CALLEES = (
    frames.rotate_components,
    kernel.maximum,
    kernel.minimum,
    kernel.clip,
    kernel.motor_lag,
    kernel.air_velocity_body,
    kernel.body_drag,
    kernel.rotor_force,
    kernel.rotor_torque,
    kernel.rotor_speed_command,
    kernel._room,
    kernel._speed,
    kernel.unpack,
)
_compiled: list[Callable] = []


def kernel_kind() -> str:
    """How this installation runs the kernel: "numba" or "python"."""
    return "python" if importlib.util.find_spec("numba") is None else "numba"


def compile_kernel() -> Callable:
    """`kernel.vehicle_wrench` as fast as this installation can run it on floats."""
    if kernel_kind() == "python":
        return kernel.vehicle_wrench
    if not _compiled:
        from numba import njit
        from numba.extending import register_jitable

        for function in _CALLEES:
            register_jitable(function)
        _compiled.append(njit(cache=True)(kernel.vehicle_wrench))
    return _compiled[0]
