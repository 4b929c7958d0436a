"""The world's kernels, compiled by numba where that is installed, else as plain Python."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from liquid_control import frames
from liquid_control.sim.sensors import imu
from liquid_control.sim.wind import formulas
from liquid_control.vehicles.quadrotor import physics

# what `physics.vehicle_wrench`, `imu.strapdown` and `formulas.turbulence_series` call
_CALLEES = (
    frames.rotate_components,
    physics.clip,
    physics.motor_lag,
    physics.air_velocity_body,
    physics.body_drag,
    physics.rotor_force,
    physics.rotor_torque,
    physics.moment,
    physics.sum_of_five,
    physics.wrench,
    physics.rotor_speed_command,
    physics._room,
    physics._speed,
    physics.unpack,
    imu.at_lever_arm,
    formulas.turbulence_step,
)
_compiled: dict[Callable, Callable] = {}


def kernel_kind() -> str:
    """How this installation runs the kernels: "numba" or "python"."""
    return "python" if importlib.util.find_spec("numba") is None else "numba"


def compile_kernel(function: Callable) -> Callable:
    """``function`` on floats as fast as this installation can run it."""
    if kernel_kind() == "python":
        return function
    if not _compiled:
        from numba.extending import overload, register_jitable

        # for floats alone: numba has no use for the arrays that the two serve besides
        overload(physics.maximum)(lambda a, b: lambda a, b: a if a > b else b)
        overload(physics.minimum)(lambda a, b: lambda a, b: a if a < b else b)
        for callee in _CALLEES:
            register_jitable(callee)
    if function not in _compiled:
        from numba import njit

        try:
            _compiled[function] = njit(cache=True)(function)
        except RuntimeError:  # no folder that can be written: compiled in every process
            _compiled[function] = njit(function)
    return _compiled[function]
