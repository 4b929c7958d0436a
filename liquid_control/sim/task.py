"""What a world asks for: segments in a row, each a smooth path with feed-forward.

Every segment starts and ends at rest, and position, velocity and acceleration are continuous from
one to the next, but for `steps`, whose setpoint jumps. Rest-to-rest moves are the minimum-jerk
polynomial (Flash and Hogan, 1985). Another kind of segment is a class like these, registered in
`SEGMENTS`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from liquid_control.config import StrictModel
from liquid_control.kinds import Kinds
from liquid_control.sim.quantities import Height, Length, Position, Span, Strength, Time, key
from liquid_control.sim.scenery.grove import target_of
from liquid_control.sim.scenery.road import road_of
from liquid_control.structs import Setpoint

Oscillations = Annotated[int, Field(ge=-100, le=100)]
Path = tuple[np.ndarray, np.ndarray, np.ndarray]  # pos, vel, acc
_STILL = np.zeros(3)
_STILL.setflags(write=False)
SEGMENTS = Kinds("kind")


class Segment(Protocol):
    """What a kind of segment must give; positions are ``(3,)`` in m, world."""

    @property
    def duration(self) -> float:
        """How long it lasts, s."""

    def end(self, start: np.ndarray) -> np.ndarray:
        """Where it ends if it begins at ``start``, at rest."""

    def path(self, start: np.ndarray, time: float) -> Path:
        """Position, velocity and acceleration ``time`` s after it began; beyond its end too."""


SegmentConfig = Annotated[Segment, SEGMENTS]


def _minimum_jerk(x: float) -> tuple[float, float, float]:
    """The unit rest-to-rest move at ``x`` in [0, 1], with its two derivatives."""
    x = min(max(x, 0.0), 1.0)
    return (
        x**3 * (10 - 15 * x + 6 * x * x),
        30 * (x * (1 - x)) ** 2,
        60 * x * (1 - x) * (1 - 2 * x),
    )


def _move(start: np.ndarray, end: np.ndarray, time: float, duration: float) -> Path:
    s, ds, dds = _minimum_jerk(time / duration)
    step = end - start
    return start + s * step, ds / duration * step, dds / duration**2 * step


class _Resting(StrictModel):
    """Of a segment that has no path of its own."""

    def end(self, start: np.ndarray) -> np.ndarray:
        return start

    def path(self, start: np.ndarray, time: float) -> Path:
        return start, _STILL, _STILL


@SEGMENTS.register
class HoverSegment(_Resting):
    """Stay where the segment before ended."""

    kind: Literal["hover"]
    duration: Span = key("how long", "s")


@SEGMENTS.register
class TakeoffSegment(StrictModel):
    """Straight up by ``height``."""

    kind: Literal["takeoff"]
    height: Length = key("how far up", "m")
    duration: Span = key("of the climb", "s")

    def end(self, start: np.ndarray) -> np.ndarray:
        return start + np.array([0.0, 0.0, self.height])

    def path(self, start: np.ndarray, time: float) -> Path:
        return _move(start, self.end(start), time, self.duration)


@SEGMENTS.register
class LissajousSegment(StrictModel):
    """``start + amplitude · sin(frequency · φ)`` per axis, ``loops`` times.

    The phase φ runs up and down smoothly over ``ramp`` s, so the figure starts and ends at rest.
    ``frequency: [1, 2, 0]`` is a figure-8.
    """

    kind: Literal["lissajous"]
    amplitude: tuple[Height, Height, Height] = key("half size along the world's axes", "m")
    frequency: tuple[Oscillations, Oscillations, Oscillations] = key("oscillations in a loop")
    period: Span = key("of a loop at full speed", "s")
    loops: int = key("how often", default=1, gt=0, le=10_000)
    ramp: Span = key("time to full speed, and from it to rest", "s", default=1.0)

    @property
    def duration(self) -> float:
        return self.loops * self.period + self.ramp

    def end(self, start: np.ndarray) -> np.ndarray:
        return start

    def path(self, start: np.ndarray, time: float) -> Path:
        rate = 2 * math.pi / self.period
        phase, speed, acc = (rate * value for value in self._ramp(time))
        amplitude, n = np.array(self.amplitude), np.array(self.frequency)
        sine, cosine = np.sin(n * phase), np.cos(n * phase)
        return (
            start + amplitude * sine,
            amplitude * n * cosine * speed,
            amplitude * n * (cosine * acc - n * sine * speed**2),
        )

    def _ramp(self, time: float) -> tuple[float, float, float]:
        """Time at full speed, its rate (0 to 1 and back to 0) and the rate's derivative."""
        time = min(max(time, 0.0), self.duration)
        if time > self.duration - self.ramp:
            value, rate, change = self._ramp(self.duration - time)
            return self.loops * self.period - value, rate, -change
        if time >= self.ramp:
            return time - 0.5 * self.ramp, 1.0, 0.0
        x = time / self.ramp
        rate, change, _ = _minimum_jerk(x)
        integral = x**4 * (2.5 - 3 * x + x * x)
        return integral * self.ramp, rate, change / self.ramp


@SEGMENTS.register
class WaypointsSegment(StrictModel):
    """Straight moves from point to point, stopping at each."""

    kind: Literal["waypoints"]
    points: tuple[Position, ...] = key("where to stop, world", "m", min_length=1)
    leg_duration: Span = key("from point to point", "s")
    pause: Time = key("at each point", "s", default=0.0)

    @property
    def duration(self) -> float:
        return len(self.points) * (self.leg_duration + self.pause)

    def end(self, start: np.ndarray) -> np.ndarray:
        return np.array(self.points[-1])

    def path(self, start: np.ndarray, time: float) -> Path:
        leg_time = self.leg_duration + self.pause
        leg = min(max(int(time / leg_time), 0), len(self.points) - 1)
        before = start if leg == 0 else np.array(self.points[leg - 1])
        return _move(before, np.array(self.points[leg]), time - leg * leg_time, self.leg_duration)


@SEGMENTS.register
class StepsSegment(StrictModel):
    """Jumps from point to point, without a path and without feed-forward."""

    kind: Literal["steps"]
    points: tuple[Position, ...] = key("where to jump to, world", "m", min_length=1)
    pause: Span = key("at each point", "s")

    @property
    def duration(self) -> float:
        return len(self.points) * self.pause

    def end(self, start: np.ndarray) -> np.ndarray:
        return np.array(self.points[-1])

    def path(self, start: np.ndarray, time: float) -> Path:
        leg = min(max(int(time / self.pause), 0), len(self.points) - 1)
        return np.array(self.points[leg]), _STILL, _STILL


@SEGMENTS.register
class DriveSegment(_Resting):
    """Along the lane of the world's road: the setpoint is the nearest place in its middle, so that
    the position error is the deviation from the lane."""

    kind: Literal["drive"]
    speed: Strength = key("along the lane", "m/s")
    duration: Span = key("how long", "s")
    stands_on: ClassVar[tuple[str, ...]] = ("road",)

    def guide(self, scene: Sequence[Any], pos: Sequence[float], time: float) -> Setpoint:
        """The nearest place in the middle of the lane, from ``pos`` (3,) m, world."""
        road = road_of(scene)
        place = road.locate(pos[0], pos[1])
        x, y = road.point(place.s)
        cos, sin, speed = math.cos(place.heading), math.sin(place.heading), self.speed
        turn = place.curvature * speed * speed
        return Setpoint(
            np.array([x, y, pos[2]]),
            np.array([speed * cos, speed * sin, 0.0]),
            np.array([-turn * sin, turn * cos, 0.0]),
            place.heading,
        )


@SEGMENTS.register
class ApproachSegment(_Resting):
    """To the target of the world's grove, and stay there: the setpoint is ``stand_off`` m before it
    on the line from the vehicle, at its height, facing it; it goes along with one that moves."""

    kind: Literal["approach"]
    stand_off: Length = key("horizontal distance of the target", "m", default=1.5)
    duration: Span = key("how long", "s")
    stands_on: ClassVar[tuple[str, ...]] = ("grove", "course")

    def guide(self, scene: Sequence[Any], pos: Sequence[float], time: float) -> Setpoint:
        """The place before the target, from ``pos`` (3,) m, world, ``time`` s after the start."""
        target = target_of(scene)
        x, y, z = target.at(time)
        yaw = math.atan2(y - pos[1], x - pos[0])
        back = self.stand_off
        return Setpoint(
            np.array([x - back * math.cos(yaw), y - back * math.sin(yaw), z]),
            np.array(target.velocity(time)),
            np.zeros(3),
            yaw,
        )


class Task:
    """Segments laid end to end from a start position; holds the last position afterwards.

    A segment with a method ``guide`` says by it where the vehicle should be, given where it is.
    """

    def __init__(
        self,
        segments: tuple[Segment, ...],
        start: np.ndarray,
        yaw: float,
        scene: Sequence[Any] = (),
    ):
        self._yaw, self._scene = yaw, scene
        self._begins, self._pieces = [], []
        begin = 0.0
        for segment in segments:
            self._begins.append(begin)
            self._pieces.append((start, segment))
            begin += segment.duration
            start = segment.end(start)
        self.duration = begin

    def setpoint(self, time: float, pos: Sequence[float] | None = None) -> Setpoint:
        """Where the vehicle, which is at ``pos``, should be ``time`` s after the start."""
        k = max(bisect_right(self._begins, time) - 1, 0)
        start, segment = self._pieces[k]
        guide = getattr(segment, "guide", None)
        if guide is not None:
            return guide(self._scene, pos, time)
        pos, vel, acc = segment.path(start, time - self._begins[k])
        return Setpoint(pos, vel, acc, self._yaw)
