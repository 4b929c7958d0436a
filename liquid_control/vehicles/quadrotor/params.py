"""What the physics and the autopilot need to know of a vehicle, as flat tuples of numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig

Array = Any  # float, numpy.ndarray or torch.Tensor
Triple = tuple[Array, Array, Array]
Quad = tuple[Array, Array, Array, Array]


class QuadrotorParams(NamedTuple):
    """What the physics needs to know of a quadrotor.

    A field is a float or an array ``(*batch)``; a field of several components is a tuple of those
    or an array ``(3, *batch)``, ``(4, *batch)``. Anything that broadcasts over the batch will do.
    """

    mass: Array  # kg
    inertia: Triple  # kg m², principal, body axes
    rotor_pos_body: tuple[Quad, Quad, Quad]  # m, rows x, y, z from the centre of mass
    rotor_direction: Quad  # +1 counter-clockwise seen from above
    thrust_coefficient: Array  # N/(rad/s)²
    torque_coefficient: Array  # N m/(rad/s)²
    rotor_inertia: Array  # kg m², rotor and bell about the shaft
    max_speed: Array  # rad/s
    time_constant_up: Array  # s
    time_constant_down: Array  # s
    efficiency: Quad  # of thrust and torque per rotor, 1 is healthy
    supply: Array  # speed reached over speed commanded; falls as the battery sags
    drag_linear: Triple  # N/(m/s)
    drag_quadratic: Triple  # N/(m/s)²
    drag_rotor: Triple  # N/(rad/s m/s)
    translational_lift: Array  # N/(m/s)², per rotor
    flapping: Array  # N m/(rad/s m/s)
    ground_effect: Array  # coefficient c, 0 is none
    rotor_radius: Array  # m

    @classmethod
    def from_vehicle(cls, vehicle: QuadrotorConfig) -> QuadrotorParams:
        """Nominal parameters as plain floats; replace fields by arrays to randomise a batch."""
        motor, drag = vehicle.motor, vehicle.drag
        return cls(
            mass=vehicle.mass,
            inertia=vehicle.inertia,
            rotor_pos_body=tuple(zip(*vehicle.rotor_positions, strict=True)),
            rotor_direction=tuple(float(d) for d in vehicle.rotor_directions),
            thrust_coefficient=motor.thrust_coefficient,
            torque_coefficient=motor.torque_coefficient,
            rotor_inertia=motor.rotor_inertia,
            max_speed=motor.max_speed,
            time_constant_up=motor.time_constant_up,
            time_constant_down=motor.time_constant_down,
            efficiency=(1.0, 1.0, 1.0, 1.0),
            supply=1.0,
            drag_linear=drag.linear,
            drag_quadratic=drag.quadratic,
            drag_rotor=drag.rotor,
            translational_lift=drag.translational_lift,
            flapping=drag.flapping,
            ground_effect=vehicle.ground_effect,
            rotor_radius=vehicle.rotor_radius,
        )


class RateLoopParams(NamedTuple):
    """What the autopilot knows: nominal values, never the true ones of the flight."""

    mass: Array  # kg, nominal
    inertia: Triple  # kg m², nominal
    rate_gain: Triple  # 1/s
    max_rate: Triple  # rad/s
    mixer: tuple[Triple, Triple, Triple, Triple]  # row i: thrust of rotor i from (τx, τy, τz)
    thrust_coefficient: Array  # N/(rad/s)², nominal
    min_thrust: Array  # N per rotor
    max_thrust: Array  # N per rotor

    @classmethod
    def from_vehicle(cls, vehicle: QuadrotorConfig) -> RateLoopParams:
        """Nominal rate loop and mixer of a vehicle.

        Raises `ConfigError` for a rotor layout with which roll, pitch and yaw can't be mixed at
        equal thrust of all rotors.
        """
        motor = vehicle.motor
        x, y, _ = np.transpose(vehicle.rotor_positions)
        yaw = (
            -np.array(vehicle.rotor_directions)
            * motor.torque_coefficient
            / motor.thrust_coefficient
        )
        allocation = np.stack([np.ones(4), y, -x, yaw])  # rotor thrusts to (T, τx, τy, τz)
        if np.linalg.cond(allocation / np.abs(allocation).max(axis=1, keepdims=True)) > 1e3:
            raise ConfigError(
                f"{vehicle.name}: rotor_positions and rotor_directions leave an axis free"
            )
        mixer = np.linalg.inv(allocation)
        if not np.allclose(mixer[:, 0], 0.25):
            raise ConfigError(
                f"{vehicle.name}: rotor_positions and rotor_directions must balance at equal "
                f"thrust, got shares {mixer[:, 0].round(3).tolist()}"
            )
        return cls(
            mass=vehicle.mass,
            inertia=vehicle.inertia,
            rate_gain=vehicle.autopilot.rate_gain,
            max_rate=vehicle.autopilot.max_rate,
            mixer=tuple(tuple(float(m) for m in row) for row in mixer[:, 1:]),
            thrust_coefficient=motor.thrust_coefficient,
            min_thrust=motor.thrust_coefficient * motor.min_speed**2,
            max_thrust=motor.thrust_coefficient * motor.max_speed**2,
        )
