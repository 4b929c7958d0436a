"""A target among trees and other coloured things, as the seed draws them.

A `GroveConfig` stands in the world file; a flight has the `Target` of its seed, which says where it
is and whether it can be seen, and the fixed objects around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from liquid_control.config import Share, StrictModel
from liquid_control.sim.quantities import (
    Angle,
    Heading,
    Position,
    Span,
    StartTime,
    draw,
    drawn,
    key,
)
from liquid_control.sim.scenery.config import (
    SCENE_OBJECTS,
    BallConfig,
    BoxConfig,
    Color,
    CylinderConfig,
    DrawnFrom,
    shaded,
)

Distance = drawn(0.5, 40.0)  # m
Radius = drawn(0.05, 2.0)  # m
Count = drawn(0, 100)
PathSpeed = drawn(0.0, 5.0)  # m/s
HideSpan = drawn(0.0, 60.0)  # s

TRUNK_RADIUS = 0.12, 0.22  # m
TRUNK_HEIGHT, CROWN_HEIGHT = 3.2, 3.8  # m; a crown is above whatever flies here
CROWN_RADIUS = 0.8, 1.2  # m
SPACING = 1.5  # m, least distance between the middles of two trees
CLEAR_START, CLEAR_TARGET = 1.5, 2.6  # m without a tree around start and target
BEYOND = 2.5  # m that trees stand to the sides and behind the way
DISTRACTOR_SIZE = 0.3, 0.7  # m
TRIES = 4000  # to place a tree
STEP = 0.25  # s between the points of a path
TURN = 0.5  # rad/s, 1 σ of how a path bends
HOME = 5.0  # m from where it began, from where on a path bends back


class HiddenConfig(StrictModel):
    """When the target can't be seen, though it is there."""

    first: StartTime = key("when it disappears first, after the start", "s")
    span: HideSpan = key("how long, each time; 0: for good", "s")
    every: Span = key("from one disappearance to the next", "s", default=1000.0)


@SCENE_OBJECTS.register
class GroveConfig(DrawnFrom, StrictModel):
    """A ball to fly to, trees on the way, and things of other colours that are no target."""

    shape: Literal["grove"]
    pos: Position = key("where the flight begins, world", "m", default=(0.0, 0.0, 0.0))
    yaw_deg: Angle = key("heading that `bearing_deg` counts from", "°", default=0.0)
    distance: Distance = key("of the target", "m")
    bearing_deg: Heading = key("of the target", "°", default=0.0)
    height: Distance = key("of the target's middle", "m")
    radius: Radius = key("of the target", "m", default=0.3)
    color: Color = key("of the target", default=(0.85, 0.15, 0.1))
    speed: PathSpeed = key("of a target that moves along a path of its own", "m/s", default=0.0)
    hidden: HiddenConfig | None = key("when the target can't be seen; null: never", default=None)
    trees: Count = key("how many; as many as there is room for", default=0)
    bark: Color = key("of the trunks", default=(0.4, 0.28, 0.18))
    leaves: Color = key("of the crowns", default=(0.16, 0.42, 0.16))
    color_spread: Share = key("how much the colours of the trees differ", default=0.08)
    distractors: Count = key("how many things of other colours", default=0)
    distractor_colors: tuple[Color, ...] = key(
        "of which each has one",
        default=((0.15, 0.3, 0.85), (0.9, 0.85, 0.2), (0.9, 0.9, 0.9), (0.5, 0.2, 0.7)),
        min_length=1,
    )

    def drawn(self, rng: np.random.Generator) -> list[Any]:
        """The target of one flight, and what stands around it."""
        target = Target(self, rng)
        start, goal = np.array(self.pos[:2]), target.points[0, :2]
        trunks = self._trunks(start, goal, rng)
        things = []
        for x, y in trunks:
            bark, leaves = (shaded(c, self.color_spread, rng) for c in (self.bark, self.leaves))
            radius, crown = rng.uniform(*TRUNK_RADIUS), rng.uniform(*CROWN_RADIUS)
            things += [
                CylinderConfig(
                    shape="cylinder",
                    pos=(x, y, TRUNK_HEIGHT / 2),
                    size=(2 * radius, 2 * radius, TRUNK_HEIGHT),
                    color=bark,
                ),
                BallConfig(
                    shape="ball", pos=(x, y, CROWN_HEIGHT), size=(2 * crown,) * 3, color=leaves
                ),
            ]
        return [target, *things, *self._distractors(start, goal, trunks, rng)]

    def _trunks(self, start, goal, rng) -> list[tuple[float, float]]:
        """Places of trees around the way."""
        wanted = round(draw(self.trees, rng))
        middle, reach = (start + goal) / 2, math.dist(start, goal) / 2 + BEYOND
        found: list[tuple[float, float]] = []
        for _ in range(TRIES if wanted else 0):
            x, y = (middle + reach * rng.uniform(-1, 1, 2)).tolist()
            if (
                math.dist((x, y), start) > CLEAR_START
                and math.dist((x, y), goal) > CLEAR_TARGET
                and all(math.dist((x, y), other) > SPACING for other in found)
            ):
                found.append((x, y))
                if len(found) == wanted:
                    break
        return found

    def _distractors(self, start, goal, trunks, rng) -> list[Any]:
        """Posts, boxes and balls away from the way, apart from trees and target."""
        things: list[Any] = []
        placed = [tuple(start), tuple(goal), *trunks]
        for _ in range(round(draw(self.distractors, rng))):
            for _ in range(TRIES):
                away, around = rng.uniform(3.0, 8.0), rng.uniform(0, 2 * math.pi)
                x = float(start[0] + away * math.cos(around))
                y = float(start[1] + away * math.sin(around))
                if min(math.dist((x, y), other) for other in placed) > SPACING:
                    break
            else:
                continue
            placed.append((x, y))
            color = self.distractor_colors[rng.integers(len(self.distractor_colors))]
            size, kind = float(rng.uniform(*DISTRACTOR_SIZE)), rng.integers(3)
            if kind == 0:
                item = BoxConfig(
                    shape="box", pos=(x, y, size / 2), size=(size, size, size), color=color
                )
            elif kind == 1:
                tall = float(rng.uniform(0.8, 2.0))
                item = CylinderConfig(
                    shape="cylinder",
                    pos=(x, y, tall / 2),
                    size=(size / 2, size / 2, tall),
                    color=color,
                )
            else:
                height = float(rng.uniform(0.5, 1.8))
                item = BallConfig(shape="ball", pos=(x, y, height), size=(size,) * 3, color=color)
            things.append(item)
        return things


class Target:
    """The ball that is flown to, at rest or on a path of its own.

    Attributes:
        points: (n, 3) m, where it is each `STEP` s; one where it rests.
        radius: m.
    """

    yaw_deg = 0.0
    is_target = True

    def __init__(self, config: GroveConfig, rng: np.random.Generator):
        distance = draw(config.distance, rng)
        bearing = math.radians(config.yaw_deg + draw(config.bearing_deg, rng))
        x, y = (
            config.pos[0] + distance * math.cos(bearing),
            config.pos[1] + distance * math.sin(bearing),
        )
        first = np.array([x, y, draw(config.height, rng)])
        self.radius, self.color = draw(config.radius, rng), config.color
        speed = draw(config.speed, rng)
        self.points = _path(first, speed, rng) if speed else first[None]
        self._hidden = config.hidden
        if config.hidden is not None:
            self._first, self._span = draw(config.hidden.first, rng), draw(config.hidden.span, rng)
        self.moves = speed > 0

    @property
    def pos(self) -> tuple[float, float, float]:
        """Where it is at the start, m, world."""
        return tuple(self.points[0].tolist())

    def at(self, time: float) -> tuple[float, float, float]:
        """Where it is ``time`` s after the start, m, world."""
        if not self.moves:
            return self.pos
        k = min(max(time, 0.0) / STEP, len(self.points) - 1.000001)
        share, before = k - int(k), self.points[int(k)]
        return tuple((before + share * (self.points[int(k) + 1] - before)).tolist())

    def velocity(self, time: float) -> tuple[float, float, float]:
        """How it moves then, m/s, world."""
        if not self.moves:
            return 0.0, 0.0, 0.0
        k = int(min(max(time, 0.0) / STEP, len(self.points) - 2))
        return tuple(((self.points[k + 1] - self.points[k]) / STEP).tolist())

    def is_shown(self, time: float) -> bool:
        """Whether it can be seen ``time`` s after the start, where nothing is before it."""
        if self._hidden is None or time < self._first:
            return True
        if not self._span:
            return False
        return (time - self._first) % self._hidden.every >= self._span

    def collision(self) -> list[dict[str, Any]]:
        """The ball, which ends a flight that hits it."""
        from liquid_control.sim.scenery import shapes

        return [shapes.ball(self.radius)]

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        """A ball; no texture fits it."""
        from liquid_control.sim.scenery import shapes

        return [shapes.round_mesh(self.radius)]


def target_of(scene: Sequence[Any]) -> Target:
    """The target of a flight's scene."""
    return next(item for item in scene if isinstance(item, Target))


def _path(first: np.ndarray, speed: float, rng: np.random.Generator, duration: float = 120.0):
    """A winding way at constant speed and height, which stays around where it began; (n, 3) m."""
    heading, turn = rng.uniform(-math.pi, math.pi), 0.0
    points = [first]
    for _ in range(round(duration / STEP)):
        turn += STEP * (-turn + TURN * math.sqrt(2) * rng.standard_normal() / math.sqrt(STEP))
        home = first - points[-1]
        if math.hypot(home[0], home[1]) > HOME:
            off = math.remainder(math.atan2(home[1], home[0]) - heading, 2 * math.pi)
            turn = math.copysign(min(abs(off), 0.8), off)
        heading += turn * STEP
        points.append(
            points[-1] + speed * STEP * np.array([math.cos(heading), math.sin(heading), 0])
        )
    return np.array(points)
