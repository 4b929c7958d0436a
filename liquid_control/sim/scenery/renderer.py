"""The world drawn by PyBullet's TinyRenderer (no GPU, no display).

It lives in an engine of its own, so that looking never touches the physics.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pybullet

from liquid_control.sim.scenery import shapes
from liquid_control.sim.scenery.config import (
    AppearanceConfig,
    Color,
    SceneObject,
    TextureConfig,
    shaded,
)
from liquid_control.sim.scenery.shifts import HAZE
from liquid_control.sim.wind.sources import Vector

NEAR, FAR = 0.05, 60.0  # m, clipping planes
BACKGROUND = 0.999999  # depth buffer where nothing was drawn; a polygon at 59 m has 0.99999
GROUND_TILES = 20  # per side; small polygons, since TinyRenderer drops those that cross the eye
TILE_SIZE = 2.0  # m
VIEW = FAR  # m, within which what is seen from near only is there
FAR_TILE = 10.0  # m, side of a tile far from the eye, where the ground has to reach that far
GROUND_STEP = 2 * FAR_TILE  # m, by which the ground follows the eye
TEXTURE_CELLS = 64  # per side, then the texture repeats; even, so that a checker has no seam
SKY = HAZE
OUT_OF_SIGHT = (0.0, 0.0, -100.0)  # m, under the ground


class Renderer:
    """Ground and objects as a pinhole sees them; ``rng`` picks the noise of their texture."""

    def __init__(
        self,
        look: AppearanceConfig,
        objects: Sequence[SceneObject],
        rng: np.random.Generator,
    ):
        self._client = pybullet.connect(pybullet.DIRECT)
        texture = look.texture
        self._period = TEXTURE_CELLS * texture.cell_size if texture else None
        self._texture = self._load(_texture_cells(texture, rng)) if texture else None
        self._is_wide = any(hasattr(item, "near") for item in objects)
        self._spread, self._rng = look.color_spread, rng
        self._ground = [
            self._add_tiles(odd, self._shade(color)) for odd, color in enumerate(look.ground)
        ]
        self._ground_at = (0.0, 0.0)
        self._moving: list[tuple[SceneObject, list[int]]] = []
        for item in objects:
            if not hasattr(item, "near"):
                bodies = self._show(item, self._shade(item.color))
                if hasattr(item, "at"):
                    self._moving.append((item, bodies))
        # of what is seen from near only: what it looks like, and its bodies while it is there
        shades: dict[Color, Color] = {}
        self._near = [
            (item, shades.setdefault(item.color, self._shade(item.color)))
            for item in objects
            if hasattr(item, "near")
        ]
        self._shown: dict[int, list[int]] = {}

    def show_at(self, time: float) -> None:
        """Have what moves, and what can't be seen for a while, as it is ``time`` s after the
        start."""
        for item, bodies in self._moving:
            pos = item.at(time) if item.is_shown(time) else OUT_OF_SIGHT
            for body in bodies:
                pybullet.resetBasePositionAndOrientation(
                    body, pos, shapes.turn(item.yaw_deg), physicsClientId=self._client
                )

    def close(self) -> None:
        """Release the renderer; a second time does nothing."""
        pybullet.disconnect(physicsClientId=self._client)

    def _shade(self, color: Color) -> Color:
        """The colour as this flight has it."""
        return shaded(color, self._spread, self._rng) if self._spread else color

    def _show(self, item: SceneObject, color: Color) -> list[int]:
        """The bodies of an object."""
        bodies = []
        for shape in item.visuals(self._period):
            visual = pybullet.createVisualShape(
                rgbaColor=[*color, 1.0], physicsClientId=self._client, **shape
            )
            bodies.append(self._add(visual, item.pos, item.yaw_deg))
        return bodies

    def move_to(self, x: float, y: float) -> None:
        """Have ground, and what is seen from near, where an eye at this place sees them."""
        if not self._is_wide:
            return
        # by whole pairs of tiles, so that the ground seems to stand still
        here = tuple(
            at if abs(v - at) < GROUND_STEP else GROUND_STEP * round(v / GROUND_STEP)
            for v, at in zip((x, y), self._ground_at, strict=True)
        )
        if here != self._ground_at:
            self._ground_at = here
            for body in self._ground:
                pybullet.resetBasePositionAndOrientation(
                    body, [*here, 0.0], [0, 0, 0, 1], physicsClientId=self._client
                )
        for k, (item, color) in enumerate(self._near):
            at_x, at_y, radius = item.near
            seen = math.hypot(at_x - x, at_y - y) - radius < VIEW
            if seen and k not in self._shown:
                self._shown[k] = self._show(item, color)
            elif not seen and k in self._shown:
                for body in self._shown.pop(k):
                    pybullet.removeBody(body, physicsClientId=self._client)

    def _add(self, visual: int, pos: Vector, yaw_deg: float = 0.0) -> int:
        """A body, whose colour the texture multiplies."""
        body = pybullet.createMultiBody(
            0,
            -1,
            visual,
            list(pos),
            shapes.turn(yaw_deg),
            physicsClientId=self._client,
        )
        if self._texture is not None:
            pybullet.changeVisualShape(
                body, -1, textureUniqueId=self._texture, physicsClientId=self._client
            )
        return body

    def _load(self, cells: np.ndarray) -> int:
        """A texture, one pixel per cell."""
        with TemporaryDirectory() as folder:
            path = Path(folder, "texture.tga")
            path.write_bytes(_tga(cells))
            return pybullet.loadTexture(str(path), physicsClientId=self._client)

    def _add_tiles(self, odd: int, color: Color) -> int:
        """One body with every second tile of the ground."""
        vertices, indices = [], []
        half = GROUND_TILES // 2
        tiles = [(TILE_SIZE, i, j) for i in range(-half, half) for j in range(-half, half)]
        if self._is_wide:
            inner, outer = half * TILE_SIZE, round(VIEW / FAR_TILE)
            tiles += [
                (FAR_TILE, i, j)
                for i in range(-outer, outer)
                for j in range(-outer, outer)
                if max(abs(i + 0.5), abs(j + 0.5)) * FAR_TILE > inner
            ]
        for size, i, j in tiles:
            if (i + j) % 2 == odd:
                first = len(vertices)
                for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)):
                    vertices.append([(i + di) * size, (j + dj) * size, 0.0])
                indices += [first, first + 1, first + 2, first, first + 2, first + 3]
        # the renderer wants no negative texture coordinates
        corner, period = -min(x for x, *_ in vertices), self._period or 1.0
        visual = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=vertices,
            indices=indices,
            normals=[[0, 0, 1]] * len(vertices),
            uvs=[[(v + corner) / period for v in vertex[:2]] for vertex in vertices],
            rgbaColor=[*color, 1.0],
            physicsClientId=self._client,
        )
        return self._add(visual, (0.0, 0.0, 0.0))

    def draw(self, view, projection, size: tuple[int, int], light) -> tuple:
        """What PyBullet's getCameraImage returns."""
        return pybullet.getCameraImage(
            *size,
            view,
            projection,
            lightDirection=light,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )


def depth_of(drawn: tuple) -> np.ndarray:
    """What `Renderer.draw` returned as depth (height, width) float32, m along the view; the sky is
    infinitely far."""
    width, height, _, buffer, _ = drawn
    buffer = np.asarray(buffer, dtype=np.float32).reshape(height, width)
    return np.where(buffer >= BACKGROUND, np.float32(np.inf), _metres(buffer))


def _metres(buffer: np.ndarray) -> np.ndarray:
    return FAR * NEAR / (FAR - (FAR - NEAR) * buffer)


def foggy(drawn: tuple, fog: float) -> np.ndarray:
    """What `Renderer.draw` returned as RGB (height, width, 3) float32 with sky, and fog of 1/m."""
    width, height, rgba, buffer, _ = drawn
    buffer = np.asarray(buffer, dtype=np.float32).reshape(height, width)
    pixels = np.asarray(rgba, dtype=np.uint8).reshape(height, width, 4)
    rgb = pixels[..., :3].astype(np.float32)
    rgb[buffer >= BACKGROUND] = SKY
    if fog:
        rgb -= SKY
        rgb *= np.exp(-np.float32(fog) * _metres(buffer))[..., None]
        rgb += SKY
    return rgb


def projection_matrix(
    size: tuple[int, int],
    focal_length: tuple[float, float],
    principal_point: tuple[float, float],
) -> list[float]:
    """OpenGL projection of a pinhole in pixels, column by column as PyBullet takes it."""
    (w, h), (fx, fy), (cx, cy) = size, focal_length, principal_point
    a, b = -(FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    columns = [
        [2 * fx / w, 0.0, 0.0, 0.0],
        [0.0, 2 * fy / h, 0.0, 0.0],
        [1 - 2 * cx / w, 2 * cy / h - 1, a, -1.0],
        [0.0, 0.0, b, 0.0],
    ]
    return [value for column in columns for value in column]


def view_matrix(eye: Vector, target: Vector, up: Vector) -> tuple[float, ...]:
    """OpenGL view of a camera at ``eye`` that looks at ``target``, m, world."""
    return pybullet.computeViewMatrix(eye, target, up)


def _texture_cells(texture: TextureConfig, rng: np.random.Generator) -> np.ndarray:
    """Brightness of each cell, (TEXTURE_CELLS, TEXTURE_CELLS) uint8."""
    row, column = np.indices((TEXTURE_CELLS, TEXTURE_CELLS))
    if texture.kind == "noise":
        dark = rng.uniform(size=row.shape)
    elif texture.kind == "checker":
        dark = (row + column) % 2
    else:
        dark = column % 2
    return np.round(255 * (1 - texture.contrast * dark)).astype(np.uint8)


def _tga(cells: np.ndarray) -> bytes:
    """An uncompressed Truevision TGA 2.0 picture, 24 bits per pixel, first row on top."""
    rows, columns = cells.shape
    header = struct.pack("<3B9x2H2B", 0, 0, 2, columns, rows, 24, 0x20)
    return header + np.repeat(cells, 3).tobytes()
