"""A row of gates to fly through, some of which sway, and a target behind the last.

A `CourseConfig` stands in the world file; a flight has the `Gate` objects and the `grove.Target`
that its seed drew. Whoever passes a gate beside its opening has missed it, which ends the flight.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from liquid_control.config import Share, StrictModel
from liquid_control.sim.quantities import Angle, Length, Position, draw, drawn, key
from liquid_control.sim.scenery.config import SCENE_OBJECTS, Color, DrawnFrom
from liquid_control.sim.scenery.grove import GroveConfig, Target

Gates = drawn(1, 20)
Way = drawn(1.5, 20.0)  # m
Aside = drawn(-5.0, 5.0)  # m
Height = drawn(0.5, 10.0)  # m
Opening = drawn(0.4, 5.0)  # m
Sway = drawn(0.0, 3.0)  # m
Period = drawn(1.0, 60.0)  # s
TurnDegrees = drawn(-60.0, 60.0)  # °


@SCENE_OBJECTS.register
class CourseConfig(DrawnFrom, StrictModel):
    """Square gates in a row, each on a stand, and a ball to stop at behind them."""

    shape: Literal["course"]
    pos: Position = key("where the row begins, world", "m", default=(0.0, 0.0, 0.0))
    yaw_deg: Angle = key("heading of the row, from East counter-clockwise", "°", default=0.0)
    gates: Gates = key("how many", default=4)
    spacing: Way = key("from the start to the first, and from gate to gate", "m", default=4.0)
    aside: Aside = key("of each from the row, to the left", "m", default=0.0)
    height: Height = key("of the middle of each opening", "m", default=1.3)
    turn_deg: TurnDegrees = key("of each away from the row's heading", "°", default=0.0)
    opening: Opening = key("side of the square to fly through", "m", default=1.2)
    bar: Length = key("thickness of the frame", "m", default=0.12)
    swaying: Share = key("share of the gates that sway from side to side", default=0.0)
    sway: Sway = key("to each side, of one that sways", "m", default=0.4)
    period: Period = key("of one that sways", "s", default=6.0)
    color: Color = key("of the frames", default=(0.95, 0.55, 0.1))
    target_color: Color = key("of the ball", default=(0.85, 0.15, 0.1))

    def drawn(self, rng: np.random.Generator) -> list[Any]:
        """The target of one flight, and its gates in the order in which they are passed."""
        heading = math.radians(self.yaw_deg)
        cos, sin = math.cos(heading), math.sin(heading)
        gates: list[Gate] = []
        along = 0.0
        for _ in range(round(draw(self.gates, rng))):
            along += draw(self.spacing, rng)
            aside = draw(self.aside, rng)
            pos = (
                self.pos[0] + along * cos - aside * sin,
                self.pos[1] + along * sin + aside * cos,
                draw(self.height, rng),
            )
            gates.append(Gate(self, pos, heading + math.radians(draw(self.turn_deg, rng)), rng))
        ball = GroveConfig(
            shape="grove",
            pos=self.pos,
            yaw_deg=self.yaw_deg,
            distance=min(along + draw(self.spacing, rng), 40.0),
            height=draw(self.height, rng),
            color=self.target_color,
        )
        return [Target(ball, rng), *gates]


class Gate:
    """A square frame on a stand, to be flown through along its ``heading``.

    Attributes:
        heading: rad from East counter-clockwise.
        opening: side of the square, m.
    """

    def __init__(
        self,
        config: CourseConfig,
        pos: tuple[float, float, float],
        heading: float,
        rng: np.random.Generator,
    ):
        self.pos, self.heading, self.color = pos, heading, config.color
        self.yaw_deg = math.degrees(heading)
        self.opening, self._bar = draw(config.opening, rng), config.bar
        sways = rng.random() < config.swaying
        self._sway = draw(config.sway, rng) if sways else 0.0
        self._rate = 2 * math.pi / draw(config.period, rng)
        self._phase = rng.uniform(0, 2 * math.pi)

    def at(self, time: float) -> tuple[float, float, float]:
        """Where the middle of its opening is ``time`` s after the start, m, world."""
        x, y, z = self.pos
        aside = self._sway * math.sin(self._rate * time + self._phase)
        return x - aside * math.sin(self.heading), y + aside * math.cos(self.heading), z

    def is_shown(self, time: float) -> bool:
        """Always: a gate does not hide."""
        return True

    def place(self, pos, time: float) -> tuple[float, float, float]:
        """How far ``pos`` (3) m, world, is behind its plane, to the left and above its middle."""
        x, y, z = self.at(time)
        dx, dy = pos[0] - x, pos[1] - y
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return cos * dx + sin * dy, cos * dy - sin * dx, pos[2] - z

    def missed(self, before, after, time: float) -> bool:
        """Whether the way from ``before`` to ``after``, (3) m, leads past it beside its opening."""
        behind, left, up = self.place(after, time)
        if behind < 0 or self.place(before, time)[0] >= 0:
            return False
        return max(abs(left), abs(up)) > self.opening / 2

    def _boxes(self) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
        """Size and middle of each bar, m, in its own frame: x along the way through."""
        side, bar, height = self.opening, self._bar, self.pos[2]
        out = (side + bar) / 2
        stand = max(height - side / 2 - bar, 0.01)
        return [
            ((bar, side + 2 * bar, bar), (0.0, 0.0, out)),
            ((bar, side + 2 * bar, bar), (0.0, 0.0, -out)),
            ((bar, bar, side), (0.0, out, 0.0)),
            ((bar, bar, side), (0.0, -out, 0.0)),
            ((bar, bar, stand), (0.0, 0.0, stand / 2 - height)),
        ]

    def collision(self) -> list[dict[str, Any]]:
        """Its four bars and the stand, boxes that can be hit."""
        from liquid_control.sim.scenery import shapes

        return [
            {**shapes.box(size), "collisionFramePosition": list(middle)}
            for size, middle in self._boxes()
        ]

    def visuals(self, texture_period: float | None) -> list[dict[str, Any]]:
        """The same, to be seen; no texture fits them."""
        from liquid_control.sim.scenery import shapes

        return [
            {**shapes.box(size), "visualFramePosition": list(middle)}
            for size, middle in self._boxes()
        ]
