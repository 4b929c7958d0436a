"""What stands over the pictures of a film.

Error with the key of its colours, what is drawn how, the error of the last seconds, neurons, and
what the camera saw with its saliency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liquid_control.config import missing_packages
from liquid_control.evaluation import words
from liquid_control.evaluation.columns import (
    error_scale,
    has_wind,
    neuron_activity,
    position_error,
)
from liquid_control.evaluation.saliency import Sight
from liquid_control.evaluation.views.inks import (
    ACCENT,
    GRID,
    INK,
    MODE_COLORS,
    MUTED,
    activity_color,
    error_color,
    heat,
)
from liquid_control.flight_log import FlightLog

try:
    from PIL import Image, ImageDraw, ImageFont
except ModuleNotFoundError:
    raise missing_packages("report", ["pillow"]) from None

_SPAN = 5.0  # s of the error
_LINES = 360  # the picture's height, in units of all that stands here
_EYE = 0.23  # of the picture's width, of what the camera saw at most
_ABOVE_NEURONS = 0.83  # of the picture's height, down to where it ends


class Overlay:
    """Of one flight, on a canvas of a size in pixels.

    Args:
        layers: names and neuron indices, in display order; default one layer of all neurons.
        sight: what the camera saw.
    """

    def __init__(
        self,
        log: FlightLog,
        layers: Sequence[tuple[str, Sequence[int]]],
        canvas: tuple[int, int],
        sight: Sight | None = None,
    ):
        self._log, self._canvas, self._sight = log, canvas, sight
        self._scale = scale = canvas[1] / _LINES
        self._windy, self._error_scale = has_wind(log), error_scale(log)
        self._layers = layers or [("", range(log.neurons.shape[1]))]
        self._error = position_error(log)
        self._activity = neuron_activity(log)
        self._fonts = {s: ImageFont.load_default(s * scale) for s in (8, 10, 12, 20)}

    def draw(self, picture: Image.Image, draw: ImageDraw.ImageDraw, k: int) -> None:
        """At row ``k`` of the log; ``draw`` draws on the picture."""
        self._draw_text(draw, k)
        self._draw_key(draw)
        self._draw_sight(picture, draw, k)
        self._draw_error(draw, k)
        self._draw_neurons(draw, k)

    def _draw_text(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        log, s = self._log, self._scale
        error, mode = self._error[k], str(log.mode[k])
        text = f"{100 * error:.1f} cm" if np.isfinite(error) else "–"
        draw.text((14 * s, 10 * s), text, INK, self._fonts[20])
        draw.text((14 * s, 34 * s), words.error_word(log.kind), MUTED, self._fonts[10])
        if self._windy:
            right, speed = self._canvas[0] - 14 * s, np.linalg.norm(log.wind_world[k])
            draw.text((right, 10 * s), f"{speed:.1f} m/s", INK, self._fonts[20], "ra")
            draw.text((right, 34 * s), "wind", MUTED, self._fonts[10], "ra")
        middle = self._canvas[0] / 2
        draw.text((middle, 12 * s), f"{log.time[k]:.1f} s", MUTED, self._fonts[12], "ma")
        color = tuple(int(c) for c in MODE_COLORS.get(mode, MUTED))
        draw.text((middle, 28 * s), mode, color, self._fonts[12], "ma")

    def _draw_key(self, draw: ImageDraw.ImageDraw) -> None:
        """The colours of the error, and what ring, disc and streaks are."""
        s, wide = self._scale, 72
        for step in range(wide):
            color = error_color(self._error_scale * step / (wide - 1), self._error_scale)
            x = (14 + step) * s
            draw.rectangle([x, 51 * s, x + s, 54 * s], color)
        draw.text((14 * s, 56 * s), "0", MUTED, self._fonts[8])
        top = f"{100 * self._error_scale:g} cm"
        draw.text(((14 + wide) * s, 56 * s), top, MUTED, self._fonts[8], "ra")
        rows = ["setpoint", "shadow on the ground", *(["wind"] if self._windy else [])]
        for row, name in enumerate(rows):
            x, y = 18 * s, (74 + 11 * row) * s
            disc = [x - 3 * s, y - 3 * s, x + 3 * s, y + 3 * s]
            if name == "setpoint":
                draw.ellipse(disc, outline=ACCENT, width=round(s))
            elif name == "wind":
                draw.line([x - 4 * s, y, x + 4 * s, y], (170, 205, 245), round(s))
            else:
                draw.ellipse(disc, (0, 0, 0, 150), outline=GRID, width=max(round(s / 3), 1))
            draw.text((x + 8 * s, y), name, MUTED, self._fonts[8], "lm")

    def _draw_sight(self, picture: Image.Image, draw: ImageDraw.ImageDraw, k: int) -> None:
        """The newest picture of the camera, and below it where the policy looked."""
        if self._sight is None:
            return
        newest, s = self._sight.newest(self._log.time[k]), self._scale
        if newest < 0:
            return
        shown = [("camera", self._sight.rgb[newest])]
        if self._sight.maps is not None:
            shown.append(("saliency", heat(self._sight.maps[newest])))
        height, width, _ = shown[0][1].shape
        top = 54 * s if self._windy else 14 * s
        room = (_ABOVE_NEURONS * self._canvas[1] - top) / len(shown) - 18 * s
        # whole pixels
        times = max(int(min(_EYE * self._canvas[0] / width, room / height)), 1)
        size = (times * width, times * height)
        left = round(self._canvas[0] - 14 * s - size[0])
        for name, pixels in shown:
            box = (left, round(top))
            picture.paste(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST), box)
            text = (left, top + size[1] + 2 * s)
            draw.text(text, name, MUTED, self._fonts[10])
            top += size[1] + 18 * s

    def _draw_error(self, draw: ImageDraw.ImageDraw, k: int) -> None:
        s, span = self._scale, max(round(_SPAN * self._log.control_rate), 1)
        width, height = self._canvas
        left, right, bottom, tall = 14 * s, 0.36 * width, height - 16 * s, 40 * s
        stride = max(round(0.05 * self._log.control_rate), 1)
        steps = np.arange(max(0, k - span), k + 1, stride)
        steps = steps[np.isfinite(self._error[steps])]
        draw.line([left, bottom, right, bottom], (*MUTED, 120), round(s))
        draw.line([left, bottom - tall, right, bottom - tall], (*MUTED, 40), round(s))
        top = (right, bottom - tall - 3)
        draw.text(top, f"{100 * self._error_scale:g} cm", MUTED, self._fonts[10], "rd")
        draw.text(
            (left, bottom + 2),
            f"{words.error_word(self._log.kind)}, last {_SPAN:g} s",
            MUTED,
            self._fonts[10],
        )
        if len(steps) > 1:
            x = right - (k - steps) / span * (right - left)
            y = bottom - np.clip(self._error[steps] / self._error_scale, 0, 1) * tall
            line, wide = np.stack([x, y], 1), round(2 * s)
            for i, step in enumerate(steps[1:]):
                color = error_color(self._error[step], self._error_scale)
                draw.line(line[i : i + 2].ravel().tolist(), color, wide)

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
