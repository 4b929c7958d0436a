"""A car on flat ground: single-track model with lags of steering, drive and yaw.

The equations are those of `vehicles.car.config`; PyBullet has no part in them. It holds the road by
its tyres, so the wind does not move it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from liquid_control.sim.plants.plant import Start, Vector, WindAt
from liquid_control.sim.scenario import WorldConfig
from liquid_control.structs import STEERING, Command
from liquid_control.vehicles.car.config import CarConfig

CREEP = 0.5  # m/s, below which a commanded yaw rate is turned into an angle as at this speed


class CarParams(NamedTuple):
    """What cars of one kind differ in."""

    understeer: float  # rad s²/m
    steering_lag: float  # s
    drive_lag: float  # s
    yaw_lag: float  # s


def draw_params(vehicle: CarConfig, rng: np.random.Generator, spread: float) -> CarParams:
    """A car within ``spread`` of the tolerances; 0 is the nominal one."""
    a, b = vehicle.tolerances.understeer, vehicle.tolerances.time_constants
    factors = 1 + spread * np.array([a, b, b, b]) * rng.uniform(-1, 1, 4)
    nominal = (
        vehicle.understeer,
        vehicle.steering.time_constant,
        vehicle.drive.time_constant,
        vehicle.yaw_time_constant,
    )
    return CarParams(*(np.array(nominal) * factors).tolist())


class CarPlant:
    """See the module, and `sim.plants.plant.Plant`."""

    actuator_names = ("steering rad", "speed m/s")
    rotors = ()

    def __init__(self, scenario: WorldConfig, vehicle: CarConfig):
        self.scenario, self.vehicle = scenario, vehicle
        self._dt = 1.0 / scenario.physics_rate
        self._timeout_steps = math.ceil(vehicle.command_timeout * scenario.control_rate)
        self.ground_height = 0.5 * vehicle.collision_size[2]

    def close(self) -> None:
        """Nothing is held that would have to be released."""

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Begin to drive; a car always stands on the ground, and starts at the given speed."""
        self._params = draw_params(self.vehicle, rng, self.scenario.vehicle_spread)
        x, y, z, w = start.quat.tolist()
        self._x, self._y = start.pos[:2].tolist()
        self._yaw = math.atan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))
        self._speed = self._steering = self._turn = 0.0
        self._command = STEERING.neutral
        self._steps_without_command = self._substep = 0
        self.wind: Vector = (0.0, 0.0, 0.0)
        self._publish()
        self.before = self.pose[1], self.twist[0], self.rates_body

    @property
    def failsafe(self) -> bool:
        """True while the car brakes by itself, because the command stream has stopped."""
        return self._steps_without_command > self._timeout_steps

    def accept(self, command: Command | None) -> None:
        """Take a command, or hold the last one for ``command_timeout``, then brake in its bend."""
        if command is not None:
            self._command, self._steps_without_command = command.values, 0
            return
        self._steps_without_command += 1

    def update(self, time: float) -> None:
        """No fault of a car is known."""

    def advance(self, steps: int, wind: WindAt) -> None:
        """``steps`` physics steps, in a wind that moves no car."""
        vehicle, params, dt = self.vehicle, self._params, self._dt
        drive, gear, grip = vehicle.drive, vehicle.steering, vehicle.max_lateral_acceleration
        wanted_speed, wanted_turn = self._command
        if self.failsafe:
            wanted_speed, wanted_turn = 0.0, None
        speed, steering, turn, yaw = self._speed, self._steering, self._turn, self._yaw
        for _ in range(steps):
            self.before = self.pose[1], self.twist[0], self.rates_body
            if wanted_turn is None:
                target = steering
            else:  # the car's own computer knows its nominal self
                v = max(speed, CREEP)
                target = wanted_turn * (vehicle.wheelbase + vehicle.understeer * v * v) / v
                target = min(max(target, -gear.max_angle), gear.max_angle)
            change = (target - steering) / params.steering_lag
            steering += dt * min(max(change, -gear.max_rate), gear.max_rate)
            pull = (wanted_speed - speed) / params.drive_lag
            speed += dt * min(max(pull, -drive.max_braking), drive.max_acceleration)
            speed = min(max(speed, 0.0), drive.max_speed)
            steady = speed * steering / (vehicle.wheelbase + params.understeer * speed * speed)
            most = grip / max(speed, CREEP)
            turn += dt / params.yaw_lag * (min(max(steady, -most), most) - turn)
            middle = yaw + 0.5 * dt * turn
            self._x += dt * speed * math.cos(middle)
            self._y += dt * speed * math.sin(middle)
            yaw += dt * turn
            self._speed, self._steering, self._turn, self._yaw = speed, steering, turn, yaw
            self._publish()
        self.wind = wind((self._substep + steps) * dt, self.pose[0])
        self._substep += steps

    def _publish(self) -> None:
        half = 0.5 * self._yaw
        self.pose = (
            (self._x, self._y, self.ground_height),
            (0.0, 0.0, math.sin(half), math.cos(half)),
        )
        cos, sin = math.cos(self._yaw), math.sin(self._yaw)
        self.twist = (self._speed * cos, self._speed * sin, 0.0), (0.0, 0.0, self._turn)
        self.rates_body = (0.0, 0.0, self._turn)
        self.actuators = (self._steering, self._speed)

    def touched(self) -> str:
        """A car on its road touches nothing; leaving the road is the arena's matter."""
        return ""
