"""The eye of a policy that sees: an encoder that runs once an image, and what fits images to it.

A policy file holds two graphs: the encoder ``image (B, height, width, 3) uint8 -> features (B, k)``
and the core, which steps at the control rate on the newest features.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from pathlib import Path

import numpy as np
import onnxruntime

from liquid_control.config import ConfigError
from liquid_control.runtime.schema import EyeEntry
from liquid_control.structs import ImageSample

EYE_KEY = "liquid_control_eye"  # of the file's properties: the encoder, base64
FEATURES = "features"  # the core's last observation slot
EYE_INPUTS, EYE_OUTPUTS = ("image",), (FEATURES,)
_ZLIB = b"\x78"  # begins what is compressed; a graph begins with another byte
GOLDEN_TOLERANCE = 1e-3  # largest absolute error of a golden feature, which lies in [-1, 1]
SAME = 1e-3  # px, within which two cameras are the same


def golden_image(entry: EyeEntry) -> np.ndarray:
    """The picture of the golden features, (1, height, width, 3) uint8."""
    size = (1, entry.height, entry.width, 3)
    return np.random.default_rng(entry.golden_seed).integers(0, 256, size, np.uint8)


class Eye:
    """An encoder that passed its checks."""

    def __init__(self, entry: EyeEntry, session: onnxruntime.InferenceSession):
        self.entry, self._session = entry, session

    def encode(self, image_BHW3: np.ndarray) -> np.ndarray:
        """Features (B, k) float32 of uint8 images that fit."""
        return self._session.run(EYE_OUTPUTS, {EYE_INPUTS[0]: image_BHW3})[0]

    def look(self, image: ImageSample) -> np.ndarray:
        """Features ``(k,)`` of a picture of any size, see `fitted`."""
        return self.encode(fitted(image, self.entry)[None])[0]


def fitted(image: ImageSample, entry: EyeEntry) -> np.ndarray:
    """The picture as the encoder's camera would have taken it, (height, width, 3) uint8.

    Pixels are averaged over their areas. A camera whose intrinsics are not told is taken to see
    what the encoder's does.

    Raises:
        ValueError: for a picture that is none, and for a camera that sees less.
    """
    rgb = image.rgb
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(
            f"image: {rgb.dtype} of shape {rgb.shape}, expected (height, width, 3) uint8"
        )
    height, width, _ = rgb.shape
    wanted = (*entry.focal_length, *entry.principal_point)
    given = image.intrinsics
    if (height, width) == (entry.height, entry.width) and (
        given is None or max(abs(a - b) for a, b in zip(given, wanted, strict=True)) <= SAME
    ):
        return np.ascontiguousarray(rgb)
    if given is None:
        x, y = width / entry.width, height / entry.height
        box = (0.0, 0.0, float(width), float(height))
        if not 0.98 <= x / y <= 1.02:
            raise ValueError(
                f"image: {width} x {height} without camera_info, expected its focal length and "
                f"centre, or the shape of {entry.width} x {entry.height}"
            )
    else:
        box = _seen(given, wanted, (entry.width, entry.height))
        if min(box[0], box[1]) < -0.5 or box[2] > width + 0.5 or box[3] > height + 0.5:
            raise ValueError(
                f"image: the camera sees less than the policy needs: columns {box[0]:.0f} to "
                f"{box[2]:.0f} and rows {box[1]:.0f} to {box[3]:.0f} of {width} x {height}"
            )
        box = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height))
    return _scaled(rgb, box, (entry.width, entry.height))


def _seen(given, wanted, size) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, px of the given camera, of what the wanted one sees."""
    (fx, fy, cx, cy), (gx, gy, dx, dy) = given, wanted
    width, height = size
    return (
        cx - dx * fx / gx,
        cy - dy * fy / gy,
        cx + (width - dx) * fx / gx,
        cy + (height - dy) * fy / gy,
    )


def _scaled(rgb: np.ndarray, box, size: tuple[int, int]) -> np.ndarray:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ValueError(
            f"image: {rgb.shape[1]} x {rgb.shape[0]}, expected {size[0]} x {size[1]} where Pillow "
            "is not installed"
        ) from None
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(picture.resize(size, Image.Resampling.BOX, box=box))


def packed(encoder: bytes) -> str:
    """The encoder as a property of the file: compressed, in base64."""
    return base64.b64encode(zlib.compress(encoder, 9)).decode()


def unpacked(path: Path, text: str) -> bytes:
    """The encoder of a file's property; older files have it without compression."""
    try:
        data = base64.b64decode(text, validate=True)
        return zlib.decompress(data) if data[:1] == _ZLIB else data
    except (binascii.Error, ValueError):
        raise ConfigError(f"{path}: eye check failed: {EYE_KEY} is no base64") from None
    except zlib.error as error:
        raise ConfigError(f"{path}: eye check failed: {EYE_KEY} is damaged: {error}") from None


def check_eye(path: Path, eye: Eye) -> None:
    """Run the golden picture.

    Raises:
        ConfigError: for an encoder that takes or gives something else, or computes otherwise.
    """
    entry = eye.entry
    try:
        features = eye.encode(golden_image(entry))
    except Exception as error:  # onnxruntime has error types of its own
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path}: eye check failed: {reason}") from None
    expected = np.array([entry.golden_features], np.float32)
    if features.shape != expected.shape:
        raise ConfigError(
            f"{path}: eye check failed: features of shape {features.shape}, expected "
            f"{expected.shape}"
        )
    worst = float(np.abs(features - expected).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise ConfigError(
            f"{path}: eye check failed: largest error {worst:.2e}, expected at most "
            f"{GOLDEN_TOLERANCE:.0e}; the weights were edited or this runtime computes otherwise"
        )
