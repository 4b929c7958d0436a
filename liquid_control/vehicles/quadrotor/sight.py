"""A pilot that is told what stands before the vehicle: teacher of the policies that see it.

All that it is told lies within the view of a camera that looks ahead: the target unless something
is before it, and how near the columns (trees, posts) are in a fan of directions. It keeps in mind
where the target was, by its own commands, and turns on the spot until it has seen it. Vectors are
in the heading frame: level, x ahead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from liquid_control.control.observation import Situation, observer_of, register_slot
from liquid_control.structs import TRUTH, VELOCITY, Slot, TruthSample
from liquid_control.vehicles.quadrotor.config import NAME
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters

HALF_WIDTH, HALF_HEIGHT = math.radians(43), math.radians(32)  # of what is told, within the picture
FAN = tuple(math.radians(angle) for angle in range(-42, 43, 6))  # directions, to the left positive
REACH = 8.0  # m, how far columns are told
NEAREST = 0.3  # m, nearer counts as this
BELOW = 0.3  # m under the vehicle, to where a column is in the way
HIDDEN_SHARE = 0.5  # of the target's radius by which a column must cover its middle to hide it
_FAN = np.array(FAN)
Place = tuple[float, float, float]  # m ahead, to the left and up


def heading_of(quat_world_body: Any) -> float:
    """Where the nose points, rad from East counter-clockwise, of an attitude xyzw."""
    x, y, z, w = quat_world_body
    return math.atan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))


class _Surroundings:
    """Target and columns of a scene, taken out of it once."""

    def __init__(self, scene: Any):
        self.scene = scene
        self.target = next((item for item in scene if hasattr(item, "is_target")), None)
        columns = [item.column for item in scene if hasattr(item, "column")]
        self.x, self.y, self.radius, self.top = np.array(columns, float).reshape(-1, 4).T

    @classmethod
    def of(cls, scene: Any) -> _Surroundings:
        """Those of a scene; a flight asks for the same one at every step."""
        if _newest[0].scene is not scene:
            _newest[0] = cls(scene)
        return _newest[0]


_newest = [_Surroundings(())]


def in_view(truth: TruthSample, dx: float, dy: float, dz: float) -> Place | None:
    """What is ``(dx, dy, dz)`` m from the vehicle, world, as m ahead, to the left and up; None if
    the camera does not look there."""
    heading = heading_of(truth.quat_world_body)
    cos, sin = math.cos(heading), math.sin(heading)
    ahead, left, away = cos * dx + sin * dy, cos * dy - sin * dx, math.hypot(dx, dy)
    if abs(math.atan2(left, ahead)) > HALF_WIDTH or abs(math.atan2(dz, away)) > HALF_HEIGHT:
        return None
    return ahead, left, dz


def target_seen(truth: TruthSample) -> Place | None:
    """Where the target is, m ahead, to the left and up; None if it is out of view, hidden or not
    there."""
    around, time = _Surroundings.of(truth.scene), truth.stamp / 1e9
    target = around.target
    if target is None or not target.is_shown(time):
        return None
    px, py, pz = truth.pos_world
    dx, dy, dz = (a - b for a, b in zip(target.at(time), truth.pos_world, strict=True))
    seen = in_view(truth, dx, dy, dz)
    if seen is None:
        return None
    away = math.hypot(dx, dy)
    cx, cy = around.x - px, around.y - py
    share = (cx * dx + cy * dy) / away**2  # of the line of sight, up to beside each column
    beside = np.abs(cx * dy - cy * dx) / away
    covers = beside < around.radius - HIDDEN_SHARE * target.radius * share
    if (covers & (share > 0) & (share < 1) & (pz + dz * share < around.top)).any():
        return None
    return seen


def clearance(truth: TruthSample) -> tuple[float, ...]:
    """How near the nearest column is in each direction of `FAN`, 1/m; 0 for none within `REACH`."""
    around = _Surroundings.of(truth.scene)
    px, py, pz = truth.pos_world
    dx, dy = around.x - px, around.y - py
    near = (np.hypot(dx, dy) - around.radius < REACH) & (around.top > pz - BELOW)
    if not near.any():
        return (0.0,) * len(FAN)
    dx, dy, radius = dx[near, None], dy[near, None], around.radius[near, None]
    angle = heading_of(truth.quat_world_body) + _FAN
    cos, sin = np.cos(angle), np.sin(angle)
    along, beside = dx * cos + dy * sin, dx * sin - dy * cos
    inside = radius**2 - beside**2
    distance = along - np.sqrt(np.maximum(inside, 0.0))
    distance = np.where((inside > 0) & (along > 0), distance, np.inf).min(axis=0)
    return tuple(np.where(distance < REACH, 1 / np.maximum(distance, NEAREST), 0.0).tolist())


def _told(situation: Situation, ask: Callable[[TruthSample], Any]) -> Any:
    """What the truth answers; None at rest, where nobody tells."""
    reading = situation.readings.get(TRUTH)
    return None if reading is None else ask(reading.sample)


def register_goal(name: str, seen: Callable[[TruthSample], Sequence[float] | None]) -> None:
    """Slots ``<name>_direction``, a unit vector, and ``<name>_nearness`` of what ``seen`` gives, m
    ahead, to the left and up in its first three numbers; zeros where that is None."""

    def direction(situation: Situation) -> tuple[float, ...]:
        place = _told(situation, seen)
        if place is None:
            return 0.0, 0.0, 0.0
        away = math.hypot(*place[:3])
        return tuple(part / away for part in place[:3])

    def nearness(situation: Situation) -> tuple[float]:
        place = _told(situation, seen)
        return (0.0 if place is None else 1 / max(math.hypot(*place[:3]), NEAREST),)

    register_told(Slot(f"{name}_direction", 3, "1", "heading"), direction)
    register_told(Slot(f"{name}_nearness", 1, "1/m", "heading"), nearness)


def register_told(slot: Slot, function: Callable[[Situation], tuple[float, ...]]) -> None:
    """A slot of a quadrotor that only the truth of a simulated world can fill."""
    register_slot(slot, function, vehicles=(NAME,), sensors=(TRUTH,), simulated=True)


register_goal("target", target_seen)
register_told(
    Slot("clearance", len(FAN), "1/m", "heading"),
    lambda situation: _told(situation, clearance) or (0.0,) * len(FAN),
)
SLOTS = (
    *("target_direction", "target_nearness", "clearance"),
    *("ang_vel", "previous_velocity", "previous_yaw_rate"),
)
_LAYOUT = observer_of(NAME, VELOCITY).select(SLOTS).layout
_CANDIDATES = tuple(math.radians(angle) for angle in range(-48, 49, 4))


class SightPilot:
    """The pilot; see the module and `parameters.PilotGains`."""

    command_kind = VELOCITY.name
    observation_layout = _LAYOUT
    command_layout = VELOCITY.layout
    neurons = np.zeros(0)

    def __init__(self, parameters: QuadrotorParameters):
        self.set_parameters(parameters)
        self.reset()

    def set_parameters(self, parameters: QuadrotorParameters) -> None:
        """Take new gains; what it remembers is kept."""
        self.gains = parameters.pilot

    def reset(self) -> None:
        """Forget where the target was."""
        self._target: tuple[float, float, float] | None = None  # m, heading frame
        self._unseen = 0.0  # s

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Velocity and yaw rate for `SLOTS`."""
        gains = self.gains
        dx, dy, dz, nearness, *rest = observation.tolist()
        near, (vx, vy, vz, turn) = rest[: len(FAN)], rest[-4:]
        if nearness > 0:
            away = 1 / nearness
            self._target, self._unseen = (dx * away, dy * away, dz * away), 0.0
        elif self._target is not None:
            self._remember(vx, vy, vz, turn, dt)
        if self._target is None:
            return np.array([0.0, 0.0, 0.0, gains.search_rate])
        x, y, z = self._target
        away, bearing = math.hypot(x, y), math.atan2(y, x)
        yaw_rate = within(gains.yaw_gain * bearing, gains.max_yaw_rate)
        climb = within(gains.climb_gain * z, gains.max_climb)
        speed = gains.approach_gain * (away - gains.stand_off)
        if speed < 0:  # too near: back, on the line
            speed = max(speed, -gains.max_back)
            return np.array([speed * x / away, speed * y / away, climb, yaw_rate])
        speed = min(speed, gains.max_speed) * max(math.cos(bearing), 0.0) ** 2
        heading = math.atan2(vy, vx) if math.hypot(vx, vy) > 0.2 else bearing
        way, free = self._way(near, bearing, heading, away - gains.stand_off)
        speed = min(speed, math.sqrt(2 * gains.braking * max(free - gains.margin, 0.02)))
        return np.array([speed * math.cos(way), speed * math.sin(way), climb, yaw_rate])

    def _remember(self, vx: float, vy: float, vz: float, turn: float, dt: float) -> None:
        """Where the target has come to be by the own motion; nowhere, after long enough."""
        self._unseen += dt
        if self._unseen > self.gains.memory:
            self._target = None
            return
        x, y, z = self._target
        x, y, z = x - vx * dt, y - vy * dt, z - vz * dt
        cos, sin = math.cos(turn * dt), math.sin(turn * dt)
        self._target = (cos * x + sin * y, cos * y - sin * x, z)

    def _way(self, near, bearing: float, heading: float, far: float) -> tuple[float, float]:
        """The direction to fly in and how far it is free, m."""
        gains = self.gains
        look = min(gains.look, max(far, 0.0) + gains.margin)
        points = [(1 / n, angle) for n, angle in zip(near, FAN, strict=True) if n > 0]
        best, least, free = bearing, math.inf, look
        for way in _CANDIDATES:
            open_for = look
            for distance, angle in points:
                beside = distance * math.sin(angle - way)
                along = distance * math.cos(angle - way)
                if abs(beside) < gains.keep_clear and along < open_for:
                    open_for = along
            cost = (
                abs(way - bearing)
                + gains.commitment * abs(way - heading)
                + gains.caution * (1 - max(open_for, 0.0) / look)
            )
            if cost < least:
                best, least, free = way, cost, open_for
        return best, free


def within(value: float, limit: float) -> float:
    """The value, held to ``limit`` in both directions."""
    return min(max(value, -limit), limit)
