"""The rules of driving a car by speed and yaw rate, and the backup that stops it."""

from __future__ import annotations

from liquid_control.control.gate import Estimate
from liquid_control.control.observation import Situation, observer_of
from liquid_control.control.rules import Backup, Rules
from liquid_control.structs import STEERING
from liquid_control.vehicles.car.config import NAME, CarConfig
from liquid_control.vehicles.car.parameters import CarParameters

STOPPED = 0.1  # m/s, below which a bend has no meaning


class BrakingBackup:
    """Brakes in the bend that was driven last, and holds; it needs no position and no image.

    Args:
        braking: m/s².
    """

    def __init__(self, braking: float):
        self.braking = braking

    def reset(self) -> None:
        """There is nothing that it would remember."""

    def step(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Brake: nobody else knows where the lane is."""
        return self.halt(situation, dt)

    def halt(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Brake as fast as the speed may change; the turn ends with the speed."""
        speed, turn = situation.previous_command
        slower = max(speed - self.braking * dt, 0.0)
        return slower, turn * slower / speed if speed > STOPPED else 0.0


def car_rules(vehicle: CarConfig, parameters: CarParameters, backup: Backup | None = None) -> Rules:
    """The rules of a car; see `vehicles.kind.VehicleKind`."""
    gate, output = parameters.input_gate, parameters.output_gate
    if backup is None:
        backup = BrakingBackup(output.max_acceleration)
    backup.braking = output.max_acceleration

    def left_envelope(estimate: Estimate) -> str:
        return ""

    turn = vehicle.max_yaw_rate
    return Rules(
        command=STEERING,
        low=(0.0, -turn),
        high=(vehicle.drive.max_speed, turn),
        slew=(output.max_acceleration, output.max_yaw_acceleration),
        needs={"imu": gate.max_imu_age},
        watches={"image": gate.max_image_age},
        observer=observer_of(NAME, STEERING),
        left_envelope=left_envelope,
        backup=backup,
    )
