"""Views of roads, each of another one, drawn many at once: what an eye learns to see on.

A ray for each pixel meets flat ground, whose colour follows from where on the road that is. The
geometry is that of `road` and of the camera; PyBullet, which draws the flights, is not needed, and
a hundred roads cost what it takes for ten pictures of one.

Shapes: B views, P pixels that see ground within `FAR`, (height, width) px.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from liquid_control.sim.quantities import Uniform, draw
from liquid_control.sim.scenery.road import (
    ASPHALT_HEIGHT,
    BLEND,
    CROSSING_REACH,
    SHOULDER,
    SPACING,
    Road,
    RoadConfig,
)
from liquid_control.sim.scenery.shifts import HAZE
from liquid_control.sim.sensors.camera import CameraConfig

FAR = 60.0  # m, where the renderer of flights ends
SAMPLE = 1.0, 0.0  # of a pixel, down and to the right, where that renderer looks
BEHIND, AHEAD = 10, 70  # points of a lane that matter to a view
CELLS = 64  # of the table of textures, a side
TILE = 2.0  # m, of the ground
ROADS = 40  # that are drawn in advance; a view shows some stretch of one
MAX_OFFSET, MAX_TURN = 1.4, 0.3  # m and rad, of the vehicle against its lane


class RoadViews(NamedTuple):
    """Views, and where they were taken."""

    pictures: np.ndarray  # (B, height, width, 3) uint8
    depths: np.ndarray  # (B, height, width) m, infinite for the sky
    offset: np.ndarray  # (B,) m to the left of the middle of the lane
    heading: np.ndarray  # (B,) rad, of the vehicle against the lane
    curvature: np.ndarray  # (B, A) 1/m, each of the distances that were asked for


class RoadPainter:
    """Draws views of the roads that a configuration describes, for one camera.

    Args:
        config, camera: as in the world.
        height: of the vehicle's origin over the road, m.
        rng: of all that is drawn.
    """

    def __init__(
        self, config: RoadConfig, camera: CameraConfig, height: float, rng: np.random.Generator
    ):
        self._config, self._camera, self._rng = config, camera, rng
        self._roads = [Road(config, rng) for _ in range(ROADS)]
        pitch = math.radians(camera.pitch_deg)
        v, u = np.mgrid[0 : camera.height, 0 : camera.width] + np.array(SAMPLE)[:, None, None]
        left = (camera.principal_point[0] - u) / camera.focal_length[0]
        up = (camera.principal_point[1] - v) / camera.focal_length[1]
        eye_x, eye_y, eye_z = camera.pos_body
        down = -(math.sin(pitch) + up * math.cos(pitch))
        with np.errstate(divide="ignore"):
            depth = np.where(down > 0, (eye_z + height - ASPHALT_HEIGHT) / down, np.inf)
        self._ground = depth < FAR
        self._depth = np.where(self._ground, depth, np.inf).astype(np.float32)
        t = depth[self._ground]
        forward = math.cos(pitch) - up[self._ground] * math.sin(pitch)
        self._x = (eye_x + t * forward).astype(np.float32)  # (P,) m, ahead of the vehicle
        self._y = (eye_y + t * left[self._ground]).astype(np.float32)  # and to its left

    def draw(self, count: int, ahead: tuple[float, ...]) -> RoadViews:
        """As many views; ``ahead``: m along the lane, where its curvature is told."""
        rng = self._rng
        # most of them near the middle of the lane
        offset = MAX_OFFSET * rng.triangular(-1, 0, 1, count).astype(np.float32)
        heading = MAX_TURN * rng.triangular(-1, 0, 1, count).astype(np.float32)
        bends, widths = self._stretches(count)
        s, d = self._on_the_road(bends, offset, heading)
        colors = self._colors(s, d, widths)
        height, width = self._ground.shape
        pictures = np.empty((count, height, width, 3), np.float32)
        pictures[:] = HAZE
        pictures[:, self._ground] = 255 * colors
        places = BEHIND + np.rint(np.array(ahead) / SPACING).astype(int)
        return RoadViews(
            np.clip(pictures, 0, 255).astype(np.uint8),
            np.broadcast_to(self._depth, (count, height, width)),
            offset,
            heading,
            bends[:, places],
        )

    def _stretches(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Curvatures (B, BEHIND + AHEAD), 1/m, and lane widths (B,), m."""
        rng, bends, widths = self._rng, [], []
        for k in rng.integers(ROADS, size=count):
            road = self._roads[k]
            curvatures = road.curvatures if rng.uniform() < 0.5 else -road.curvatures
            first = rng.integers(max(len(curvatures) - BEHIND - AHEAD, 1))
            part = curvatures[first : first + BEHIND + AHEAD]
            bends.append(np.pad(part, (0, BEHIND + AHEAD - len(part))))
            widths.append(draw(self._config.lane_width, rng))
        return np.array(bends, np.float32), np.array(widths, np.float32)

    def _on_the_road(
        self, bends: np.ndarray, offset: np.ndarray, heading: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each pixel (B, P): m along the lane from the vehicle on, and m to the left of it."""
        turned = np.cumsum(bends, axis=1) * SPACING
        headings = turned - turned[:, BEHIND - 1 : BEHIND]
        headings = np.concatenate([headings[:, :1] - bends[:, :1] * SPACING, headings], axis=1)
        middle = 0.5 * (headings[:, 1:] + headings[:, :-1])
        headings = headings[:, :-1] - headings[:, BEHIND : BEHIND + 1]
        middle = middle - middle[:, BEHIND : BEHIND + 1] + 0.5 * SPACING * bends[:, BEHIND, None]
        xs = np.cumsum(np.cos(middle), axis=1) * SPACING
        ys = np.cumsum(np.sin(middle), axis=1) * SPACING
        xs = np.concatenate([np.zeros_like(xs[:, :1]), xs[:, :-1]], axis=1)
        ys = np.concatenate([np.zeros_like(ys[:, :1]), ys[:, :-1]], axis=1)
        xs, ys = xs - xs[:, BEHIND, None], ys - ys[:, BEHIND, None]
        cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
        x = self._x * cos - self._y * sin
        y = offset[:, None] + self._x * sin + self._y * cos
        s, rows = x.copy(), np.arange(len(x))[:, None]
        for _ in range(4):  # towards the nearest point of the lane, along its tangent
            k = np.clip(np.rint(s / SPACING).astype(np.int32) + BEHIND, 0, bends.shape[1] - 1)
            angle = headings[rows, k]
            cos, sin = np.cos(angle), np.sin(angle)
            dx, dy = x - xs[rows, k], y - ys[rows, k]
            along = dx * cos + dy * sin
            s = (k - BEHIND) * SPACING + along
        across = dy * cos - dx * sin - 0.5 * bends[rows, k] * along * along
        return s, across

    def _colors(self, s: np.ndarray, d: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """(B, P, 3) from 0 to 1."""
        config, rng, count = self._config, self._rng, len(s)
        look, paint = self._camera.appearance, config.markings

        def some(low: float, high: float) -> np.ndarray:
            return rng.uniform(low, high, (count, 1)).astype(np.float32)

        def shades(color: Any) -> np.ndarray:
            """(B, 1, 3), each as the spread of the look has it."""
            low = np.array([c.uniform[0] if isinstance(c, Uniform) else c for c in color])
            high = np.array([c.uniform[1] if isinstance(c, Uniform) else c for c in color])
            drawn = low + (high - low) * rng.uniform(size=(count, 3))
            drawn += look.color_spread * rng.uniform(-1, 1, (count, 3))
            return drawn.clip(0, 1).astype(np.float32)[:, None]

        asphalt, lines = shades(config.color), shades(paint.color)
        wear = _draws(paint.wear, count, rng)
        lines = lines + BLEND * wear[..., None] * (asphalt - lines)
        width = widths[:, None]
        # the ground in tiles, of two colours, that lie at any angle
        angle, shift = some(0, 2 * math.pi), some(0, 100)
        gx = (s * np.cos(angle) - d * np.sin(angle) + shift) / TILE
        gy = (s * np.sin(angle) + d * np.cos(angle) + shift) / TILE
        odd = ((np.floor(gx) + np.floor(gy)) % 2)[..., None]
        first, second = (shades(color) for color in look.ground)
        colors = first + odd * (second - first)
        on_road = (d > -0.5 * width - SHOULDER) & (d < 1.5 * width + SHOULDER)
        painted = np.ones_like(on_road)
        if config.crossings is not None:  # one in as many views as there are in a flight
            there = some(0, 1) < (BEHIND + AHEAD) / config.crossings
            near = np.abs(s - some(-5, 60)) < width
            crossing = there & near & (np.abs(d) < CROSSING_REACH)
            on_road |= crossing
            painted &= ~(there & near)
        if paint.missing is not None:
            start, length = some(0, 1) * paint.missing.every, paint.missing.length
            painted &= (s + start) % paint.missing.every >= length
        cells = rng.uniform(size=(count, 128, 3)).astype(np.float32)
        cell = np.clip(np.floor(s).astype(np.int32) + 20, 0, 127)
        rows = np.arange(count)[:, None]
        half, period = 0.5 * paint.width, paint.dash + paint.gap
        dashed = (s + some(0, 1) * period) % period < paint.dash
        on_line = np.zeros_like(on_road)
        for k, (place, pattern) in enumerate(((-0.5, True), (0.5, dashed), (1.5, True))):
            on_line |= (np.abs(d - place * width) < half) & pattern & (cells[rows, cell, k] >= wear)
        colors = np.where(on_road[..., None], asphalt, colors)
        colors = np.where((on_line & painted)[..., None], lines, colors)
        if look.texture is not None:
            table = rng.uniform(size=(CELLS, CELLS)).astype(np.float32)
            size = look.texture.cell_size / TILE
            i, j = (np.floor(g / size).astype(np.int32) % CELLS for g in (gx, gy))
            colors = colors * (1 - look.texture.contrast * table[i, j])[..., None]
        return colors


def _draws(value: float | Uniform, count: int, rng: np.random.Generator) -> np.ndarray:
    """(B, 1) of a number that the seed may pick."""
    return np.array([[draw(value, rng)] for _ in range(count)], np.float32)
