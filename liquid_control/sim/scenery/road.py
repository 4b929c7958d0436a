"""A winding road that the seed draws, with its markings, and where its lane runs.

A `RoadConfig` stands in the world file; a flight has the `Road` that its seed drew of it, which
says where the lane is, and the pieces of asphalt and paint that a camera sees.

Lengths along the lane (``s``) are m from its beginning, offsets across it m to the left of the
middle of the lane that is driven in, the right one of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from liquid_control.config import Share, StrictModel
from liquid_control.sim.quantities import Angle, Charge, Length, Position, draw, drawn, key
from liquid_control.sim.scenery.config import SCENE_OBJECTS, Color, DrawnFrom

SPACING = 1.0  # m between the points of a lane; in a curve of 20 m the chord is off by 6 mm
PIECE = 20  # points of a piece that is drawn as a whole
SHOULDER = 0.4  # m of asphalt beyond the outer lines
COLUMNS = 4  # of asphalt across the road: TinyRenderer drops polygons that cross the eye
ASPHALT_HEIGHT, PAINT_HEIGHT = 0.01, 0.02  # m over the ground
BLEND = 0.6  # of the worn paint's colour towards the asphalt, where all of it is worn
CROSSING_REACH = 40.0  # m, of a road that crosses, to both sides
LaneWidth = drawn(2.0, 10.0)  # m
Radius = Annotated[float, Field(ge=10, le=10_000)]  # m
DrawnColor = tuple[Charge, Charge, Charge]  # red, green, blue


class MissingPaint(StrictModel):
    """Stretches without any paint."""

    length: Length = key("of a stretch", "m")
    every: Length = key("from the beginning of one to that of the next", "m")


class Markings(StrictModel):
    """Two outer lines, and a broken one between the lanes."""

    color: DrawnColor = key("red, green, blue", default=(0.9, 0.9, 0.88))
    width: Length = key("of a line", "m", default=0.15)
    dash: Length = key("of the line in the middle", "m", default=4.0)
    gap: Length = key("between two of its dashes", "m", default=4.0)
    wear: Charge = key("share of the paint that is gone", default=0.0)
    missing: MissingPaint | None = key("stretches without paint; null for none", default=None)


@SCENE_OBJECTS.register
class RoadConfig(DrawnFrom, StrictModel):
    """A road of two lanes that winds as the seed has it; its bends are clothoid-like and smooth."""

    shape: Literal["road"]
    pos: Position = key("where the right lane begins, world", "m", default=(0.0, 0.0, 0.0))
    yaw_deg: Angle = key("heading there, from East counter-clockwise", "°", default=0.0)
    length: Length = key("of the lane", "m", default=600.0)
    lane_width: LaneWidth = key("of each lane", "m", default=3.5)
    min_radius: Radius = key("of the tightest bend", "m", default=30.0)
    bend: tuple[Length, Length] = key("shortest and longest, drawn for each", "m", default=(20, 70))
    straight: Share = key("share of the stretches that don't bend", default=0.2)
    max_turn_deg: Angle = key(
        "largest heading away from the first: the road never meets itself", "°", default=70.0
    )
    color: DrawnColor = key("of the asphalt", default=(0.33, 0.33, 0.35))
    markings: Markings = key("the paint", default=Markings())
    crossings: Length | None = key(
        "mean distance between roads that cross it; null for none", "m", default=None
    )

    def drawn(self, rng: np.random.Generator) -> list[Any]:
        """The road of one flight, and its pieces."""
        road = Road(self, rng)
        return [road, *road.pieces(rng)]


class Place(NamedTuple):
    """Where something is on a road."""

    s: float  # m along the lane
    offset: float  # m to the left of the middle of the lane
    heading: float  # rad, of the lane there
    curvature: float  # 1/m, positive to the left


class Road(DrawnFrom):
    """A road as the seed drew it: use it to find the lane from a place in the world.

    Attributes:
        points: (n, 2) m, the middle of the driven lane each `SPACING` m.
        headings, curvatures: (n,) rad and 1/m, there.
        lane_width: m.
    """

    pos, yaw_deg, color = (0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0)

    def __init__(self, config: RoadConfig, rng: np.random.Generator):
        self.config = config
        self.lane_width = draw(config.lane_width, rng)
        self.curvatures = _curvatures(config, rng)
        turned = np.cumsum(self.curvatures) * SPACING
        start = math.radians(config.yaw_deg)
        self.headings = start + np.concatenate([[0.0], turned[:-1]])
        middle = self.headings + 0.5 * SPACING * self.curvatures
        steps = SPACING * np.stack([np.cos(middle), np.sin(middle)], axis=1)
        self.points = np.array(config.pos[:2]) + np.concatenate(
            [np.zeros((1, 2)), np.cumsum(steps, axis=0)[:-1]]
        )

    @property
    def length(self) -> float:
        """Of the lane, m."""
        return SPACING * (len(self.points) - 1)

    def locate(self, x: float, y: float) -> Place:
        """The place on the lane that is nearest to ``(x, y)``, m, world."""
        dx, dy = x - self.points[:, 0], y - self.points[:, 1]
        k = int(np.argmin(dx * dx + dy * dy))
        heading = float(self.headings[k])
        cos, sin = math.cos(heading), math.sin(heading)
        along = float(dx[k]) * cos + float(dy[k]) * sin
        across = float(dy[k]) * cos - float(dx[k]) * sin
        # the lane bends away from its tangent
        curvature = float(self.curvatures[k])
        return Place(
            k * SPACING + along,
            across - 0.5 * curvature * along * along,
            heading + curvature * along,
            curvature,
        )

    def point(self, s: float, offset: float = 0.0) -> tuple[float, float]:
        """The point in the world ``s`` m along the lane, m; the ends go on straight."""
        k = min(max(int(s / SPACING), 0), len(self.points) - 1)
        along, heading = s - k * SPACING, float(self.headings[k])
        x, y = self.points[k].tolist()
        cos, sin = math.cos(heading), math.sin(heading)
        across = offset + 0.5 * float(self.curvatures[k]) * along * along
        return x + along * cos - across * sin, y + along * sin + across * cos

    def curvature(self, s: float) -> float:
        """1/m, ``s`` m along the lane; straight beyond its ends."""
        k = round(s / SPACING)
        return float(self.curvatures[k]) if 0 <= k < len(self.curvatures) else 0.0

    def edges(self, offset: float) -> np.ndarray:
        """The lane's points moved to the left by an offset, (n, 2) m."""
        normal = np.stack([-np.sin(self.headings), np.cos(self.headings)], axis=1)
        return self.points + offset * normal

    def pieces(self, rng: np.random.Generator) -> list[Strip]:
        """Asphalt and paint, in pieces of `PIECE` points."""
        config, width = self.config, self.lane_width
        color = tuple(draw(part, rng) for part in config.color)
        right, left = -0.5 * width - SHOULDER, 1.5 * width + SHOULDER
        across = np.linspace(right, left, COLUMNS + 1)
        asphalt = [(self.edges(a), self.edges(b)) for a, b in pairwise(across)]
        crossed = np.zeros(len(self.points), bool)
        strips = []
        if config.crossings is not None:
            strips += self._crossings(rng, color, crossed)
        there = np.ones(len(self.points) - 1, bool)
        strips += _strips([(a, b, there) for a, b in asphalt], color, ASPHALT_HEIGHT)
        paint = config.markings
        wear = draw(paint.wear, rng)
        fresh = [draw(part, rng) for part in paint.color]
        worn = tuple(p + BLEND * wear * (a - p) for p, a in zip(fresh, color, strict=True))
        painted = ~crossed[:-1] & ~crossed[1:]
        if paint.missing is not None:
            painted &= ~_stretches(paint.missing, len(painted), rng)
        s = SPACING * np.arange(len(painted))
        phase = rng.uniform(0, paint.dash + paint.gap)
        dashes = (s + phase) % (paint.dash + paint.gap) < paint.dash
        half = 0.5 * paint.width
        lines = [
            (
                self.edges(offset - half),
                self.edges(offset + half),
                painted & pattern & (rng.uniform(size=len(painted)) >= wear),
            )
            for offset, pattern in (
                (-0.5 * width, True),
                (0.5 * width, dashes),
                (1.5 * width, True),
            )
        ]
        return strips + _strips(lines, worn, PAINT_HEIGHT)

    def _crossings(
        self, rng: np.random.Generator, color: Color, crossed: np.ndarray
    ) -> list[Strip]:
        """Roads across this one; marks in ``crossed`` where its lines are interrupted."""
        config, strips, s = self.config, [], 0.0
        width = 2 * self.lane_width
        while (s := s + config.crossings * rng.uniform(0.6, 1.4)) < config.length - width:
            k = round(s / SPACING)
            angle = float(self.headings[k]) + math.pi / 2 + rng.uniform(-0.3, 0.3)
            along = np.array([math.cos(angle), math.sin(angle)])
            side = np.array([-along[1], along[0]])
            points = round(CROSSING_REACH / SPACING)
            reach = SPACING * np.arange(-points, points + 1)[:, None]
            middle = self.points[k] + reach * along
            edges = [middle + offset * side for offset in np.linspace(-width / 2, width / 2, 5)]
            there = np.ones(len(reach) - 1, bool)
            columns = [(a, b, there) for a, b in pairwise(edges)]
            strips += _strips(columns, color, ASPHALT_HEIGHT)
            crossed[max(round((s - width / 2) / SPACING), 0) : round((s + width / 2) / SPACING)] = 1
        return strips


def road_of(scene: Sequence[Any]) -> Road | None:
    """The road that stands in a scene, or none."""
    return next((item for item in scene if isinstance(item, Road)), None)


@dataclass(frozen=True, eq=False)
class Strip:
    """A piece of a road as a mesh, which is drawn where it is near.

    Attributes:
        near: middle (x, y) and radius, m, of the circle that holds all of it.
        columns: right and left edge, ``(n, 2)`` m each, and which of the ``n - 1`` quads are there.
    """

    near: tuple[float, float, float]
    color: Color
    height: float  # m
    columns: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_deg: float = 0.0

    def collision(self) -> list[dict[str, Any]]:
        """It lies flat on the ground."""
        return []

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        """One mesh, which is there already in the world's frame."""
        from liquid_control.sim.scenery import shapes

        return [shapes.ribbons(self.columns, self.height, texture_period)]


def _strips(
    columns: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], color: Color, height: float
) -> list[Strip]:
    """Columns cut into pieces along the road; without those that are empty."""
    strips = []
    for first in range(0, len(columns[0][2]), PIECE):
        cut = tuple(
            (a[first : first + PIECE + 1], b[first : first + PIECE + 1], on[first : first + PIECE])
            for a, b, on in columns
        )
        if not any(on.any() for *_, on in cut):
            continue
        points = np.concatenate([part for a, b, _ in cut for part in (a, b)])
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        radius = float(np.linalg.norm(points - middle, axis=1).max())
        strips.append(Strip((*middle.tolist(), radius), color, height, cut))
    return strips


def _curvatures(config: RoadConfig, rng: np.random.Generator) -> np.ndarray:
    """At each point, 1/m: bends whose curvature rises and falls as 1 − cos, and straights."""
    count = round(config.length / SPACING)
    limit = math.radians(config.max_turn_deg)
    curvature, heading = np.zeros(count), 0.0
    first = int(10 / SPACING)  # it begins straight
    while first < count:
        length = rng.uniform(*config.bend)
        points = max(int(length / SPACING), 2)
        most = length / (2 * config.min_radius)  # of a bend whose tightest point has that radius
        turn = rng.uniform(max(-most, -limit - heading), min(most, limit - heading))
        if rng.uniform() >= config.straight:
            share = (np.arange(points) + 0.5) / points
            bend = turn / length * (1 - np.cos(2 * math.pi * share))
            part = curvature[first : first + points]
            part[:] = bend[: len(part)]
            heading += turn
        first += points
    return curvature


def _stretches(missing: MissingPaint, count: int, rng: np.random.Generator) -> np.ndarray:
    """Where there is no paint, (count,) bool."""
    s = SPACING * np.arange(count) + rng.uniform(0, missing.every)
    return s % missing.every < missing.length
