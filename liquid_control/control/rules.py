"""What the loop is told of a vehicle: its command, its limits, its sensors, and its backup.

The loop knows no vehicle. Each kind of vehicle builds its `Rules` (``vehicles/<kind>/rules.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Protocol

from liquid_control.control.gate import Estimate
from liquid_control.control.observation import Observer, Situation
from liquid_control.structs import CommandKind


class Backup(Protocol):
    """What flies when the policy can't: values of the rules' command, SI units."""

    def reset(self) -> None:
        """Forget all state, when it takes over."""

    def step(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Go on to the setpoint, ``dt`` s after the step before."""

    def halt(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Come to a safe end without a position: descend, or brake."""


@dataclass(frozen=True)
class Rules:
    """Everything that the loop holds a vehicle to.

    Attributes:
        command: the kind that the vehicle takes.
        low, high, slew: limits of each value of the command, and of its change in a second.
        needs: the oldest age in s of each sensor without which nobody steers: the stream stops.
        watches: the same of each sensor without which the backup halts.
        observer: the observation that the vehicle offers; a policy picks its slots by name.
        left_envelope: why the policy may not fly at this estimate; "" if it may.
        backup: what takes over from the policy.
    """

    command: CommandKind
    low: tuple[float, ...]
    high: tuple[float, ...]
    slew: tuple[float, ...]
    needs: Mapping[str, float]
    watches: Mapping[str, float]
    observer: Observer
    left_envelope: Callable[[Estimate], str]
    backup: Backup

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the sensors that the vehicle flies on."""
        return (*self.needs, *self.watches)

    def __post_init__(self):
        size, neutral = self.command.layout.size, self.command.neutral
        for name in ("low", "high", "slew"):
            if len(getattr(self, name)) != size:
                raise ValueError(
                    f"{name}: expected {size} values, one for each of {self.command.name}, got "
                    f"{len(getattr(self, name))}"
                )
            if not all(isinstance(v, Real) for v in getattr(self, name)):
                raise ValueError(f"{name}: expected numbers, got {getattr(self, name)}")
        for low, rest, high, slew in zip(self.low, neutral, self.high, self.slew, strict=True):
            if not low <= rest <= high:
                raise ValueError(f"expected low <= neutral <= high, got {low}, {rest}, {high}")
            if not slew > 0:
                raise ValueError(f"slew: expected more than 0, got {slew}")
        for sensor, age in {**self.needs, **self.watches}.items():
            if not (isinstance(age, Real) and age > 0):
                raise ValueError(f"oldest age of {sensor}: expected more than 0 s, got {age}")
        if not self.sensors:
            raise ValueError("needs and watches name no sensor; nobody can fly on none")
        self.observer.check(self.command)
