"""Which pixels an eye answers to, from the file of the shipped policy and without torch."""

import dataclasses
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from liquid_control.config import ConfigError, share_dir
from liquid_control.evaluation.saliency import Saliency, load_saliency, sight_of
from liquid_control.runtime.schema import EyeEntry

POLICIES = share_dir() / "config/policies"
ENTRY = EyeEntry(
    width=8, height=6, focal_length=(8, 8), principal_point=(4, 3), weights=1, golden_seed=1,
    golden_features=[],
)  # fmt: skip


def made_eye(*nodes, **constants) -> bytes:
    """An encoder (B, 6, 8, 3) uint8 -> features, of nodes from ``x`` (B, 3, 6, 8) to ``y``."""
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", 6, 8, 3])
    made = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", None])
    whole = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["x"], perm=[0, 3, 1, 2]),
        *nodes,
        helper.make_node("Flatten", ["y"], ["features"]),
    ]
    arrays = [onnx.numpy_helper.from_array(np.float32(a), name) for name, a in constants.items()]
    graph = helper.make_graph(whole, "eye", [given], [made], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def convolution(source: str, weight: str, output: str, stride: int):
    options = dict(strides=[stride, stride], pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    return helper.make_node("Conv", [source, weight], [output], **options)


@pytest.mark.parametrize("aside", [False, True])
def test_it_is_what_the_paper_says(tmp_path, aside):
    """Against the loops of the definition: means spread and multiplied from the deepest down.

    A convolution that looks aside, as one that finds points, is none of the way to the deepest.
    """
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(5, 4, 3, 3))
    nodes = [
        convolution("x", "first", "c1", 1),
        helper.make_node("Relu", ["c1"], ["r1"]),
        convolution("r1", "second", "c2", 2),
        helper.make_node("Relu", ["c2"], ["y"]),
    ]
    weights = {"first": first, "second": second}
    if aside:
        nodes.insert(2, convolution("r1", "aside", "a1", 1))
        weights["aside"] = rng.normal(size=(7, 4, 3, 3))
    saliency = Saliency(ENTRY, made_eye(*nodes, **weights), tmp_path)
    image = rng.integers(0, 256, (2, 6, 8, 3), np.uint8)

    def layer(x_CHW, weight, stride):
        padded = np.pad(x_CHW, ((0, 0), (1, 1), (1, 1)))
        rows, columns = (-(-side // stride) for side in x_CHW.shape[1:])
        made = np.zeros((len(weight), rows, columns))
        for i, j in np.ndindex(rows, columns):
            window = padded[:, stride * i : stride * i + 3, stride * j : stride * j + 3]
            made[:, i, j] = np.maximum((weight * window).sum(axis=(1, 2, 3)), 0)
        return made

    def spread(map_HW, size, stride):
        found = np.zeros(size)
        for i, j in np.ndindex(size):
            readers = [
                map_HW[a, b]
                for a, b in np.ndindex(map_HW.shape)
                if abs(stride * a - i) <= 1 and abs(stride * b - j) <= 1
            ]
            found[i, j] = np.mean(readers) if readers else 0.0
        return found

    for picture, map_HW in zip(image, saliency.maps(image), strict=True):
        one = layer(picture.transpose(2, 0, 1).astype(float), first, 1)
        two = layer(one, second, 2)
        expected = spread(spread(two.mean(0), (6, 8), 2) * one.mean(0), (6, 8), 1)
        expected = (expected - expected.min()) / (expected.max() - expected.min())
        np.testing.assert_allclose(map_HW, expected, atol=1e-5)


def test_an_eye_that_pools_is_looked_into_and_one_without_convolutions_refused(tmp_path):
    pooled = [
        convolution("x", "w", "c", 1),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        convolution("p", "w", "y", 1),
    ]
    weight = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
    saliency = Saliency(ENTRY, made_eye(*pooled, w=weight), tmp_path)
    assert saliency.maps(np.full((2, 6, 8, 3), 9, np.uint8)).shape == (2, 6, 8)
    plain = made_eye(helper.make_node("Relu", ["x"], ["y"]))
    with pytest.raises(ConfigError, match="no convolutions"):
        Saliency(ENTRY, plain, tmp_path / "plain.onnx")


def test_the_shipped_policy_looks_at_the_paint_and_noise_changes_little():
    """A road of one edge line: most of what is salient lies within 6 px of it."""
    saliency = load_saliency(POLICIES / "lane_liquid.onnx")
    height, width = saliency.entry.height, saliency.entry.width
    roads, near = [], []
    rows, columns = np.mgrid[:height, :width]
    for shift in range(6):
        edge = 34 + shift + 1.1 * (rows - 10)
        road = np.full((height, width, 3), (78, 77, 81), np.uint8)
        road[columns > edge] = (110, 130, 95)
        road[np.abs(columns - edge) < 1] = (210, 210, 205)
        road[rows < 10] = (176, 204, 230)
        roads.append(road)
        near.append((np.abs(columns - edge) <= 6) & (rows >= 10))
    maps = saliency.maps(np.stack(roads))
    assert maps.shape == (6, height, width)
    on = np.mean([m[n].mean() for m, n in zip(maps, near, strict=True)])
    off = np.mean([m[~n].mean() for m, n in zip(maps, near, strict=True)])
    assert on > 1.5 * off
    stability = saliency.stability(np.stack(roads), np.random.default_rng(0))
    assert stability.noise > 0.9


def test_a_policy_without_an_eye_has_none(log, drive_log):
    assert load_saliency(POLICIES / "hover_19.onnx") is None
    assert sight_of(log) is None
    assert sight_of(drive_log).maps is None


def test_pictures_that_the_policy_can_not_take_are_shown_and_named(drive_log):
    """A camera that sees a tenth of what the policy's does."""
    images = dataclasses.replace(drive_log.images, intrinsics=np.array([440.0, 440.0, 32.0, 16.0]))
    log = dataclasses.replace(drive_log, images=images)
    sight = sight_of(log, POLICIES / "lane_liquid.onnx")
    assert sight.maps is None
    assert "sees less than the policy needs" in sight.why_not
    np.testing.assert_array_equal(sight.rgb, images.rgb)


def test_the_sight_of_a_drive_is_what_the_policy_takes(drive_log):
    sight = sight_of(drive_log, POLICIES / "lane_liquid.onnx")
    assert sight.rgb.shape == (99, 32, 64, 3)
    assert sight.maps.shape == (99, 32, 64)
    assert [sight.newest(t) for t in (0.0, 0.04, 0.079, 99.0)] == [-1, 0, 0, 98]


def test_it_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np\n"
        "from liquid_control.evaluation.saliency import load_saliency\n"
        f"saliency = load_saliency({str(POLICIES / 'lane_liquid.onnx')!r})\n"
        "print(saliency.maps(np.zeros((1, 32, 64, 3), np.uint8)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 32, 64)", done.stderr
