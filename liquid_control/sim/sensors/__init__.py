"""Sensors of a world: the IMU, odometry and camera that fly the vehicle, and further ones by name.

Another kind of sensor is a `SensorConfig` with a ``kind``, registered in `SENSORS`; a world lists
it under ``sensors``.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from liquid_control.kinds import Kinds
from liquid_control.sim.named import Named
from liquid_control.structs import GRAVITY

SENSORS = Kinds("kind")
FOLDER = "sim_worlds/sensors"  # of sensors that are named


class Truth(NamedTuple):
    """What a sensor measures, as plain tuples."""

    pos: tuple[float, float, float]  # m, world
    quat: tuple[float, float, float, float]  # xyzw, body to world
    vel_world: tuple[float, float, float]  # m/s
    ang_vel_body: tuple[float, float, float]  # rad/s
    # of the newest physics step; by default at rest in still air
    specific_force_body: tuple[float, float, float] = (0.0, 0.0, GRAVITY)  # m/s², centre of mass
    wind_world: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m/s, at the vehicle
    scene: tuple[Any, ...] = ()  # what stands in the world, as the seed drew it


class Sensor(Protocol):
    """A further sensor of one flight."""

    def measure(self, stamp_ns: int, truth: Truth) -> Any | None:
        """The newest sample that has arrived at ``stamp_ns``, None before the first.

        Called once per control period, with rising stamps.
        """


class SensorConfig(Protocol):
    """What a kind of sensor must give."""

    def build(self, rng: np.random.Generator, control_rate: float) -> Sensor:
        """The sensor for a flight of ``control_rate`` Hz that draws its errors from ``rng``."""


AnySensor = Annotated[SensorConfig, SENSORS, Named(FOLDER)]
