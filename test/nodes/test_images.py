"""Images as cameras send them: every encoding to RGB, and what can't be used is named."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from PIL import Image as Picture
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from liquid_control.nodes import conversions
from liquid_control.nodes.inputs import Inputs
from liquid_control.parameters import ControllerParameters
from liquid_control.pixels import ENCODINGS
from liquid_control.structs import ImageSample

COLORS = np.array(
    [[[255, 0, 0], [255, 0, 0]], [[0, 255, 0], [0, 255, 0]], [[30, 60, 200], [30, 60, 200]]],
    np.uint8,
)  # equal in pairs, as YUV 4:2:2 has one colour for two pixels


def yuv(rgb):
    """BT.601, full range."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    u, v = 128 + (b - y) / 1.772, 128 + (r - y) / 1.402
    return [np.clip(np.rint(part), 0, 255).astype(np.uint8) for part in (y, u, v)]


def bytes_of(encoding):
    opaque = np.full((*COLORS.shape[:2], 1), 255, np.uint8)
    y, u, v = yuv(COLORS)
    u, v = u[:, ::2], v[:, ::2]
    return {
        "rgb8": COLORS,
        "bgr8": COLORS[..., ::-1],
        "rgba8": np.concatenate([COLORS, opaque], axis=-1),
        "bgra8": np.concatenate([COLORS[..., ::-1], opaque], axis=-1),
        "mono8": y,
        "uyvy": np.stack([u, y[:, ::2], v, y[:, 1::2]], axis=-1),
        "yuv422": np.stack([u, y[:, ::2], v, y[:, 1::2]], axis=-1),
        "yuyv": np.stack([y[:, ::2], u, y[:, 1::2], v], axis=-1),
        "yuv422_yuy2": np.stack([y[:, ::2], u, y[:, 1::2], v], axis=-1),
    }[encoding].reshape(len(COLORS), -1)


def message(of, padding=0, **changes):
    rows = np.pad(bytes_of(of), ((0, 0), (0, padding)), constant_values=77)
    fields = {"height": 3, "width": 2, "encoding": of, "step": rows.shape[1]}
    return Image(**{**fields, "data": rows.tobytes(), **changes})


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_becomes_rgb(encoding, padding):
    sent = deserialize_message(serialize_message(message(encoding, padding)), Image)
    rgb = conversions.image_from_msg(sent).rgb
    expected = np.repeat(yuv(COLORS)[0][..., None], 3, axis=-1) if encoding == "mono8" else COLORS
    np.testing.assert_allclose(rgb.astype(int), expected, atol=2 if "y" in encoding else 0)
    assert rgb.dtype == np.uint8


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (message("rgb8", encoding="32FC1"), "encoding '32FC1', expected one of rgb8, bgr8"),
        (message("rgb8", step=5), "18 bytes in rows of 5, expected 3 rows of at least 6"),
        (message("rgb8", height=4), "18 bytes in rows of 6, expected 4 rows"),
        (message("rgb8", width=0), "expected 3 rows of at least 3"),
        (message("mono8", encoding="yuyv", width=1, step=2), "1 columns of YUV 4:2:2"),
    ],
)
def test_an_image_that_can_not_be_read_is_named(sent, reason):
    with pytest.raises(ValueError, match=f"image: .*{reason}"):
        conversions.image_from_msg(sent)


def compressed(data, kind="jpeg"):
    return CompressedImage(format=kind, data=data)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_compressed_image_is_opened(kind):
    picture = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(picture).save(buffer, format=kind)
    rgb = conversions.compressed_image_from_msg(compressed(buffer.getvalue(), kind)).rgb
    np.testing.assert_allclose(rgb.astype(int), picture, atol=4)


def test_compressed_noise_is_named():
    with pytest.raises(ValueError, match="image: 7 bytes of format 'jpeg', expected a JPEG or PNG"):
        conversions.compressed_image_from_msg(compressed(b"nothing"))


def test_camera_info_is_exact():
    sample = ImageSample(5, np.zeros((48, 64, 3), np.uint8), (40.0, 41.0, 32.5, 23.5))
    info = conversions.camera_info_to_msg(sample)
    sent = deserialize_message(serialize_message(info), CameraInfo)
    assert conversions.camera_info_from_msg(sent) == (64, 48, sample.intrinsics)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"k": [0.0] * 9}, "focal lengths 0 and 0 px, expected more than 0"),
        ({"d": [0.1, 0.0, 0.0, 0.0, 0.0]}, "distortion .*expected none: subscribe to rectified"),
        ({"binning_x": 2, "binning_y": 2}, "binning or a region of interest"),
    ],
)
def test_a_camera_that_can_not_be_used_is_named(changes, reason):
    sample = ImageSample(5, np.zeros((48, 64, 3), np.uint8), (40.0, 41.0, 32.5, 23.5))
    info = conversions.camera_info_to_msg(sample)
    for name, value in changes.items():
        setattr(info, name, value)
    with pytest.raises(ValueError, match=f"camera_info: {reason}"):
        conversions.camera_info_from_msg(info)


class Post:
    """An inbox whose messages the test puts there."""

    def __init__(self):
        self.letters = {}

    def subscribe(self, kind, name, qos):
        letters = self.letters.setdefault(name, [])
        return SimpleNamespace(take=lambda: (letters.pop(0), 0.0) if letters else None)


def test_images_have_the_intrinsics_of_their_camera():
    post, refused = Post(), []
    inputs = Inputs(post, ControllerParameters(), ("image",), refused.append)
    picture = message("rgb8")
    post.letters["camera/image_raw"].append(picture)
    assert inputs.take_newest().image.sample.intrinsics is None
    info = conversions.camera_info_to_msg(
        ImageSample(0, np.zeros((3, 2, 3), np.uint8), (2.0, 2.0, 1.0, 1.5))
    )
    post.letters["camera/camera_info"].append(info)
    post.letters["camera/image_raw"].append(picture)
    assert inputs.take_newest().image.sample.intrinsics == (2.0, 2.0, 1.0, 1.5)
    assert not refused
    info.width = 640
    post.letters["camera/camera_info"].append(info)
    post.letters["camera/image_raw"].append(picture)
    assert inputs.take_newest().image.sample.intrinsics is None
    assert refused == ["camera_info: of 640 x 3, expected the 2 x 3 of the images"]
