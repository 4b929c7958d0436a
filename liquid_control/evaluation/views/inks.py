"""Colours of films and pictures; those of the error and of saliency are the same in all views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SKY, HAZE, GRID = (13, 20, 33), (34, 48, 70), (96, 118, 152)
INK, MUTED, ACCENT = (232, 238, 247), (140, 156, 180), (94, 200, 255)
HULL, EDGE, ARM = (52, 64, 86), (235, 240, 248), (120, 132, 152)
GOOD, BAD = (64, 210, 190), (255, 110, 80)
MODE_COLORS = {
    **{"policy": GOOD, "backup": (255, 190, 70), "halt": BAD, "silent": (200, 60, 90)},
    "standby": MUTED,
}
# From no error to that of `columns.error_scale`: green, yellow, red.
ERROR_STOPS = np.array([(64, 210, 190), (255, 209, 102), (255, 110, 80)])
_SHADES = 255  # steps of them
_HEAT_STOPS = np.array([(20, 16, 40), (150, 40, 90), (255, 140, 50), (255, 245, 190)])
_POSITIVE, _NEGATIVE, _REST = (
    np.array(color) for color in ((255, 170, 80), (90, 160, 255), (38, 50, 70))
)


def error_color(error: float, scale: float) -> tuple[int, int, int]:
    """Of a position error in m, red from ``scale`` m on; an unknown one is muted."""
    if not np.isfinite(error):
        return MUTED
    return _ERROR_COLORS[min(int(error / scale * _SHADES), _SHADES)]


def web_color(color: Sequence[int]) -> str:
    """Red, green and blue as ``#rrggbb``."""
    return "#" + "".join(f"{int(c):02x}" for c in color)


def heat(map_HW: np.ndarray) -> np.ndarray:
    """Saliency from 0 to 1 as a picture ``(..., 3)`` uint8, from dark to bright."""
    return _between(_HEAT_STOPS, map_HW).astype(np.uint8)


def _between(stops: np.ndarray, share: np.ndarray) -> np.ndarray:
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, places, channel) for channel in stops.T], axis=-1)


_ERROR_COLORS = [
    tuple(int(c) for c in color) for color in _between(ERROR_STOPS, np.linspace(0, 1, _SHADES + 1))
]


def activity_color(value: float) -> tuple[int, int, int]:
    """Of a neuron's activity in [-1, 1]."""
    strength = min(abs(value), 1.0) ** 0.8
    color = _POSITIVE if value > 0 else _NEGATIVE
    return tuple(int(c) for c in _REST * (1 - strength) + color * strength)
