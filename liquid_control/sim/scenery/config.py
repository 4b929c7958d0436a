"""The scene of a world file: objects that can be hit and seen, and how the world looks.

An object tells PyBullet its own shapes, so another one is a class like these, registered in
`SCENE_OBJECTS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import Field, model_validator

from liquid_control.config import Share, StrictModel
from liquid_control.kinds import Kinds
from liquid_control.sim.quantities import (
    Angle,
    Charge,
    Heading,
    Length,
    Level,
    Position,
    drawn,
    key,
)
from liquid_control.sim.scenery.shifts import SHIFTS

Color = tuple[Share, Share, Share]  # red, green, blue
PixelNoise = drawn(0, 255)
ShiftName = Literal[tuple(SHIFTS)]
CYLINDER_SIDES = 32  # of a textured one
SCENE_OBJECTS = Kinds("shape")


class SceneObject(Protocol):
    """What a kind of object must give; shapes are in its own frame.

    One that the seed picks has ``drawn(rng)`` besides, see `draw_scene`. One that is seen from near
    only says so with ``near``: middle (x, y) and radius, m, of a circle around it. One that moves
    has ``at(time)``, where it is, and ``is_shown(time)``, whether a camera sees it, s after the
    start. An expert keeps clear of what has a ``column``; what has ``missed(before, after, time)``
    ends a flight that passes it so.
    """

    pos: Position  # m, world
    yaw_deg: float
    color: Color

    def collision(self) -> list[dict[str, Any]]:
        """What PyBullet's createCollisionShape takes, for each part that can be hit."""

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        """What PyBullet's createVisualShape takes, for each part that can be seen.

        A texture repeats after ``texture_period``, m; ``None`` where there is none.
        """


SceneObjectConfig = Annotated[SceneObject, SCENE_OBJECTS]


def draw_scene(objects: Sequence[SceneObject], rng: np.random.Generator) -> tuple[SceneObject, ...]:
    """What stands in the world of one flight: objects as they are, and what the seed makes of those
    that it picks, each from a stream of its own."""
    scene: list[SceneObject] = []
    for item, stream in zip(objects, rng.spawn(len(objects)), strict=True):
        drawn = getattr(item, "drawn", None)
        scene += [item] if drawn is None else drawn(stream)
    return tuple(scene)


def shaded(color: Color, spread: float, rng: np.random.Generator) -> Color:
    """The colour with each of its parts changed by up to ``spread``, as ``rng`` picks."""
    change = rng.uniform(-spread, spread, 3)
    return tuple(np.clip(np.array(color) + change, 0.0, 1.0).tolist())


class DrawnFrom:
    """Of an object that the seed picks: nothing itself, as what was drawn of it is hit and seen."""

    def collision(self) -> list[dict[str, Any]]:
        """Nothing that could be hit."""
        return []

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        """Nothing that could be seen."""
        return []


class Column(NamedTuple):
    """The upright cylinder around what stands on the ground: what an expert keeps clear of."""

    x: float  # m, world
    y: float
    radius: float  # m
    top: float  # m over the ground


class _Placed(StrictModel):
    pos: Position = key("centre, world", "m")
    size: tuple[Length, Length, Length]
    yaw_deg: Angle = key("turned about the vertical", "°", default=0.0)
    color: Color = key("red, green, blue", default=(0.6, 0.6, 0.6))


# The shapes need PyBullet, which is not there wherever worlds are read: so they are imported late.
@SCENE_OBJECTS.register
class BoxConfig(_Placed):
    """A fixed upright box."""

    shape: Literal["box"]
    size: tuple[Length, Length, Length] = key("along its own x, y, z", "m")

    @property
    def column(self) -> Column:
        """What to keep clear of, m."""
        x, y, z = self.pos
        return Column(x, y, math.hypot(*self.size[:2]) / 2, z + self.size[2] / 2)

    def collision(self) -> list[dict[str, Any]]:
        from liquid_control.sim.scenery import shapes

        return [shapes.box(self.size)]

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        from liquid_control.sim.scenery import shapes

        if texture_period is None:
            return [shapes.box(self.size)]
        return [shapes.prism(self.size, 4, texture_period)]


@SCENE_OBJECTS.register
class CylinderConfig(_Placed):
    """A fixed upright cylinder."""

    shape: Literal["cylinder"]
    size: tuple[Length, Length, Length] = key("diameter, the same again, height", "m")

    @property
    def column(self) -> Column:
        """What to keep clear of, m."""
        x, y, z = self.pos
        return Column(x, y, self.size[0] / 2, z + self.size[2] / 2)

    def collision(self) -> list[dict[str, Any]]:
        from liquid_control.sim.scenery import shapes

        return [shapes.cylinder(self.size[0] / 2, height=self.size[2])]

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        from liquid_control.sim.scenery import shapes

        if texture_period is None:
            return [shapes.cylinder(self.size[0] / 2, length=self.size[2])]
        return [shapes.prism(self.size, CYLINDER_SIDES, texture_period)]


@SCENE_OBJECTS.register
class BallConfig(_Placed):
    """A fixed ball, such as the crown of a tree."""

    shape: Literal["ball"]
    size: tuple[Length, Length, Length] = key("diameter, three times the same", "m")

    @model_validator(mode="after")
    def _is_round(self):
        if len(set(self.size)) > 1:
            raise ValueError(f"size: expected three times the diameter, got {list(self.size)}")
        return self

    def collision(self) -> list[dict[str, Any]]:
        from liquid_control.sim.scenery import shapes

        return [shapes.ball(self.size[0] / 2)]

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        from liquid_control.sim.scenery import shapes

        return [shapes.round_mesh(self.size[0] / 2)]


class TextureConfig(StrictModel):
    """A pattern of square cells that darkens the colours of ground and objects."""

    kind: Literal["checker", "noise", "stripes"] = key("pattern; the seed picks the noise")
    contrast: Share = key("by how much the darkest cells are darker")
    cell_size: Annotated[float, Field(ge=0.01, le=100)] = key("side of a cell", "m")


class AppearanceConfig(StrictModel):
    """How the world looks to a camera; what is left open the seed picks."""

    brightness: Level = key("1 is daylight, 0 is black", default=1.0)
    light_toward_deg: Heading = key("heading that the light shines to", "°", default=30.0)
    fog: Level = key("extinction; the visibility is about 3.9 / fog", "1/m", default=0.0)
    noise: PixelNoise = key("1 σ of a pixel, of 255", default=0.0)
    occlusion: Charge = key("share of width and height that a dark patch hides", default=0.0)
    color_spread: Share = key(
        "largest change of each colour of ground and objects, which the seed picks", default=0.0
    )
    ground: tuple[Color, Color] = key(
        "colours of the ground's tiles", default=((0.45, 0.5, 0.4), (0.55, 0.6, 0.5))
    )
    shifts: dict[ShiftName, Charge] = key("strength of each of `scenery.shifts`", default={})
    texture: TextureConfig | None = key("of ground and objects; null for none", default=None)
