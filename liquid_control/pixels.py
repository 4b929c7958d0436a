"""What pictures cameras send: encodings of `sensor_msgs/Image`, each to RGB of 8 bits.

Names as in `sensor_msgs/image_encodings.hpp`; YUV to RGB as ITU-R BT.601 with full range, which
USB cameras send.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_RED, _BLUE = 1.402, 1.772  # of V in red, of U in blue
_GREEN = 0.344136, 0.714136  # of U and V in green


def _grey(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels, 3, axis=-1)


def _yuv(first: int) -> Callable[[np.ndarray], np.ndarray]:
    """Of two pixels in four bytes, whose brightness is at ``first`` and two behind it."""

    def to_rgb(pixels: np.ndarray) -> np.ndarray:
        height, width, _ = pixels.shape
        if width % 2:
            raise ValueError(f"image: {width} columns of YUV 4:2:2, expected an even number")
        pairs = pixels.reshape(height, width // 2, 4).astype(np.float32)
        y = pairs[..., first::2]
        u, v = (pairs[..., k : k + 1] - 128 for k in (1 - first, 3 - first))
        red, blue = y + _RED * v, y + _BLUE * u
        rgb = np.stack([red, y - _GREEN[0] * u - _GREEN[1] * v, blue], axis=-1)
        return np.clip(np.rint(rgb), 0, 255).astype(np.uint8).reshape(height, width, 3)

    return to_rgb


# bytes a pixel, and the function of (height, width, bytes) uint8
ENCODINGS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "rgb8": (3, lambda pixels: pixels),
    "bgr8": (3, lambda pixels: pixels[..., ::-1]),
    "rgba8": (4, lambda pixels: pixels[..., :3]),
    "bgra8": (4, lambda pixels: pixels[..., 2::-1]),
    "mono8": (1, _grey),
    "yuv422": (2, _yuv(1)),  # UYVY, by its old name
    "uyvy": (2, _yuv(1)),
    "yuv422_yuy2": (2, _yuv(0)),  # YUYV, by its old name
    "yuyv": (2, _yuv(0)),
}


def decoded(encoding: str, width: int, height: int, step: int, data) -> np.ndarray:
    """The picture (height, width, 3) uint8 of an image message's bytes, in rows of ``step``.

    Raises:
        ValueError: for an encoding that is not among `ENCODINGS`, and for bytes that are no picture
            of that size.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"image: encoding {encoding!r}, expected one of {', '.join(ENCODINGS)}")
    depth, to_rgb = ENCODINGS[encoding]
    if width < 1 or step < depth * width or len(data) != height * step:
        raise ValueError(
            f"image: {len(data)} bytes in rows of {step}, expected {height} rows of at "
            f"least {depth * max(width, 1)}"
        )
    rows = np.frombuffer(data, np.uint8).reshape(height, step)
    return to_rgb(rows[:, : depth * width].reshape(height, width, depth))
