"""Colours of the film."""

from __future__ import annotations

import numpy as np

SKY, HAZE, GRID = (13, 20, 33), (34, 48, 70), (96, 118, 152)
INK, MUTED, ACCENT = (232, 238, 247), (140, 156, 180), (94, 200, 255)
HULL, EDGE, ARM = (52, 64, 86), (235, 240, 248), (120, 132, 152)
GOOD, BAD = np.array([64, 210, 190]), np.array([255, 110, 80])
MODE_COLORS = {
    **{"policy": GOOD, "backup": (255, 190, 70), "halt": BAD, "silent": (200, 60, 90)},
    "standby": MUTED,
}
ERROR_SCALE = 0.10  # m, the error at which a trail is fully red
_POSITIVE, _NEGATIVE, _REST = (
    np.array(color) for color in ((255, 170, 80), (90, 160, 255), (38, 50, 70))
)


def error_color(error: float) -> tuple[int, int, int]:
    """Of a position error in m; an unknown one is muted."""
    if not np.isfinite(error):
        return MUTED
    share = min(error / ERROR_SCALE, 1.0)
    return tuple(int(c) for c in GOOD * (1 - share) + BAD * share)


def activity_color(value: float) -> tuple[int, int, int]:
    """Of a neuron's activity in [-1, 1]."""
    strength = min(abs(value), 1.0) ** 0.8
    color = _POSITIVE if value > 0 else _NEGATIVE
    return tuple(int(c) for c in _REST * (1 - strength) + color * strength)
