"""The rules of flying a quadrotor by body rates and thrust, and the backup that flies it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from liquid_control.control.gate import Estimate
from liquid_control.control.observation import Observer, Situation, observer_of
from liquid_control.control.rules import Backup, Rules
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.quadrotor.config import NAME, QuadrotorConfig
from liquid_control.vehicles.quadrotor.geometric import OBSERVER, GeometricController
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters

_POS, _VEL, _ACC, _UP = (
    OBSERVER.layout[name] for name in ("pos_error", "vel_error", "acc_setpoint", "up")
)


def observer(names: Iterable[str] | None = None) -> Observer:
    """Of a quadrotor: all slots, or the named ones in the given order.

    Raises:
        ValueError: for an unknown name.
    """
    whole = observer_of(NAME, RATES_THRUST)
    return whole if names is None else whole.select(names)


class GeometricBackup:
    """The geometric controller; without a position it levels and descends."""

    def __init__(self, gains: GeometricGains):
        self.controller = GeometricController(gains)

    def reset(self) -> None:
        """Forget integral and disturbance."""
        self.controller.reset()

    def step(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Fly to the setpoint."""
        return tuple(self.controller.step(OBSERVER(situation), dt).tolist())

    def halt(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Level, and let the vehicle down at ``descend_speed``."""
        observation = OBSERVER(situation)
        observation[_POS] = 0.0
        observation[_ACC] = 0.0
        speed = self.controller.gains.descend_speed
        observation[_VEL] = [
            -(speed * up) - v
            for up, v in zip(observation[_UP].tolist(), situation.vel_body, strict=True)
        ]
        return tuple(self.controller.step(observation, dt).tolist())


def too_fast(estimate: Estimate, max_ang_vel: float) -> str:
    """Why the policy may not fly at these body rates, ``max_ang_vel`` in rad/s; "" if it may."""
    ang_vel = math.hypot(*estimate.ang_vel_body)
    if ang_vel > max_ang_vel:
        return f"body rate {ang_vel:.1f} rad/s, limit {max_ang_vel:.1f}"
    return ""


def quadrotor_rules(
    vehicle: QuadrotorConfig, parameters: QuadrotorParameters, backup: Backup | None = None
) -> Rules:
    """The rules of a quadrotor; see `vehicles.kind.VehicleKind`."""
    if backup is None:
        backup = GeometricBackup(parameters.backup)
    backup.controller.gains = parameters.backup
    max_rate, slew = vehicle.autopilot.max_rate, parameters.output_gate
    envelope, gate = parameters.envelope, parameters.input_gate
    max_tilt, max_ang_vel = envelope.max_tilt, envelope.max_ang_vel
    least_cos = math.cos(max_tilt) if max_tilt < math.pi else -math.inf

    def left_envelope(estimate: Estimate) -> str:
        x, y, _, _ = estimate.quat_world_body
        cos_tilt = 1 - 2 * (x * x + y * y)
        if cos_tilt < least_cos:
            tilt = math.acos(min(max(cos_tilt, -1.0), 1.0))
            return f"tilt {tilt:.2f} rad, limit {max_tilt:.2f}"
        return too_fast(estimate, max_ang_vel)

    return Rules(
        command=RATES_THRUST,
        low=(0.0, *(-rate for rate in max_rate)),
        high=(vehicle.max_thrust, *max_rate),
        slew=(slew.max_thrust_slew, *[slew.max_rate_slew] * 3),
        needs={"imu": gate.max_imu_age},
        watches={"odometry": gate.max_odometry_age},
        observer=observer(),
        left_envelope=left_envelope,
        backup=backup,
    )
