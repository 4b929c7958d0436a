"""What a world needs of a vehicle's body: it is told commands and wind, and moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

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


class Plant(Protocol):
    """One body; it owns the hot loop, so that a call a control period is all that generality costs.

    Everything that a world reads is plain floats, of the newest physics step.

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
