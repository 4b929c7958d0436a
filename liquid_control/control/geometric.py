"""Geometric tracking control on SE(3) with an integral, as thrust and body rates.

The backup controller of the supervisor and a baseline for policies: it sees the same observation.

Source: T. Lee, M. Leok, N. H. McClamroch, Geometric tracking control of a quadrotor UAV on SE(3),
CDC 2010, with the attitude loop reduced to a body-rate command (tilt before yaw).

    a = k_p e_p + k_v e_v + k_i ∫e_p dt + a_ref + g up        wanted specific force, body frame
    thrust = a_z,   rates = k_tilt · (angle) (z × a)/|z × a|,  yaw rate = k_yaw · heading error
"""

from __future__ import annotations

import numpy as np

from liquid_control.control.observation import OBSERVATION_LAYOUT
from liquid_control.parameters import BackupParameters
from liquid_control.structs import COMMAND_LAYOUT, GRAVITY

_POS, _VEL, _ACC, _UP, _HEADING = (
    OBSERVATION_LAYOUT[name] for name in ("pos_error", "vel_error", "acc_setpoint", "up", "heading")
)


class GeometricController:
    """One vehicle; `step` takes a whole `OBSERVATION_LAYOUT` vector."""

    observation_layout = OBSERVATION_LAYOUT
    command_layout = COMMAND_LAYOUT
    neurons = np.zeros(0)

    def __init__(self, gains: BackupParameters):
        self.gains = gains
        self.reset()

    def reset(self) -> None:
        """Forget the integral."""
        # m·s, in axes of the setpoint: heading, left, up. They stay put while the body turns.
        self._integral = np.zeros(3)

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(4,)`` (`COMMAND_LAYOUT`) for an observation ``(25,)``, ``dt`` in seconds."""
        gains = self.gains
        pos_error, up, heading = observation[_POS], observation[_UP], observation[_HEADING]
        setpoint_axes = np.array([heading, np.cross(up, heading), up])
        if gains.integral_gain > 0:
            limit = gains.max_integral / gains.integral_gain
            self._integral += setpoint_axes @ pos_error * dt
            self._integral *= min(1.0, limit / max(np.linalg.norm(self._integral), 1e-12))
        acc_body = (
            gains.position_gain * pos_error
            + gains.velocity_gain * observation[_VEL]
            + gains.integral_gain * (self._integral @ setpoint_axes)
            + observation[_ACC]
        )
        force_body = _limit_tilt(acc_body + GRAVITY * up, up, gains.max_tilt)
        x, y, z = force_body
        sideways = np.hypot(x, y)
        turn = gains.tilt_gain * np.arctan2(sideways, z) / max(sideways, 1e-9)
        yaw_rate = gains.yaw_gain * np.arctan2(heading[1], heading[0])
        # Yawing while far from level would turn about the wrong axis.
        return np.array([max(z, 0.0), -turn * y, turn * x, yaw_rate * max(up[2], 0.0)])


def _limit_tilt(force_body: np.ndarray, up: np.ndarray, max_tilt: float) -> np.ndarray:
    vertical = max(force_body @ up, 0.3 * GRAVITY)
    horizontal = force_body - (force_body @ up) * up
    limit = vertical * np.tan(max_tilt)
    return vertical * up + horizontal * min(1.0, limit / max(np.linalg.norm(horizontal), 1e-9))
