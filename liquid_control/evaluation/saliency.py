"""Which pixels an eye answers to: VisualBackProp, from the policy file alone.

Bojarski et al., "VisualBackProp: efficient visualization of CNNs for autonomous driving", ICRA
2018, arXiv 1611.05418. The feature maps behind each convolution are averaged; the deepest average
is spread over the pixels that its convolution read, as its transposed convolution with equal
weights would, and multiplied with the average before it, and so on down to the picture. One
forward pass, no gradients. Here each spread value is a mean where the paper's is a sum, so that a
stride leaves no grid in the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from liquid_control.config import ConfigError, missing_packages
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.artifact import load_artifact, open_session, read_encoder
from liquid_control.runtime.eye import EYE_INPUTS, fitted
from liquid_control.runtime.schema import EyeEntry

NOISE = 10.0  # of 255, standard deviation of the pixel noise that stability is measured with
_PICTURES = 64  # that it is measured with, spread over the flight
_BATCH = 64
# What stands behind a convolution and keeps its pixels apart.
_POINTWISE = frozenset(
    (
        *("BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu"),
        *("Tanh", "Sigmoid", "HardSigmoid", "HardSwish", "Softplus", "Clip"),
    )
)


class _Layer(NamedTuple):
    """A convolution: what its maps are called, and which pixels it reads; rows, columns."""

    output: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]  # top, left, bottom, right


class Stability(NamedTuple):
    """How alike maps are: mean correlation over pixels."""

    noise: float  # of a picture's map and that of the same picture with pixel noise
    others: float  # of the maps of two pictures of the flight, far from each other


class Saliency:
    """An encoder that is looked into; see `load_saliency`.

    Args:
        entry: what the policy says about its eye.
        encoder: its ONNX file.
        path: of the policy, for errors.

    Raises:
        ConfigError: for an encoder without convolutions.
    """

    def __init__(self, entry: EyeEntry, encoder: bytes, path: Path):
        try:
            import onnx
        except ModuleNotFoundError:
            raise missing_packages("report", ["onnx"]) from None
        self.entry = entry
        model = onnx.load_from_string(encoder)
        self._layers = _layers(model.graph)
        if not self._layers:
            raise ConfigError(f"{path}: its eye has no convolutions, expected one or more")
        known = {output.name for output in model.graph.output}
        for layer in self._layers:
            if layer.output not in known:
                model.graph.output.append(
                    onnx.helper.make_tensor_value_info(layer.output, onnx.TensorProto.FLOAT, None)
                )
        self._session, _ = open_session(path, model.SerializeToString())

    def maps(self, image_BHW3: np.ndarray) -> np.ndarray:
        """(B, height, width) from 0 to 1 in each map, of uint8 pictures as the eye takes them."""
        batches = range(0, len(image_BHW3), _BATCH)
        return np.concatenate([self._of(image_BHW3[k : k + _BATCH]) for k in batches])

    def _of(self, image_BHW3: np.ndarray) -> np.ndarray:
        names = [layer.output for layer in self._layers]
        features = self._session.run(names, {EYE_INPUTS[0]: image_BHW3})
        means = [maps.mean(axis=1) for maps in features]  # each (B, rows, columns)
        map_BHW = means[-1]
        for layer, below in zip(self._layers[:0:-1], means[-2::-1], strict=True):
            map_BHW = _spread(map_BHW, layer, below.shape[1:]) * below
        map_BHW = _spread(map_BHW, self._layers[0], image_BHW3.shape[1:3])
        low, high = (f(axis=(1, 2), keepdims=True) for f in (map_BHW.min, map_BHW.max))
        return (map_BHW - low) / np.maximum(high - low, 1e-12)

    def stability(self, image_BHW3: np.ndarray, rng: np.random.Generator) -> Stability:
        """Of pictures of one flight, in the order of time; two or more of them."""
        pick = np.unique(np.linspace(0, len(image_BHW3) - 1, _PICTURES).astype(int))
        pictures = image_BHW3[pick]
        noisy = pictures + rng.normal(0, NOISE, pictures.shape)
        maps = self.maps(pictures)
        with_noise = self.maps(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        others = np.roll(maps, len(maps) // 2, axis=0)
        return Stability(_alike(maps, with_noise), _alike(maps, others))


def load_saliency(path: str | Path) -> Saliency | None:
    """Of a policy file; ``None`` for a policy that does not see. Needs the onnx package.

    Raises:
        ConfigError: as `load_artifact`, and for an eye without convolutions.
    """
    path, entry = Path(path), load_artifact(path).metadata.eye
    return None if entry is None else Saliency(entry, read_encoder(path), path)


@dataclass(frozen=True)
class Sight:
    """What the views of a flight show of its camera; n pictures."""

    time: np.ndarray  # (n,) s since the start of the flight
    rgb: np.ndarray  # (n, height, width, 3) uint8, as the policy takes them where it says so
    maps: np.ndarray | None = None  # (n, height, width) from 0 to 1, the saliency
    stability: Stability | None = None
    why_not: str = ""  # there is no saliency of a policy that sees

    def newest(self, time: float) -> int:
        """The index of the newest picture at a time in s; -1 before the first."""
        return int(np.searchsorted(self.time, time + 1e-9, side="right")) - 1


def sight_of(log: FlightLog, policy: str | Path | None = None) -> Sight | None:
    """What the camera of a flight saw, and what the policy looked at in it.

    Use it for `write_video` and `write_report`. Pictures are shown as the camera gave them and
    without saliency where a controller that is no file flew, and where the policy's eye has no
    convolutions or could not take them, which ``why_not`` says.

    Args:
        log: with images; ``None`` comes of one without.
        policy: the file that flew.
    """
    images = log.images
    if images is None:
        return None
    bare = Sight(images.time, images.rgb)
    try:
        saliency = None if policy is None else load_saliency(policy)
        if saliency is None:
            return bare
        rgb = np.stack([fitted(images.sample(k), saliency.entry) for k in range(len(images.time))])
    except (ConfigError, ValueError) as error:
        return replace(bare, why_not=str(error))
    several = len(rgb) > 1
    stability = saliency.stability(rgb, np.random.default_rng(0)) if several else None
    return Sight(images.time, rgb, saliency.maps(rgb), stability)


def _layers(graph: Any) -> list[_Layer]:
    """The convolutions over pixels in the order of the signal; where it parts, the longest way."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ways: dict[str, list[_Layer]] = {}  # up to each convolution, by its own output
    for node in graph.node:
        shape = weights.get(node.input[1], ()) if node.op_type == "Conv" else ()
        if len(shape) != 4:
            continue
        before = node.input[0]
        while before in makers and before not in ways:
            before = makers[before].input[0]
        given = {a.name: tuple(a.ints) for a in node.attribute}
        output = node.output[0]
        while len(then := readers.get(output, [])) == 1 and then[0].op_type in _POINTWISE:
            output = then[0].output[0]
        strides, pads = given.get("strides", (1, 1)), given.get("pads", (0, 0, 0, 0))
        layer = _Layer(output, shape[2:], strides, pads)
        ways[node.output[0]] = [*ways.get(before, ()), layer]
    return max(reversed(ways.values()), key=len, default=[])


def _spread(map_BHW: np.ndarray, layer: _Layer, size: Sequence[int]) -> np.ndarray:
    """The mean, at each of ``size`` pixels, of the values that read it; 0 where none did."""
    (height, width), (top, left, bottom, right) = size, layer.pads
    rows = (height + top + bottom - layer.kernel[0]) // layer.strides[0] + 1
    columns = (width + left + right - layer.kernel[1]) // layer.strides[1] + 1
    if map_BHW.shape[1:] != (rows, columns):  # pooled after the layer below
        row = np.arange(rows) * map_BHW.shape[1] // rows
        map_BHW = map_BHW[:, row[:, None], np.arange(columns) * map_BHW.shape[2] // columns]
    total = np.zeros((len(map_BHW), height + top + bottom, width + left + right), np.float32)
    count = np.zeros(total.shape[1:], np.float32)
    for i in range(layer.kernel[0]):
        for j in range(layer.kernel[1]):
            place = (
                slice(i, i + layer.strides[0] * (rows - 1) + 1, layer.strides[0]),
                slice(j, j + layer.strides[1] * (columns - 1) + 1, layer.strides[1]),
            )
            total[(slice(None), *place)] += map_BHW
            count[place] += 1
    inner = (slice(top, top + height), slice(left, left + width))
    return total[(slice(None), *inner)] / np.maximum(count[inner], 1)


def _alike(a_BHW: np.ndarray, b_BHW: np.ndarray) -> float:
    """Mean over B of the correlation of two maps; of one that is the same everywhere, 0."""
    a, b = (x - x.mean(axis=(1, 2), keepdims=True) for x in (a_BHW, b_BHW))
    spread = np.sqrt((a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2)))
    return float(np.mean((a * b).sum(axis=(1, 2)) / np.maximum(spread, 1e-12)))
