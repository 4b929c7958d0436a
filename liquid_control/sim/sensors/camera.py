"""A pinhole camera on the vehicle.

The image is that of the optical frame: columns to the right, rows down. What it sees is drawn by
`scenery.renderer`; what the camera adds is put into the picture: brightness, Gaussian noise, an
occluding patch, and motion blur as the mean of frames along the motion during the exposure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from liquid_control.config import PositiveFloat, StrictModel
from liquid_control.frames import quat_integrate, rotate_components
from liquid_control.sim.quantities import Angle, Charge, Lag, Position, draw, key
from liquid_control.sim.scenery.config import AppearanceConfig, SceneObject
from liquid_control.sim.scenery.shifts import shifted

NOISE_FRAMES = 16  # of pixel noise that are drawn when a flight starts
FocalLength = Annotated[float, Field(gt=0, le=100_000)]  # px
Pixel = Annotated[float, Field(ge=-10_000, le=10_000)]  # px


class CameraConfig(StrictModel):
    """Intrinsics, mounting pose, timing and appearance of what it sees."""

    width: int = key("of the image", "px", gt=0, le=4096)
    height: int = key("of the image", "px", gt=0, le=4096)
    focal_length: tuple[FocalLength, FocalLength] = key("x and y", "px")
    principal_point: tuple[Pixel, Pixel] = key("from the top left corner", "px")
    pos_body: Position = key("of the eye, body", "m")
    pitch_deg: Angle = key("positive looks up", "°")
    update_rate: PositiveFloat = key("divides the control rate", "Hz")
    latency: Lag = key("from stamp to arrival, rounded up to control periods", "s")
    exposure: Lag = key("0 for no motion blur", "s")
    blur_frames: int = key("drawn per image along the exposure", gt=0, le=100)
    loss: Charge = key("share of the images that never arrive", default=0.0)
    appearance: AppearanceConfig = key("how the world looks", default=AppearanceConfig())


class Camera:
    """The camera of one flight.

    Args:
        depth: keep the depth of each picture, too.

    Attributes:
        depth: of the newest picture, (height, width) m along the view, infinite for the sky;
            ``None`` where it is not kept.
    """

    def __init__(
        self,
        config: CameraConfig,
        objects: Sequence[SceneObject],
        rng: np.random.Generator,
        depth: bool = False,
    ):
        from liquid_control.sim.scenery import renderer  # PyBullet, which reading worlds needs not

        self._config, self._rng = config, rng
        self._wants_depth, self.depth = depth or bool(config.appearance.shifts), None
        look = config.appearance
        self._drawing = renderer
        self._renderer = renderer.Renderer(look, objects, rng)
        self._size = (config.width, config.height)
        self._projection = renderer.projection_matrix(
            self._size, config.focal_length, config.principal_point
        )
        self._brightness = draw(look.brightness, rng)
        self._fog = draw(look.fog, rng)
        heading = math.radians(draw(look.light_toward_deg, rng))
        # PyBullet wants the direction towards the light
        self._light = [-math.cos(heading), -math.sin(heading), 1.5]
        pitch = math.radians(config.pitch_deg)
        self._forward = (math.cos(pitch), 0.0, math.sin(pitch))
        self._up = (-math.sin(pitch), 0.0, math.cos(pitch))
        self._patch = rng.uniform(0, 1, 2)  # place of the occlusion
        self._noise = None
        if look.noise:
            row = rng.standard_normal(NOISE_FRAMES * 3 * config.width * config.height)
            self._noise = (draw(look.noise, rng) * row).astype(np.float32)
        self._occlusion = draw(look.occlusion, rng)
        self._shifts = {name: draw(strength, rng) for name, strength in look.shifts.items()}

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """Focal length x and y, principal point x and y, px."""
        return *self._config.focal_length, *self._config.principal_point

    def loses(self) -> bool:
        """Whether the next image never arrives."""
        return self._config.loss > 0 and self._rng.uniform() < self._config.loss

    def close(self) -> None:
        """Release the renderer of the images."""
        self._renderer.close()

    def image(
        self,
        pos_world: np.ndarray,
        quat_world_body: np.ndarray,
        vel_world: np.ndarray,
        ang_vel_body: np.ndarray,
        time: float = 0.0,
    ) -> np.ndarray:
        """RGB image (height, width, 3) uint8 from the vehicle's pose, ``time`` s after the start;
        the twist blurs it."""
        c = self._config
        self._renderer.show_at(time)
        picture = self._still(pos_world, quat_world_body)
        if c.exposure > 0:
            for share in range(1, c.blur_frames):
                back = -c.exposure * share / (c.blur_frames - 1)
                quat = quat_integrate(quat_world_body, ang_vel_body, back)
                picture += self._still(pos_world + back * vel_world, quat)
            picture /= c.blur_frames
        picture *= np.float32(self._brightness)
        if self._shifts:
            picture = shifted(picture[None], self.depth[None], self._shifts, self._rng)[0]
        if self._noise is not None:
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
        self._renderer.move_to(eye[0], eye[1])
        target = (eye[0] + fx, eye[1] + fy, eye[2] + fz)
        return self._drawing.view_matrix(eye, target, rotate_components(*q, *self._up))

    def draw_only(self, view: tuple[float, ...]) -> tuple:
        """What the renderer returns for a view matrix, as it is."""
        return self._renderer.draw(view, self._projection, self._size, self._light)

    def _still(self, pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
        """RGB (height, width, 3) float32 with sky and fog."""
        drawn = self.draw_only(self.view(pos, quat))
        self.depth = self._drawing.depth_of(drawn) if self._wants_depth else None
        return self._drawing.foggy(drawn, self._fog)

    def _occlude(self, picture: np.ndarray) -> None:
        share = self._occlusion
        height, width = picture.shape[:2]
        rows, columns = round(share * height), round(share * width)
        top = round(self._patch[0] * (height - rows))
        left = round(self._patch[1] * (width - columns))
        picture[top : top + rows, left : left + columns] = 0.0
