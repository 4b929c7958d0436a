"""The description of a quadrotor: one YAML file, every number with its unit and source."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import model_validator

from liquid_control.config import (
    NonNegativeFloat,
    NonNegativeTriple,
    PositiveFloat,
    PositiveTriple,
    ProperShare,
    StrictModel,
    Triple,
    quantity,
)
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.kind import VehicleConfig

NAME = "quadrotor"


class MotorConfig(StrictModel):
    """Four equal rotors: thrust k_thrust Ω², reaction torque k_torque Ω², first-order lag."""

    thrust_coefficient: Annotated[PositiveFloat, quantity("N/(rad/s)^2")]
    torque_coefficient: Annotated[PositiveFloat, quantity("N*m/(rad/s)^2")]
    max_speed: Annotated[PositiveFloat, quantity("rad/s")]
    min_speed: Annotated[PositiveFloat, quantity("rad/s")]  # idle in flight
    time_constant_up: Annotated[PositiveFloat, quantity("s")]
    time_constant_down: Annotated[PositiveFloat, quantity("s")]
    rotor_inertia: Annotated[NonNegativeFloat, quantity("kg*m^2")]


class DragConfig(StrictModel):
    """Aerodynamics in the air velocity: v_a of the body, v_i of rotor i, both in the body frame.

    Body drag −(linear + quadratic |v_a|) v_a per axis; per rotor, drag −rotor Ω_i v_i, thrust from
    translational lift · (v_ix² + v_iy²), and the torque flapping Ω_i (v_a × z).
    """

    linear: Annotated[NonNegativeTriple, quantity("N/(m/s)")]
    quadratic: Annotated[NonNegativeTriple, quantity("N/(m/s)^2")]
    rotor: Annotated[NonNegativeTriple, quantity("N/(rad/s*m/s)")]
    translational_lift: Annotated[NonNegativeFloat, quantity("N/(m/s)^2")]
    flapping: Annotated[NonNegativeFloat, quantity("N*m/(rad/s*m/s)")]


class BatteryConfig(StrictModel):
    """A cell stack whose voltage falls with charge and load, and the rotors that drain it."""

    capacity: Annotated[PositiveFloat, quantity("C")]
    full_voltage: Annotated[PositiveFloat, quantity("V")]  # open circuit, fully charged
    empty_voltage: Annotated[PositiveFloat, quantity("V")]  # open circuit, no charge left
    resistance: Annotated[NonNegativeFloat, quantity("ohm")]
    rated_voltage: Annotated[PositiveFloat, quantity("V")]  # rotors reach the speed commanded
    power_coefficient: Annotated[PositiveFloat, quantity("W/(rad/s)^3")]  # electrical, per rotor


class TolerancesConfig(StrictModel):
    """How far vehicles of one kind differ: half widths as a share of the nominal value."""

    mass: Annotated[ProperShare, quantity("1")]
    inertia: Annotated[ProperShare, quantity("1")]
    thrust: Annotated[ProperShare, quantity("1")]  # per rotor
    drag: Annotated[ProperShare, quantity("1")]
    time_constant: Annotated[ProperShare, quantity("1")]


class VelocityLoopConfig(StrictModel):
    """Velocity loop of the autopilot, on an estimate of its own; see `velocity_loop`."""

    gain: Annotated[PositiveFloat, quantity("1/s")]  # velocity error to acceleration, horizontal
    climb_gain: Annotated[PositiveFloat, quantity("1/s")]  # the same, vertical
    integral_gain: Annotated[NonNegativeFloat, quantity("1/s^2")]  # horizontal
    climb_integral_gain: Annotated[NonNegativeFloat, quantity("1/s^2")]
    tilt_gain: Annotated[PositiveFloat, quantity("1/s")]  # tilt error to body rate
    yaw_integral_gain: Annotated[NonNegativeFloat, quantity("1/s")]  # of the yaw rate's error
    max_tilt: Annotated[PositiveFloat, quantity("rad")]
    max_speed: Annotated[PositiveFloat, quantity("m/s")]  # of each horizontal axis
    max_climb: Annotated[PositiveFloat, quantity("m/s")]
    max_yaw_rate: Annotated[PositiveFloat, quantity("rad/s")]
    error: Annotated[NonNegativeFloat, quantity("m/s")]  # 1 sigma of the estimate, each axis
    error_time: Annotated[PositiveFloat, quantity("s")]  # correlation of that error


class AutopilotConfig(StrictModel):
    """Inner loops of the autopilot and the limits of what may be commanded.

    ``velocity`` is there where it takes velocities, too.
    """

    rate_gain: Annotated[PositiveTriple, quantity("1/s")]
    max_rate: Annotated[PositiveTriple, quantity("rad/s")]
    command_timeout: Annotated[PositiveFloat, quantity("s")]
    velocity: VelocityLoopConfig | None = None


class QuadrotorConfig(VehicleConfig):
    """A rigid quadrotor, X configuration, body FLU.

    Rotor i sits at ``rotor_positions[i]``; ``rotor_directions[i]`` is +1 where it turns
    counter-clockwise seen from above (its reaction torque on the body is then −z).
    """

    kind: Literal["quadrotor"] = "quadrotor"
    mass: Annotated[PositiveFloat, quantity("kg")]
    inertia: Annotated[PositiveTriple, quantity("kg*m^2")]
    rotor_positions: Annotated[tuple[Triple, Triple, Triple, Triple], quantity("m")]
    rotor_directions: tuple[int, int, int, int]
    rotor_radius: Annotated[PositiveFloat, quantity("m")]
    ground_effect: Annotated[NonNegativeFloat, quantity("1")]
    collision_size: Annotated[PositiveTriple, quantity("m")]
    motor: MotorConfig
    drag: DragConfig
    autopilot: AutopilotConfig
    battery: BatteryConfig
    tolerances: TolerancesConfig

    @model_validator(mode="after")
    def _check(self):
        if sorted(self.rotor_directions) != [-1, -1, 1, 1]:
            raise ValueError("rotor_directions must hold two of +1 and two of -1")
        if self.max_thrust <= GRAVITY:
            raise ValueError(
                f"thrust to weight must exceed 1, got {self.max_thrust / GRAVITY:.2f} from mass, "
                "motor.thrust_coefficient and motor.max_speed"
            )
        return self

    @property
    def max_thrust(self) -> float:
        """Largest collective thrust / mass, m/s²."""
        return 4 * self.motor.thrust_coefficient * self.motor.max_speed**2 / self.mass

    @property
    def hover_speed(self) -> float:
        """Rotor speed that carries the weight, rad/s."""
        return float(np.sqrt(self.mass * GRAVITY / (4 * self.motor.thrust_coefficient)))
