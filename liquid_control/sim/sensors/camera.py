"""A pinhole camera on the vehicle, drawn by PyBullet's TinyRenderer (no GPU, no display).

The scene lives in an engine of its own, so that looking never touches the physics. The image is
that of the optical frame: columns to the right, rows down. The geometry may be textured. All other
appearance is added to the picture: brightness, exponential fog by depth, Gaussian noise, an
occluding patch, and motion blur as the mean of frames along the motion during the exposure.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pybullet

from liquid_control.frames import quat_from_yaw, quat_integrate, rotate_components
from liquid_control.sim.quantities import draw
from liquid_control.sim.scenario import (
    AppearanceConfig,
    CameraConfig,
    ObstacleConfig,
    TextureConfig,
)
from liquid_control.sim.wind.sources import Vector

NEAR, FAR = 0.05, 60.0  # m, clipping planes
BACKGROUND = 0.999999  # depth buffer where nothing was drawn; a polygon at 59 m has 0.99999
GROUND_TILES = 20  # per side; small polygons, since TinyRenderer drops those that cross the eye
TILE_SIZE = 2.0  # m
TEXTURE_CELLS = 64  # per side, then the texture repeats; even, so that a checker has no seam
CYLINDER_SIDES = 32  # of a textured one
NOISE_FRAMES = 16  # of pixel noise that are drawn when a flight starts
SKY = np.array([178, 204, 230], dtype=np.float32)  # also the colour of fog


class Scene:
    """Ground and obstacles; ``rng`` picks the noise of their texture."""

    def __init__(
        self,
        look: AppearanceConfig,
        obstacles: Sequence[ObstacleConfig],
        rng: np.random.Generator,
    ):
        self._client = pybullet.connect(pybullet.DIRECT)
        texture = look.texture
        period = TEXTURE_CELLS * texture.cell_size if texture else 1.0
        bodies = [self._add_tiles(odd, color, period) for odd, color in enumerate(look.ground)]
        for obstacle in obstacles:
            shape = _textured_shape(obstacle, period) if texture else _visual_shape(obstacle)
            visual = pybullet.createVisualShape(
                rgbaColor=[*obstacle.color, 1.0], physicsClientId=self._client, **shape
            )
            bodies.append(self._add(visual, obstacle.pos, obstacle.yaw_deg))
        if texture:
            self._cover(bodies, _texture_cells(texture, rng))

    def close(self) -> None:
        """Release the renderer."""
        pybullet.disconnect(physicsClientId=self._client)

    def _add(self, visual: int, pos: Vector, yaw_deg: float = 0.0) -> int:
        return pybullet.createMultiBody(
            0,
            -1,
            visual,
            list(pos),
            quat_from_yaw(np.float64(math.radians(yaw_deg))).tolist(),
            physicsClientId=self._client,
        )

    def _cover(self, bodies: Sequence[int], cells: np.ndarray) -> None:
        """Multiply the bodies' colours by a texture, one pixel per cell."""
        with TemporaryDirectory() as folder:
            path = Path(folder, "texture.tga")
            path.write_bytes(_tga(cells))
            texture = pybullet.loadTexture(str(path), physicsClientId=self._client)
        for body in bodies:
            pybullet.changeVisualShape(
                body, -1, textureUniqueId=texture, physicsClientId=self._client
            )

    def _add_tiles(self, odd: int, color: Vector, period: float) -> int:
        """One body with every second tile; its texture repeats after ``period``, m."""
        vertices, indices = [], []
        half = GROUND_TILES // 2
        for i in range(-half, half):
            for j in range(-half, half):
                if (i + j) % 2 == odd:
                    first = len(vertices)
                    for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)):
                        vertices.append([(i + di) * TILE_SIZE, (j + dj) * TILE_SIZE, 0.0])
                    indices += [first, first + 1, first + 2, first, first + 2, first + 3]
        visual = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=vertices,
            indices=indices,
            normals=[[0, 0, 1]] * len(vertices),
            # the renderer wants no negative texture coordinates
            uvs=[[(v + half * TILE_SIZE) / period for v in vertex[:2]] for vertex in vertices],
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


def _textured_shape(obstacle: ObstacleConfig, period: float) -> dict:
    """The obstacle as a prism whose texture repeats after ``period``, m, on every side.

    PyBullet's own boxes and cylinders stretch a texture over their sides.
    """
    x, y, z = obstacle.size
    sides = CYLINDER_SIDES if obstacle.shape == "cylinder" else 4
    angle = 2 * math.pi * (np.arange(sides) + 0.5) / sides
    outline = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outline *= np.array([x, y]) / (2 * outline[0, 0] if sides == 4 else 2)
    vertices, normals, uvs, indices = [], [], [], []

    def face(corners, normal, places):
        first = len(vertices)
        vertices.extend(corners)
        normals.extend([normal] * len(corners))
        uvs.extend([u / period, v / period] for u, v in places)
        for k in range(1, len(corners) - 1):
            indices.extend([first, first + k, first + k + 1])

    along = 0.0
    for (ax, ay), (bx, by) in zip(outline.tolist(), np.roll(outline, -1, axis=0).tolist()):
        length = math.hypot(bx - ax, by - ay)
        face(
            [[ax, ay, -z / 2], [bx, by, -z / 2], [bx, by, z / 2], [ax, ay, z / 2]],
            [(by - ay) / length, (ax - bx) / length, 0.0],
            [(along, 0.0), (along + length, 0.0), (along + length, z), (along, z)],
        )
        along += length
    for up in (1, -1):
        corners = outline[::up].tolist()
        places = [(px + x / 2, py + y / 2) for px, py in corners]
        face([[px, py, up * z / 2] for px, py in corners], [0.0, 0.0, float(up)], places)
    return {
        "shapeType": pybullet.GEOM_MESH,
        "vertices": vertices,
        "normals": normals,
        "uvs": uvs,
        "indices": indices,
    }


def _tga(cells: np.ndarray) -> bytes:
    """An uncompressed Truevision TGA 2.0 picture, 24 bits per pixel, first row on top."""
    rows, columns = cells.shape
    header = struct.pack("<3B9x2H2B", 0, 0, 2, columns, rows, 24, 0x20)
    return header + np.repeat(cells, 3).tobytes()


def _visual_shape(obstacle: ObstacleConfig) -> dict:
    """Arguments of PyBullet's createVisualShape for an obstacle."""
    x, y, z = obstacle.size
    if obstacle.shape == "cylinder":
        return {"shapeType": pybullet.GEOM_CYLINDER, "radius": x / 2, "length": z}
    return {"shapeType": pybullet.GEOM_BOX, "halfExtents": [x / 2, y / 2, z / 2]}


def projection_matrix(config: CameraConfig) -> list[float]:
    """OpenGL projection of the intrinsics, column by column as PyBullet takes it."""
    (fx, fy), (cx, cy) = config.focal_length, config.principal_point
    w, h = config.width, config.height
    a, b = -(FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)
    columns = [
        [2 * fx / w, 0.0, 0.0, 0.0],
        [0.0, 2 * fy / h, 0.0, 0.0],
        [1 - 2 * cx / w, 2 * cy / h - 1, a, -1.0],
        [0.0, 0.0, b, 0.0],
    ]
    return [value for column in columns for value in column]


class Camera:
    """The camera of one flight."""

    def __init__(
        self,
        config: CameraConfig,
        obstacles: Sequence[ObstacleConfig],
        rng: np.random.Generator,
    ):
        self._config, self._rng = config, rng
        look = config.appearance
        self._scene = Scene(look, obstacles, rng)
        self._projection = projection_matrix(config)
        self._brightness = draw(look.brightness, rng)
        self._fog = draw(look.fog, rng)
        heading = math.radians(draw(look.light_toward_deg, rng))
        # PyBullet wants the direction towards the light
        self._light = [-math.cos(heading), -math.sin(heading), 1.5]
        pitch = math.radians(config.pitch_deg)
        self._forward = (math.cos(pitch), 0.0, math.sin(pitch))
        self._up = (-math.sin(pitch), 0.0, math.cos(pitch))
        self._patch = rng.uniform(0, 1, 2)  # place of the occlusion
        if look.noise:
            row = rng.standard_normal(NOISE_FRAMES * 3 * config.width * config.height)
            self._noise = (look.noise * row).astype(np.float32)

    def close(self) -> None:
        """Release the renderer."""
        self._scene.close()

    def image(
        self,
        pos_world: np.ndarray,
        quat_world_body: np.ndarray,
        vel_world: np.ndarray,
        ang_vel_body: np.ndarray,
    ) -> np.ndarray:
        """RGB image (height, width, 3) uint8 from the vehicle's pose; the twist blurs it."""
        c = self._config
        picture = self._still(pos_world, quat_world_body)
        if c.exposure > 0:
            for share in range(1, c.blur_frames):
                back = -c.exposure * share / (c.blur_frames - 1)
                quat = quat_integrate(quat_world_body, ang_vel_body, back)
                picture += self._still(pos_world + back * vel_world, quat)
            picture /= c.blur_frames
        picture *= np.float32(self._brightness)
        if c.appearance.noise:
            picture += self._fresh_noise(picture.shape)
        self._occlude(picture)
        np.clip(picture, 0, 255, out=picture)
        return picture.astype(np.uint8)

    def _fresh_noise(self, shape: tuple[int, ...]) -> np.ndarray:
        """Noise from a random place in a long row of it: drawing it anew costs as much as the
        picture."""
        size = math.prod(shape)
        start = int(self._rng.integers(len(self._noise) - size))
        return self._noise[start : start + size].reshape(shape)

    def view(self, pos: np.ndarray, quat: np.ndarray) -> tuple[float, ...]:
        """OpenGL view matrix from the vehicle's pose."""
        q = tuple(quat.tolist())
        ex, ey, ez = rotate_components(*q, *self._config.pos_body)
        fx, fy, fz = rotate_components(*q, *self._forward)
        x, y, z = pos.tolist()
        eye = (x + ex, y + ey, z + ez)
        target = (eye[0] + fx, eye[1] + fy, eye[2] + fz)
        return pybullet.computeViewMatrix(eye, target, rotate_components(*q, *self._up))

    def draw_only(self, view: tuple[float, ...]) -> tuple:
        """What the renderer returns for a view matrix, as it is."""
        size = (self._config.width, self._config.height)
        return self._scene.draw(view, self._projection, size, self._light)

    def _still(self, pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
        """RGB (height, width, 3) float32 with sky and fog."""
        width, height, rgba, buffer, _ = self.draw_only(self.view(pos, quat))
        buffer = np.asarray(buffer, dtype=np.float32).reshape(height, width)
        pixels = np.asarray(rgba, dtype=np.uint8).reshape(height, width, 4)
        rgb = pixels[..., :3].astype(np.float32)
        rgb[buffer >= BACKGROUND] = SKY
        if self._fog:
            depth = FAR * NEAR / (FAR - (FAR - NEAR) * buffer)  # m
            rgb -= SKY
            rgb *= np.exp(-np.float32(self._fog) * depth)[..., None]
            rgb += SKY
        return rgb

    def _occlude(self, picture: np.ndarray) -> None:
        share = self._config.appearance.occlusion
        height, width = picture.shape[:2]
        rows, columns = round(share * height), round(share * width)
        top = round(self._patch[0] * (height - rows))
        left = round(self._patch[1] * (width - columns))
        picture[top : top + rows, left : left + columns] = 0.0
