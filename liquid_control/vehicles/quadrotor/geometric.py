"""Geometric tracking control on SE(3), as thrust and body rates.

The backup controller of the supervisor and a baseline for policies: it sees the same observation.

Source: T. Lee, M. Leok, N. H. McClamroch, Geometric tracking control of a quadrotor UAV on SE(3),
CDC 2010, with the attitude loop reduced to a body-rate command (tilt before yaw), an integral, and
an acceleration disturbance observer (E. Smeur, G. de Croon, Q. Chu, Cascaded incremental nonlinear
dynamic inversion for MAV disturbance rejection, Control Engineering Practice 2018, its outer loop).

    d̂ = low-pass(f − T ẑ)                                  what pushes besides the rotors
    a = k_p e_p + k_v e_v + k_i ∫e_p dt + a_ref + g up − d̂   wanted specific force, body frame
    thrust = a_z,   rates = k_tilt · (angle) (z × a)/|z × a|,  yaw rate = k_yaw · heading error
"""

from __future__ import annotations

import numpy as np

from liquid_control.control.observation import observer_of
from liquid_control.frames import Array, components, namespace, stack
from liquid_control.structs import GRAVITY, RATES_THRUST
from liquid_control.vehicles.quadrotor.config import NAME
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters

MEMORY = 6  # components of what the law remembers: integral and disturbance, 3 each, m/s²

# what the law reads
OBSERVER = observer_of(NAME, RATES_THRUST).select(
    (
        *("pos_error", "vel_error", "acc_setpoint", "up", "heading"),
        *("ang_vel", "specific_force", "previous_thrust", "previous_ang_vel"),
    )
)

_POS, _VEL, _ACC, _UP, _HEADING, _FORCE, _THRUST = (
    OBSERVER.layout[name]
    for name in (
        "pos_error",
        "vel_error",
        "acc_setpoint",
        "up",
        "heading",
        "specific_force",
        "previous_thrust",
    )
)


def geometric_law(
    observation: Array, memory: Array, gains: GeometricGains, dt: Array
) -> tuple[Array, Array]:
    """Command ``(4, *batch)`` (`RATES_THRUST`) and next memory ``(6, *batch)``.

    Args:
        observation: ``(25, *batch)``, of `OBSERVER`, NumPy or torch, or a list of floats.
        memory: zeros at the start; in axes of the setpoint (heading, left, up), which stay put
            while the body turns.
        gains: numbers or ``(*batch)`` arrays.
        dt: s.
    """
    xp = namespace(observation[0])
    up, heading = tuple(observation[_UP]), tuple(observation[_HEADING])
    axes = (heading, _cross(up, heading), up)
    pos_error, vel_error = tuple(observation[_POS]), tuple(observation[_VEL])

    integral = [
        i + gains.integral_gain * _dot(axis, pos_error) * dt
        for i, axis in zip(memory[:3], axes, strict=True)
    ]
    keep = gains.max_integral / _at_least(xp, _norm(integral), gains.max_integral)
    integral = [i * keep for i in integral]
    fx, fy, fz = observation[_FORCE]
    push = (fx, fy, fz - observation[_THRUST][0])
    share = 1 - xp.exp(-gains.observer_gain * dt)
    disturbance = [
        d + share * (_dot(axis, push) - d) for d, axis in zip(memory[3:], axes, strict=True)
    ]
    held = [i - d for i, d in zip(integral, disturbance, strict=True)]

    wanted = [
        gains.position_gain * e + gains.velocity_gain * v + a + _dot(held, along) + GRAVITY * u
        for e, v, a, u, along in zip(
            pos_error, vel_error, observation[_ACC], up, zip(*axes, strict=True), strict=True
        )
    ]
    x, y, z = _limit_tilt(xp, wanted, up, gains.max_tilt)
    sideways = (x * x + y * y + 1e-18) ** 0.5
    turn = gains.tilt_gain * xp.arctan2(sideways, z) / sideways
    # Yawing while far from level would turn about the wrong axis.
    yaw_rate = gains.yaw_gain * xp.arctan2(heading[1], heading[0]) * _at_least(xp, up[2], 0.0)
    command = stack(x, _at_least(xp, z, 0.0), -turn * y, turn * x, yaw_rate)
    return command, stack(x, *integral, *disturbance)


class GeometricController:
    """The law with its memory, for one vehicle."""

    observation_layout = OBSERVER.layout
    command_layout = RATES_THRUST.layout
    neurons = np.zeros(0)

    def __init__(self, gains: GeometricGains):
        self.gains = gains
        self.reset()

    def set_parameters(self, parameters: QuadrotorParameters) -> None:
        """Take the gains of new parameters; what the law remembers is kept."""
        self.gains = parameters.backup

    def reset(self) -> None:
        """Forget integral and disturbance."""
        self._memory = np.zeros(MEMORY)

    def warm_up(self) -> None:
        """Nothing to warm up: no caches, no compiled code."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(4,)`` for an observation ``(25,)``, ``dt`` in seconds."""
        command, self._memory = geometric_law(
            components(observation), components(self._memory), self.gains, dt
        )
        return command


def _limit_tilt(xp, force, up, max_tilt):
    """The force with its vertical part kept and its horizontal part cut at the largest tilt."""
    vertical = _dot(force, up)
    horizontal = [f - vertical * u for f, u in zip(force, up, strict=True)]
    lift = _at_least(xp, vertical, 0.3 * GRAVITY)
    limit = lift * namespace(max_tilt).tan(max_tilt)
    size = _norm(horizontal)
    cut = limit / _at_least(xp, size, limit)
    return [lift * u + h * cut for u, h in zip(up, horizontal, strict=True)]


def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a, b):
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _norm(a):
    return (_dot(a, a) + 1e-18) ** 0.5


def _at_least(xp, x, low):
    return x + xp.relu(low - x) if hasattr(xp, "relu") else xp.maximum(x, low)
