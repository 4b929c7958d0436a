"""A quadrotor that is told velocities, which its autopilot follows on an estimate of its own.

The kind of command of navigation by camera: the policy sees pictures and the IMU, and steers; it
needs no odometry. Autopilots take it as an offboard velocity setpoint.
"""

from __future__ import annotations

from liquid_control.control.gate import Estimate
from liquid_control.control.observation import Situation, observer_of
from liquid_control.control.rules import Backup, Rules
from liquid_control.structs import VELOCITY
from liquid_control.vehicles.quadrotor.config import NAME, QuadrotorConfig
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters
from liquid_control.vehicles.quadrotor.rules import too_fast


class HoldingBackup:
    """Brakes, and holds the place as well as the autopilot does; it needs no image."""

    def reset(self) -> None:
        """There is nothing that it would remember."""

    def step(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Hold: nobody else knows the way."""
        return VELOCITY.neutral

    def halt(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Brake as fast as the velocity may change, and hold."""
        return VELOCITY.neutral


def velocity_rules(
    vehicle: QuadrotorConfig, parameters: QuadrotorParameters, backup: Backup | None = None
) -> Rules:
    """The rules of a quadrotor that is told velocities; see `vehicles.kind.VehicleKind`.

    Raises:
        ValueError: for a vehicle whose autopilot takes none.
    """
    loop = vehicle.autopilot.velocity
    if loop is None:
        raise ValueError(
            f"autopilot.velocity: expected the velocity loop that takes the command "
            f"{VELOCITY.name}, got none"
        )
    gate, output = parameters.input_gate, parameters.output_gate
    max_ang_vel = parameters.envelope.max_ang_vel

    def left_envelope(estimate: Estimate) -> str:
        return too_fast(estimate, max_ang_vel)

    high = (loop.max_speed, loop.max_speed, loop.max_climb, loop.max_yaw_rate)
    return Rules(
        command=VELOCITY,
        low=tuple(-limit for limit in high),
        high=high,
        slew=(*[output.max_acceleration] * 3, output.max_yaw_acceleration),
        needs={"imu": gate.max_imu_age},
        watches={"image": gate.max_image_age},
        observer=observer_of(NAME, VELOCITY),
        left_envelope=left_envelope,
        backup=HoldingBackup() if backup is None else backup,
    )
