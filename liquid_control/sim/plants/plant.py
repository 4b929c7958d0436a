"""What a world needs of a vehicle's body: it is told commands and wind, and moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.sim.faults import Fault
from liquid_control.sim.scenery.config import SceneObject
from liquid_control.structs import Command

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
# wind in m/s (world frame) at a time in s and a place in m; called once for each physics step
WindAt = Callable[[float, Vector], Vector]


@dataclass(frozen=True)
class Start:
    """Where a flight begins; plants change the height of one on the ground to that of theirs."""

    pos: np.ndarray  # (3,) m
    quat: np.ndarray  # (4,) xyzw
    vel: np.ndarray  # (3,) m/s
    on_ground: bool
    faults: tuple[Fault, ...] = ()  # of this flight, all numbers picked
    scene: tuple[SceneObject, ...] = ()  # what can be hit and seen, as the seed drew it


class Plant(Protocol):
    """One body; it owns the hot loop, so that a call a control period is all that generality costs.

    Everything that a world reads is plain floats, of the newest physics step; vectors are tuples,
    which no later step changes.

    Attributes:
        actuator_names: of `actuators`, with what they are.
        pose: position in m and quaternion xyzw, world frame.
        twist: velocity in m/s and angular velocity in rad/s, world frame.
        before: quaternion, velocity and body rates when the newest physics step began, for an IMU.
        rates_body: body rates, rad/s; the world sets them to those that its IMU computes.
        wind: in the newest physics step, m/s.
        actuators: state of each actuator, in the unit of its kind.
        rotors: speed of what turns and shakes the IMU, rad/s, at most four; () for nothing.
        failsafe: True while the vehicle's own autopilot steers, because no command comes.
        ground_height: m of the origin of the body over the ground that it stands on.
    """

    actuator_names: tuple[str, ...]
    pose: tuple[Vector, Quaternion]
    twist: tuple[Vector, Vector]
    before: tuple[Quaternion, Vector, Vector]
    rates_body: Vector
    wind: Vector
    actuators: Sequence[float]
    rotors: Sequence[float]
    failsafe: bool
    ground_height: float

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Begin a flight; ``rng`` picks what vehicles of one kind differ in."""

    def accept(self, command: Command | None) -> None:
        """The command of the control period to come; ``None`` if none came."""

    def update(self, time: float) -> None:
        """Called before each control period, ``time`` s after the start: faults, battery."""

    def advance(self, steps: int, wind: WindAt) -> None:
        """Move on by ``steps`` physics steps in this wind."""

    def touched(self) -> str:
        """What the body is in contact with: "obstacle", "ground" or "" for nothing."""

    def close(self) -> None:
        """Release what the body holds; a second time does nothing."""


_VECTORS = {  # what a plant gives, and the sizes of its vectors
    "pose": ("position", 3, "quaternion", 4),
    "twist": ("velocity", 3, "angular velocity", 3),
    "before": ("quaternion", 4, "velocity", 3, "body rates", 3),
}
_UNIT = 1e-3  # how far from 1 the length of a quaternion may be
_MAX_ROTORS = 4


def check_plant(plant: Plant) -> None:
    """Look once, after its start, at all that a plant gives; a world does so.

    Raises:
        ConfigError: that names the plant's class and what is wrong.
    """
    owner = type(plant).__name__
    for name in Plant.__annotations__:
        if not hasattr(plant, name):
            raise ConfigError(f"{owner}: has no {name} after its start")
    for name in ("start", "accept", "update", "advance", "touched", "close"):
        if not callable(getattr(plant, name, None)):
            raise ConfigError(f"{owner}: has no method {name}")
    for name, parts in _VECTORS.items():
        value = getattr(plant, name)
        if not isinstance(value, tuple) or len(value) != len(parts) // 2:
            raise ConfigError(
                f"{owner}: {name}: expected {' and '.join(parts[::2])}, got {value!r}"
            )
        for part, size, vector in zip(parts[::2], parts[1::2], value, strict=True):
            _check_numbers(f"{owner}: {part} in {name}", vector, size)
            length = math.hypot(*vector)
            if part == "quaternion" and abs(length - 1) > _UNIT:
                raise ConfigError(
                    f"{owner}: quaternion in {name}: expected length 1, got {length:g} of {vector}"
                )
    _check_numbers(f"{owner}: rates_body", plant.rates_body, 3)
    _check_numbers(f"{owner}: wind", plant.wind, 3)
    _check_numbers(f"{owner}: ground_height", (plant.ground_height,), 1)
    _check_numbers(f"{owner}: actuators", plant.actuators, len(plant.actuator_names))
    if len(plant.rotors) > _MAX_ROTORS:
        raise ConfigError(f"{owner}: rotors: expected {_MAX_ROTORS} at most, got {plant.rotors!r}")
    _check_numbers(f"{owner}: rotors", plant.rotors, len(plant.rotors))


def _check_numbers(what: str, values: Sequence[float], size: int) -> None:
    try:
        finite = len(values) == size and all(map(math.isfinite, values))
    except TypeError:
        finite = False
    if not (finite and isinstance(values, tuple)):  # a log keeps them as they are
        raise ConfigError(f"{what}: expected a tuple of {size} finite numbers, got {values!r}")
