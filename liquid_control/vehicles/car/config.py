"""The description of a car: one YAML file, every number with its unit and source."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import model_validator

from liquid_control.config import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveTriple,
    ProperShare,
    StrictModel,
    quantity,
)
from liquid_control.vehicles.kind import VehicleConfig

NAME = "car"


class SteeringConfig(StrictModel):
    """Front wheels: first-order lag of their angle, within limits of angle and rate."""

    max_angle: Annotated[PositiveFloat, quantity("rad")]
    max_rate: Annotated[PositiveFloat, quantity("rad/s")]
    time_constant: Annotated[PositiveFloat, quantity("s")]


class DriveConfig(StrictModel):
    """Engine and brakes: first-order lag of the speed, within limits of the acceleration."""

    max_speed: Annotated[PositiveFloat, quantity("m/s")]
    time_constant: Annotated[PositiveFloat, quantity("s")]
    max_acceleration: Annotated[PositiveFloat, quantity("m/s^2")]
    max_braking: Annotated[PositiveFloat, quantity("m/s^2")]


class TolerancesConfig(StrictModel):
    """How far cars of one kind differ: half widths as a share of the nominal value."""

    understeer: Annotated[ProperShare, quantity("1")]
    time_constants: Annotated[ProperShare, quantity("1")]


class CarConfig(VehicleConfig):
    """A car with two axles, whose front wheels steer; body FLU, its origin above the rear axle.

    Single-track model: yaw rate v δ / (wheelbase + understeer · v²) in a steady bend (Rajamani,
    "Vehicle Dynamics and Control", 2nd edition, 2012, section 3.3), reached with a first-order lag.
    """

    kind: Literal["car"]
    wheelbase: Annotated[PositiveFloat, quantity("m")]
    understeer: Annotated[NonNegativeFloat, quantity("rad*s^2/m")]
    yaw_time_constant: Annotated[PositiveFloat, quantity("s")]
    max_lateral_acceleration: Annotated[PositiveFloat, quantity("m/s^2")]  # grip
    collision_size: Annotated[PositiveTriple, quantity("m")]
    steering: SteeringConfig
    drive: DriveConfig
    command_timeout: Annotated[PositiveFloat, quantity("s")]  # then it brakes by itself
    tolerances: TolerancesConfig

    @model_validator(mode="after")
    def _check(self):
        if self.steering.max_angle >= math.pi / 2:
            raise ValueError(
                f"steering.max_angle: expected less than 90 degrees, got "
                f"{math.degrees(self.steering.max_angle):.0f}"
            )
        return self

    @property
    def max_yaw_rate(self) -> float:
        """Largest yaw rate that may be commanded, rad/s: that of the tightest bend, or of the grip,
        at the speed where both meet."""
        curvature = math.tan(self.steering.max_angle) / self.wheelbase
        return math.sqrt(self.max_lateral_acceleration * curvature)
