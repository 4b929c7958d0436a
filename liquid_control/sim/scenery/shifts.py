"""What changes how a picture looks and not what it shows, each with a strength from 0 to 1.

A shift is a function of pictures and depths, so that shifts compose in any order::

    rgb = fog(dark(rgb, depth, 0.5, rng), depth, 0.3, rng)

Cameras of worlds apply those of their `appearance.shifts`, training draws them anew for each
picture, and suites raise their strength. Another one is a function like these, in `SHIFTS`.

Shapes: B pictures, rgb (B, height, width, 3) float32 from 0 to 255, depth (B, height, width) m with
infinity for the sky, strength a number or (B,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Strength = float | np.ndarray
Shift = Callable[[np.ndarray, np.ndarray, Strength, np.random.Generator], np.ndarray]

HAZE = np.array([178, 204, 230], np.float32)  # colour of fog and sky
DENSEST_FOG = 0.78  # 1/m: 5 m of sight, at which 2 % of the contrast are left (Koschmieder 1924)
DARKEST = 0.08  # share of the light that is left
MOST_NOISE = 50.0  # 1 σ of a pixel, of 255
PATCHES = 3
LARGEST_PATCH = 0.6  # share of width and height
OVEREXPOSED = 4.0  # times the light
# autumn and snow: how much of red, green and blue each colour becomes
WINTER = np.array([[0.5, 0.5, 0.3], [0.4, 0.6, 0.3], [0.3, 0.5, 0.5]], np.float32)


def _each(strength: Strength, axes: int) -> np.ndarray:
    """Strengths along the axis of the pictures."""
    values = np.atleast_1d(np.asarray(strength, np.float32))
    return values.reshape(-1, *[1] * axes)


def fog(rgb, depth, strength, rng):
    """Haze that hides what is far: sight from infinity to 5 m, shorter with the square."""
    extinction = DENSEST_FOG * _each(strength, 3) ** 2
    with np.errstate(invalid="ignore"):  # no fog times infinity
        share = np.where(extinction > 0, np.exp(-extinction * depth[..., None]), 1.0)
    return (HAZE + (rgb - HAZE) * share).astype(np.float32)


def dark(rgb, depth, strength, rng):
    """Dusk, and night in the end."""
    return rgb * (1 - (1 - DARKEST) * _each(strength, 3))


def bright(rgb, depth, strength, rng):
    """Overexposure: what is light is white."""
    return np.minimum(rgb * (1 + (OVEREXPOSED - 1) * _each(strength, 3)), 255.0)


def noise(rgb, depth, strength, rng):
    """White Gaussian noise of the pixels."""
    fresh = rng.standard_normal(rgb.shape, np.float32)
    return rgb + MOST_NOISE * _each(strength, 3) * fresh


def season(rgb, depth, strength, rng):
    """From summer to winter: greens turn grey and bright."""
    share = _each(strength, 3)
    return rgb + share * (rgb @ WINTER - rgb)


def cast(rgb, depth, strength, rng):
    """Coloured light, of a colour that is drawn."""
    gain = rng.uniform(-1, 1, (len(rgb), 1, 1, 3)).astype(np.float32)
    return rgb * (1 + 0.6 * _each(strength, 3) * gain)


def patches(rgb, depth, strength, rng):
    """Black spots on the lens, which hide what is behind them."""
    result = rgb.copy()
    strengths = np.broadcast_to(np.asarray(strength, np.float32).reshape(-1), len(rgb))
    height, width = rgb.shape[1:3]
    for picture, share in zip(result, strengths.tolist(), strict=True):
        for _ in range(PATCHES):
            size = share * LARGEST_PATCH * rng.uniform(0.5, 1.0, 2)
            rows, columns = round(size[0] * height), round(size[1] * width)
            top = rng.integers(height - rows + 1)
            left = rng.integers(width - columns + 1)
            picture[top : top + rows, left : left + columns] = 0.0
    return result


SHIFTS: dict[str, Shift] = {
    function.__name__: function for function in (season, cast, fog, bright, dark, patches, noise)
}


def shifted(
    rgb: np.ndarray,
    depth: np.ndarray,
    strengths: Mapping[str, Strength],
    rng: np.random.Generator,
) -> np.ndarray:
    """Pictures with several shifts, in the order of `SHIFTS`: scene, air, lens, sensor; clipped.

    Raises:
        ValueError: for an unknown one.
    """
    unknown = sorted(set(strengths) - set(SHIFTS))
    if unknown:
        raise ValueError(f"unknown shifts {unknown}, expected some of {list(SHIFTS)}")
    rgb = rgb.astype(np.float32)
    for name, shift in SHIFTS.items():
        if name in strengths and np.any(np.asarray(strengths[name]) > 0):
            rgb = shift(rgb, depth, strengths[name], rng)
    return np.clip(rgb, 0, 255)
