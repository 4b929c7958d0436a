"""What stands over the pictures of a film: figures, error of the last seconds, neurons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liquid_control.config import missing_packages
from liquid_control.evaluation.columns import neuron_activity, position_error
from liquid_control.evaluation.views.inks import (
    ERROR_SCALE,
    INK,
    MODE_COLORS,
    MUTED,
    activity_color,
    error_color,
)
from liquid_control.flight_log import FlightLog

try:
    from PIL import ImageDraw, ImageFont
except ModuleNotFoundError:
    raise missing_packages("report", ["pillow"]) from None

_SPAN = 5.0  # s of the error


class Overlay:
    """Of one flight, on a canvas of a size in pixels.

    Args:
        layers: names and neuron indices, in display order; default one layer of all neurons.
        scale: pixels of the canvas for one of the picture.
    """

    def __init__(
        self,
        log: FlightLog,
        layers: Sequence[tuple[str, Sequence[int]]],
        canvas: tuple[int, int],
        scale: int,
    ):
        self._log, self._canvas, self._scale = log, canvas, scale
        self._layers = layers or [("", range(log.neurons.shape[1]))]
        self._error = position_error(log)
        self._activity = neuron_activity(log)
        self._fonts = {s: ImageFont.load_default(s * scale) for s in (10, 12, 20)}

    def draw(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        """At row ``k`` of the log."""
        self._draw_text(draw, k)
        self._draw_error(draw, k)
        self._draw_neurons(draw, k)

    def _draw_text(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        log, s = self._log, self._scale
        error, mode = self._error[k], str(log.mode[k])
        text = f"{100 * error:.1f} cm" if np.isfinite(error) else "–"
        draw.text((14 * s, 10 * s), text, INK, self._fonts[20])
        draw.text((14 * s, 34 * s), "position error", MUTED, self._fonts[10])
        if log.wind_world is not None:
            right, speed = self._canvas[0] - 14 * s, np.linalg.norm(log.wind_world[k])
            draw.text((right, 10 * s), f"{speed:.1f} m/s", INK, self._fonts[20], "ra")
            draw.text((right, 34 * s), "wind", MUTED, self._fonts[10], "ra")
        middle = self._canvas[0] / 2
        draw.text((middle, 12 * s), f"{log.time[k]:.1f} s", MUTED, self._fonts[12], "ma")
        color = tuple(int(c) for c in MODE_COLORS.get(mode, MUTED))
        draw.text((middle, 28 * s), mode, color, self._fonts[12], "ma")

    def _draw_error(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        s, span = self._scale, max(round(_SPAN * self._log.control_rate), 1)
        width, height = self._canvas
        left, right, bottom, tall = 14 * s, 0.36 * width, height - 16 * s, 40 * s
        stride = max(round(0.05 * self._log.control_rate), 1)
        steps = np.arange(max(0, k - span), k + 1, stride)
        steps = steps[np.isfinite(self._error[steps])]
        draw.line([left, bottom, right, bottom], (*MUTED, 120), s)
        draw.line([left, bottom - tall, right, bottom - tall], (*MUTED, 40), s)
        top = (right, bottom - tall - 3)
        draw.text(top, f"{100 * ERROR_SCALE:.0f} cm", MUTED, self._fonts[10], "rd")
        draw.text((left, bottom + 2), f"error, last {_SPAN:g} s", MUTED, self._fonts[10])
        if len(steps) > 1:
            x = right - (k - steps) / span * (right - left)
            y = bottom - np.clip(self._error[steps] / ERROR_SCALE, 0, 1) * tall
            draw.line(np.stack([x, y], 1).ravel().tolist(), error_color(self._error[k]), 2 * s)

    def _draw_neurons(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        if not self._log.neurons.shape[1]:
            return
        s = self._scale
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
                draw.rounded_rectangle(box, 2 * s, activity_color(values[neuron]))
        draw.text((right, height - 14 * s), "neurons", MUTED, self._fonts[10], "ra")
