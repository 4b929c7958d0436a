"""Pictures of a flight: vehicle, trail, setpoint and wind in 3-D, error and neurons below.

Drawn from the `FlightLog` with Pillow at twice the size and reduced, so it needs no display and
no GPU. Streaks drift with the true wind; the trail is coloured by the position error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liquid_control.config import missing_packages
from liquid_control.evaluation.metrics import neuron_activity, position_error
from liquid_control.frames import matrix_from_quat, quat_normalize
from liquid_control.structs import FlightLog
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig

try:
    from PIL import Image, ImageDraw, ImageFont
except ModuleNotFoundError:
    raise missing_packages("report", ["pillow"]) from None

SUPERSAMPLING = 2
STREAKS = 80  # of wind
STROBOSCOPE = 0.02  # of the true rotor speed, slow enough for the eye
ERROR_SCALE = 0.10  # m, the error at which a trail is fully red
SKY, HAZE, GRID = (13, 20, 33), (34, 48, 70), (96, 118, 152)
INK, MUTED, ACCENT = (232, 238, 247), (140, 156, 180), (94, 200, 255)
GOOD, BAD = np.array([64, 210, 190]), np.array([255, 110, 80])
POSITIVE, NEGATIVE = np.array([255, 170, 80]), np.array([90, 160, 255])
MODE_COLORS = {"policy": GOOD, "backup": (255, 190, 70), "descend": BAD, "silent": (200, 60, 90)}


@dataclass(frozen=True)
class Viewpoint:
    """A pinhole at ``eye``, looking at ``target``; picture coordinates in pixels."""

    eye: np.ndarray  # (3,) m
    axes: np.ndarray  # (3, 3): rows right, down, forward
    focal: float  # px
    center: tuple[float, float]  # px

    @classmethod
    def look_at(
        cls, eye: np.ndarray, target: np.ndarray, focal: float, center: tuple[float, float]
    ) -> Viewpoint:
        """Upright, with ``target`` in the centre."""
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return cls(eye, np.stack([right, np.cross(forward, right), forward]), focal, center)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points ``(n, 3)`` to pixels ``(n, 2)`` and depth ``(n,)`` in m."""
        right, down, depth = self.axes @ (np.atleast_2d(points) - self.eye).T
        scale = self.focal / np.maximum(depth, 1e-6)
        return np.stack([self.center[0] + right * scale, self.center[1] + down * scale], 1), depth


class Scene:
    """Pictures of one flight; `frame` must be called with rising times.

    Args:
        vehicle: its rotors are drawn at true size.
        layers: names and neuron indices, in display order; default one layer of all neurons.
        size: width and height in pixels.
    """

    def __init__(
        self,
        log: FlightLog,
        vehicle: QuadrotorConfig,
        *,
        layers: Sequence[tuple[str, Sequence[int]]] = (),
        size: tuple[int, int] = (640, 360),
    ):
        self.log, self.vehicle = log, vehicle
        self.size = size
        self._layers = layers or [("", range(log.neurons.shape[1]))]
        self._canvas = tuple(SUPERSAMPLING * s for s in size)
        self._error = position_error(log)
        self._up_from_body = matrix_from_quat(quat_normalize(log.quat_world_body.T))  # (3, 3, N)
        self._scale = max(np.linalg.norm(p) for p in vehicle.rotor_positions)  # m, arm length
        self._focus = _smooth(log.pos_world, log.time, 0.35)
        self._view = 13 * self._scale  # m from the camera to the vehicle
        rng = np.random.default_rng(0)
        self._streaks = rng.uniform(-1, 1, (STREAKS, 3)) * self._box
        self._time = log.time[0]
        self._activity = neuron_activity(log)
        turned = np.cumsum(log.rotor_speed, axis=0) / log.control_rate
        self._blade_angle = STROBOSCOPE * turned * np.array(vehicle.rotor_directions)
        self._fonts = {s: ImageFont.load_default(s * SUPERSAMPLING) for s in (10, 12, 20)}
        self._sky = self._draw_sky()

    @property
    def _box(self) -> np.ndarray:
        return np.array([1.6, 1.6, 0.8]) * self._view

    def frame(self, time: float) -> Image.Image:
        """The picture at ``time`` s, RGB, of the given size."""
        log = self.log
        k = min(int(np.searchsorted(log.time, time)), len(log.time) - 1)
        viewpoint = self._viewpoint(k)
        picture = self._sky.copy()
        draw = ImageDraw.Draw(picture, "RGBA")
        self._draw_ground(draw, viewpoint, k)
        self._draw_wind(draw, viewpoint, k, time)
        self._draw_setpoint(draw, viewpoint, k)
        self._draw_trail(draw, viewpoint, k)
        self._draw_vehicle(draw, viewpoint, k)
        self._draw_text(draw, k)
        self._draw_error(draw, k)
        self._draw_neurons(draw, k)
        return picture.reduce(SUPERSAMPLING)

    def _viewpoint(self, k: int) -> Viewpoint:
        target = self._focus[k]
        azimuth = np.deg2rad(-60 + 3.0 * (self.log.time[k] - self.log.time[0]))
        offset = np.array([np.cos(azimuth), np.sin(azimuth), 0.38]) * self._view
        eye = target + offset
        eye[2] = max(eye[2], 2 * self._scale)
        width, height = self._canvas
        return Viewpoint.look_at(eye, target, 1.45 * height, (0.5 * width, 0.44 * height))

    def _draw_sky(self) -> Image.Image:
        width, height = self._canvas
        blend = np.linspace(0, 1, height)[:, None, None] ** 1.5
        column = (np.array(SKY) * (1 - blend) + np.array(HAZE) * blend).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(np.broadcast_to(column, (height, width, 3))))

    def _draw_ground(self, draw: ImageDraw.ImageDraw, viewpoint: Viewpoint, k: int) -> None:
        spacing, half = 0.25, 14
        corner = np.round(self._focus[k][:2] / spacing)
        offsets = np.arange(-half, half + 1)
        for axis in (0, 1):
            for i in offsets:
                line = np.zeros((9, 3))
                line[:, axis] = (corner[axis] + i) * spacing
                line[:, 1 - axis] = (corner[1 - axis] + np.linspace(-half, half, 9)) * spacing
                pixels, depth = viewpoint.project(line)
                major = (corner[axis] + i) % 4 == 0
                for j in range(8):
                    if min(depth[j], depth[j + 1]) > 0.05:
                        fade = 1 - abs(j + 0.5 - 4) / 4
                        fade *= 1 - abs(i) / (half + 1)
                        alpha = int((230 if major else 120) * max(fade, 0))
                        draw.line([*pixels[j], *pixels[j + 1]], (*GRID, alpha), 2)
        shadow = self.log.pos_world[k] * [1, 1, 0]
        ring = _circle(0.9 * self._scale) + shadow
        pixels, depth = viewpoint.project(ring)
        if depth.min() > 0.05:
            draw.polygon([tuple(p) for p in pixels], (0, 0, 0, 110))

    def _draw_wind(
        self, draw: ImageDraw.ImageDraw, viewpoint: Viewpoint, k: int, time: float
    ) -> None:
        wind, box = self.log.wind_world[k], self._box
        self._streaks += wind * (time - self._time)
        self._time = time
        center = self._focus[k]
        points = center + (self._streaks - center + box) % (2 * box) - box
        tails = points - 0.05 * wind
        head, depth = viewpoint.project(points)
        tail, tail_depth = viewpoint.project(tails)
        speed = np.linalg.norm(wind)
        visible = (depth > 0.1) & (tail_depth > 0.1) & (points[:, 2] > 0)
        for i in np.flatnonzero(visible):
            near = np.clip(1.4 - depth[i] / (2.5 * self._view), 0.15, 1)
            alpha = int(140 * near * np.clip(speed / 3, 0.15, 1))
            draw.line([*tail[i], *head[i]], (170, 205, 245, alpha), 2)

    def _draw_setpoint(self, draw: ImageDraw.ImageDraw, viewpoint: Viewpoint, k: int) -> None:
        first = max(0, k - self._steps(2.0))
        ahead = self.log.setpoint_pos_world[first : k + self._steps(2.0) : self._steps(0.04)]
        pixels, depth = viewpoint.project(ahead)
        for a, b, z in zip(pixels[:-1:2], pixels[1::2], depth[::2]):
            if z > 0.05:
                draw.line([*a, *b], (*ACCENT, 130), 2)
        (center,), (depth,) = viewpoint.project(self.log.setpoint_pos_world[k])
        if depth < 0.05:
            return
        radius = viewpoint.focal * 0.55 * self._scale / depth
        _ring(draw, center, radius, (*ACCENT, 230), 3)
        for direction in np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]):
            draw.line(
                [*(center + direction * radius), *(center + direction * radius * 1.5)],
                (*ACCENT, 230),
                3,
            )

    def _draw_trail(self, draw: ImageDraw.ImageDraw, viewpoint: Viewpoint, k: int) -> None:
        stride = max(self._steps(0.03), 1)
        indices = np.arange(max(0, k - self._steps(3.0)), k + 1, stride)
        if len(indices) < 2:
            return
        pixels, depth = viewpoint.project(self.log.pos_world[indices])
        for i in range(len(indices) - 1):
            if min(depth[i], depth[i + 1]) < 0.05:
                continue
            age = (i + 1) / len(indices)
            color = self._error_color(self._error[indices[i]])
            draw.line([*pixels[i], *pixels[i + 1]], (*color, int(235 * age)), 5)

    def _draw_vehicle(self, draw: ImageDraw.ImageDraw, viewpoint: Viewpoint, k: int) -> None:
        matrix, pos = self._up_from_body[:, :, k], self.log.pos_world[k]
        rotors = np.array(self.vehicle.rotor_positions)
        radius = 0.6 * np.linalg.norm(rotors[0, :2])
        ends, depth = viewpoint.project(pos + rotors @ matrix.T)
        (center,), _ = viewpoint.project(pos)
        pixel = viewpoint.focal / depth.mean()
        for i in np.argsort(-depth):
            nose = rotors[i, 0] > 0
            arm = (235, 240, 248) if nose else (120, 132, 152)
            draw.line([*center, *ends[i]], arm, max(int(0.12 * self._scale * pixel), 3))
            disc, _ = viewpoint.project(
                pos + (rotors[i] + _circle(radius) + [0, 0, 0.006]) @ matrix.T
            )
            tint = ACCENT if nose else (190, 200, 215)
            draw.polygon([tuple(p) for p in disc], (*tint, 60), (*tint, 190))
            angle = self._blade_angle[k, i]
            blade = radius * np.array([np.cos(angle), np.sin(angle), 0.006 / radius])
            tips = rotors[i] + np.stack([blade, blade * [-1, -1, 1]])
            tips, _ = viewpoint.project(pos + tips @ matrix.T)
            draw.line([*tips[0], *tips[1]], (255, 255, 255, 150), 3)
        body = _circle(0.32 * self._scale) @ matrix.T + pos
        hull, _ = viewpoint.project(body)
        draw.polygon([tuple(p) for p in hull], (52, 64, 86), (235, 240, 248))

    def _draw_text(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        log, s = self.log, SUPERSAMPLING
        wind, mode = log.wind_world[k], str(log.mode[k])
        draw.text((14 * s, 10 * s), f"{100 * self._error[k]:.1f} cm", INK, self._fonts[20])
        draw.text((14 * s, 34 * s), "position error", MUTED, self._fonts[10])
        right = self._canvas[0] - 14 * s
        draw.text((right, 10 * s), f"{np.linalg.norm(wind):.1f} m/s", INK, self._fonts[20], "ra")
        draw.text((right, 34 * s), "wind", MUTED, self._fonts[10], "ra")
        middle = self._canvas[0] / 2
        draw.text((middle, 12 * s), f"{log.time[k]:.1f} s", MUTED, self._fonts[12], "ma")
        color = tuple(int(c) for c in MODE_COLORS.get(mode, MUTED))
        draw.text((middle, 28 * s), mode, color, self._fonts[12], "ma")

    def _draw_error(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        s = SUPERSAMPLING
        width, height = self._canvas
        left, right, bottom, tall = 14 * s, 0.36 * width, height - 16 * s, 40 * s
        steps = np.arange(max(0, k - self._steps(5.0)), k + 1, max(self._steps(0.05), 1))
        draw.line([left, bottom, right, bottom], (*MUTED, 120), s)
        draw.line([left, bottom - tall, right, bottom - tall], (*MUTED, 40), s)
        draw.text(
            (right, bottom - tall - 3), f"{100 * ERROR_SCALE:.0f} cm", MUTED, self._fonts[10], "rd"
        )
        draw.text((left, bottom + 2), "error, last 5 s", MUTED, self._fonts[10])
        if len(steps) > 1:
            x = right - (k - steps) / self._steps(5.0) * (right - left)
            y = bottom - np.clip(self._error[steps] / ERROR_SCALE, 0, 1) * tall
            draw.line(
                np.stack([x, y], 1).ravel().tolist(), self._error_color(self._error[k]), 2 * s
            )

    def _draw_neurons(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        if not self.log.neurons.shape[1]:
            return
        s = SUPERSAMPLING
        width, height = self._canvas
        left, right = 0.41 * width, width - 14 * s
        values = self._activity[k]
        most = max(len(ids) for _, ids in self._layers)
        row = 44 * s / len(self._layers)
        for r, (name, ids) in enumerate(self._layers):
            y = height - 58 * s + r * row
            draw.text((left, y + row / 2), name, MUTED, self._fonts[10], "lm")
            start = left + 52 * s
            cell = min((right - start) / most, row)
            for i, neuron in enumerate(ids):
                x = start + i * cell
                box = [x, y + s, x + cell - s, y + min(row, cell) - s]
                draw.rounded_rectangle(box, 2 * s, _diverging(values[neuron]))
        draw.text((right, height - 14 * s), "neurons", MUTED, self._fonts[10], "ra")

    def _error_color(self, error: float) -> tuple[int, int, int]:
        share = min(error / ERROR_SCALE, 1.0)
        return tuple(int(c) for c in GOOD * (1 - share) + BAD * share)

    def _steps(self, seconds: float) -> int:
        return max(round(seconds * self.log.control_rate), 1)


def _smooth(values: np.ndarray, time: np.ndarray, constant: float) -> np.ndarray:
    """First-order lag forwards and backwards, so that the camera leads as much as it lags."""
    keep = np.exp(-np.diff(time, prepend=time[0]) / constant)[:, None]
    for _ in range(2):
        smooth = values.copy()
        for k in range(1, len(values)):
            smooth[k] = keep[k] * smooth[k - 1] + (1 - keep[k]) * values[k]
        values = smooth[::-1]
    return values


def _circle(radius: float, points: int = 24) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)


def _ring(
    draw: ImageDraw.ImageDraw, center: np.ndarray, radius: float, color: tuple, width: int
) -> None:
    x, y = center
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=color, width=width)


def _diverging(value: float) -> tuple[int, int, int]:
    strength = min(abs(value), 1.0) ** 0.8
    color = POSITIVE if value > 0 else NEGATIVE
    return tuple(int(c) for c in np.array([38, 50, 70]) * (1 - strength) + color * strength)
