"""Pictures of a flight: vehicle, trail, setpoint and wind in 3-D, error and neurons below.

Drawn from the `FlightLog` with Pillow at twice the size and reduced, so it needs no display and
no GPU. Streaks drift with the wind, where it blows; the trail is coloured by the position error,
and a disc on the ground is the vehicle's shadow. The picture says so beside the colours' key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liquid_control.config import missing_packages
from liquid_control.evaluation.columns import error_scale, has_wind, position_error
from liquid_control.evaluation.saliency import Sight
from liquid_control.evaluation.views.bodies import body_of
from liquid_control.evaluation.views.inks import ACCENT, GRID, HAZE, SKY, error_color
from liquid_control.evaluation.views.overlay import Overlay
from liquid_control.evaluation.views.viewpoint import Viewpoint, circle
from liquid_control.flight_log import FlightLog
from liquid_control.frames import matrix_from_quat, quat_normalize
from liquid_control.vehicles.kind import VehicleConfig

try:
    from PIL import Image, ImageDraw
except ModuleNotFoundError:
    raise missing_packages("report", ["pillow"]) from None

SUPERSAMPLING = 2
STREAKS = 80  # of wind
LINES = 360  # the height of the picture in units of `Viewpoint.pen`
_SQUARES = (1.0, 2.5, 5.0, 10.0)  # sides of the ground's grid, m, and decades of them


class Animation:
    """Pictures of one flight; `frame` must be called with rising times.

    Args:
        vehicle: drawn as `bodies` says, at true size.
        layers: names and neuron indices, in display order; default one layer of all neurons.
        size: width and height in pixels.
        sight: what the camera saw, shown beside the vehicle.
    """

    def __init__(
        self,
        log: FlightLog,
        vehicle: VehicleConfig,
        *,
        layers: Sequence[tuple[str, Sequence[int]]] = (),
        size: tuple[int, int] = (1920, 1080),
        sight: Sight | None = None,
    ):
        self.log, self.size = log, size
        self._canvas = tuple(SUPERSAMPLING * s for s in size)
        self._pen = self._canvas[1] / LINES
        self._body = body_of(vehicle, log)
        self._overlay = Overlay(log, layers, self._canvas, sight)
        self._windy, self._error_scale = has_wind(log), error_scale(log)
        self._error = position_error(log)
        self._pos = _known(log.motion.pos_world, (0.0, 0.0, 0.0))
        self._setpoint = _known(log.setpoint_pos_world, self._pos[0])
        quat = _known(log.motion.quat_world_body, (0.0, 0.0, 0.0, 1.0))
        self._R_world_body = matrix_from_quat(quat_normalize(quat.T))  # (3, 3, N)
        self._scale = self._body.reach  # m
        self._focus = _smooth(self._pos, log.time, 0.35)
        self._distance = 13 * self._scale  # m from the eye to the vehicle
        rng = np.random.default_rng(0)
        self._streaks = rng.uniform(-1, 1, (STREAKS, 3)) * self._box
        self._time = log.time[0]
        self._sky = self._draw_sky()

    @property
    def _box(self) -> np.ndarray:
        return np.array([1.6, 1.6, 0.8]) * self._distance

    def frame(self, time: float) -> Image.Image:
        """The picture at ``time`` s, RGB, of the given size."""
        log = self.log
        k = min(int(np.searchsorted(log.time, time)), len(log.time) - 1)
        view = self._look(k)
        picture = self._sky.copy()
        draw = ImageDraw.Draw(picture, "RGBA")
        self._draw_ground(draw, view, k)
        if self._windy:
            self._draw_wind(draw, view, np.nan_to_num(log.wind_world[k]), k, time)
        self._draw_setpoint(draw, view, k)
        self._draw_trail(draw, view, k)
        self._body.draw(draw, view, self._pos[k], self._R_world_body[:, :, k], k)
        self._overlay.draw(picture, draw, k)
        return picture.reduce(SUPERSAMPLING)

    def _look(self, k: int) -> Viewpoint:
        target = self._focus[k]
        azimuth = np.deg2rad(-60 + 3.0 * (self.log.time[k] - self.log.time[0]))
        offset = np.array([np.cos(azimuth), np.sin(azimuth), 0.38]) * self._distance
        eye = target + offset
        eye[2] = max(eye[2], 2 * self._scale)
        width, height = self._canvas
        return Viewpoint.look_at(
            eye, target, 1.45 * height, (0.5 * width, 0.44 * height), self._pen
        )

    def _draw_sky(self) -> Image.Image:
        width, height = self._canvas
        blend = np.linspace(0, 1, height)[:, None, None] ** 1.5
        column = (np.array(SKY) * (1 - blend) + np.array(HAZE) * blend).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(np.broadcast_to(column, (height, width, 3))))

    def _square(self) -> float:
        """Side of the ground's squares, m: a round number, by how far the picture reaches."""
        wanted = 0.6 * self._distance
        decade = 10 ** np.floor(np.log10(wanted))
        return decade * max(step for step in _SQUARES if step * decade <= wanted * (1 + 1e-9))

    def _draw_ground(self, draw: ImageDraw.ImageDraw, view: Viewpoint, k: int) -> None:
        spacing, half = self._square(), 14
        corner = np.round(self._focus[k][:2] / spacing)
        offsets = np.arange(-half, half + 1)
        for axis in (0, 1):
            for i in offsets:
                line = np.zeros((9, 3))
                line[:, axis] = (corner[axis] + i) * spacing
                line[:, 1 - axis] = (corner[1 - axis] + np.linspace(-half, half, 9)) * spacing
                pixels, depth = view.project(line)
                major = (corner[axis] + i) % 4 == 0
                for j in range(8):
                    if min(depth[j], depth[j + 1]) > 0.05:
                        fade = 1 - abs(j + 0.5 - 4) / 4
                        fade *= 1 - abs(i) / (half + 1)
                        alpha = int((230 if major else 120) * max(fade, 0))
                        draw.line([*pixels[j], *pixels[j + 1]], (*GRID, alpha), self._wide(1))
        shadow = self._pos[k] * [1, 1, 0]
        ring = circle(0.9 * self._scale) + shadow
        pixels, depth = view.project(ring)
        if depth.min() > 0.05:
            draw.polygon([tuple(p) for p in pixels], (0, 0, 0, 110))

    def _draw_wind(
        self, draw: ImageDraw.ImageDraw, view: Viewpoint, wind: np.ndarray, k: int, time: float
    ) -> None:
        box = self._box
        self._streaks += wind * (time - self._time)
        self._time = time
        center = self._focus[k]
        points = center + (self._streaks - center + box) % (2 * box) - box
        tails = points - 0.05 * wind
        head, depth = view.project(points)
        tail, tail_depth = view.project(tails)
        speed = np.linalg.norm(wind)
        visible = (depth > 0.1) & (tail_depth > 0.1) & (points[:, 2] > 0)
        for i in np.flatnonzero(visible):
            near = np.clip(1.4 - depth[i] / (2.5 * self._distance), 0.15, 1)
            alpha = int(140 * near * np.clip(speed / 3, 0.15, 1))
            draw.line([*tail[i], *head[i]], (170, 205, 245, alpha), self._wide(1))

    def _draw_setpoint(self, draw: ImageDraw.ImageDraw, view: Viewpoint, k: int) -> None:
        first = max(0, k - self._steps(2.0))
        ahead = self._setpoint[first : k + self._steps(2.0) : self._steps(0.04)]
        pixels, depth = view.project(ahead)
        for a, b, z in zip(pixels[:-1:2], pixels[1::2], depth[::2]):
            if z > 0.05:
                draw.line([*a, *b], (*ACCENT, 130), self._wide(1))
        (center,), (depth,) = view.project(self._setpoint[k])
        if depth < 0.05:
            return
        radius = view.focal * 0.55 * self._scale / depth
        _ring(draw, center, radius, (*ACCENT, 230), self._wide(1.5))
        for direction in np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]):
            draw.line(
                [*(center + direction * radius), *(center + direction * radius * 1.5)],
                (*ACCENT, 230),
                self._wide(1.5),
            )

    def _draw_trail(self, draw: ImageDraw.ImageDraw, view: Viewpoint, k: int) -> None:
        stride = max(self._steps(0.03), 1)
        indices = np.arange(max(0, k - self._steps(3.0)), k + 1, stride)
        if len(indices) < 2:
            return
        pixels, depth = view.project(self._pos[indices])
        for i in range(len(indices) - 1):
            if min(depth[i], depth[i + 1]) < 0.05:
                continue
            age = (i + 1) / len(indices)
            color = error_color(self._error[indices[i]], self._error_scale)
            draw.line([*pixels[i], *pixels[i + 1]], (*color, int(235 * age)), self._wide(2.5))

    def _wide(self, pens: float) -> int:
        """Width of a line in px of the canvas."""
        return max(round(pens * self._pen), 1)

    def _steps(self, seconds: float) -> int:
        return max(round(seconds * self.log.control_rate), 1)


def _known(values: np.ndarray, default: Sequence[float]) -> np.ndarray:
    """The same with the last known row in place of unknown ones; at first the first known one."""
    known = np.isfinite(values).all(axis=1)
    if not known.any():
        return np.tile(np.array(default, float), (len(values), 1))
    newest = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return values[np.where(newest < 0, known.argmax(), newest)]


def _smooth(values: np.ndarray, time: np.ndarray, constant: float) -> np.ndarray:
    """First-order lag forwards and backwards, so that the eye leads as much as it lags."""
    keep = np.exp(-np.diff(time, prepend=time[0]) / constant)[:, None]
    for _ in range(2):
        smooth = values.copy()
        for k in range(1, len(values)):
            smooth[k] = keep[k] * smooth[k - 1] + (1 - keep[k]) * values[k]
        values = smooth[::-1]
    return values


def _ring(
    draw: ImageDraw.ImageDraw, center: np.ndarray, radius: float, color: tuple, width: int
) -> None:
    x, y = center
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=color, width=width)
