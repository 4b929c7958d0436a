"""What bends the backbone of a closed-form cell, by the names that the ncps package has for it.

An activation is one object: its torch function, and for the compiled loops its value and slope in
plain arithmetic, of the kind that :class:`liquid_control.nn.cells.modes.mode.ModeKernel` describes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from liquid_control.nn.kernels.functions import positive_part, sigmoid, sign, tanh

# LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998: 1.7159 tanh(2/3 x); as CfC has it
LECUN_GAIN, LECUN_SLOPE = 1.7159, 0.666


@dataclass(frozen=True, eq=False)
class Activation:
    """A function of one number.

    of: the torch function. nodes: (graph, x) -> name of its value in an ONNX graph. kernel: x ->
    (value, slope) in plain arithmetic; without one, sequences run in torch.
    """

    name: str
    of: Callable[[Tensor], Tensor]
    nodes: Callable
    kernel: Callable | None = None

    def __deepcopy__(self, memo: dict) -> "Activation":
        return self  # a copied cell shares the compiled kernel

    def __reduce__(self) -> tuple:
        return _named, (self.name,)  # its functions can't be pickled


def _named(name: str) -> Activation:
    return ACTIVATIONS[name]


def _lecun(x):
    bent = tanh(LECUN_SLOPE * x)
    return LECUN_GAIN * bent, LECUN_GAIN * LECUN_SLOPE * (1.0 - bent * bent)


def _tanh(x):
    bent = tanh(x)
    return bent, 1.0 - bent * bent


def _relu(x):
    value = positive_part(x)
    return value, sign(value)


def _silu(x):
    gate = sigmoid(x)
    return x * gate, gate * (1.0 + x * (1.0 - gate))


def _number(graph, value: float) -> str:
    return graph.constant(np.float32(value))


def _lecun_nodes(graph, x):
    bent = graph.op("Tanh", graph.op("Mul", x, _number(graph, LECUN_SLOPE)))
    return graph.op("Mul", bent, _number(graph, LECUN_GAIN))


def _gelu_nodes(graph, x):
    erf = graph.op("Erf", graph.op("Mul", x, _number(graph, math.sqrt(0.5))))
    half = graph.op("Mul", x, _number(graph, 0.5))
    return graph.op("Add", half, graph.op("Mul", half, erf))


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation(
            "lecun_tanh",
            lambda x: LECUN_GAIN * torch.tanh(LECUN_SLOPE * x),
            _lecun_nodes,
            _lecun,
        ),
        Activation("tanh", torch.tanh, lambda graph, x: graph.op("Tanh", x), _tanh),
        Activation("relu", torch.relu, lambda graph, x: graph.op("Relu", x), _relu),
        Activation(
            "silu",
            F.silu,
            lambda graph, x: graph.op("Mul", x, graph.op("Sigmoid", x)),
            _silu,
        ),
        Activation("gelu", F.gelu, _gelu_nodes),
    )
}
