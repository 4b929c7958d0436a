"""What bends the backbone of a closed-form cell, by the names that the ncps package has for it.

An activation is one object: its torch function, and for the compiled loops its value and slope in
plain arithmetic, of the kind that :class:`liquid_control.nn.cells.modes.mode.ModeKernel` describes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from liquid_control.nn.kernels.functions import positive_part, sigmoid, sign, tanh

# LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998: 1.7159 tanh(2/3 x); as CfC has it
LECUN_GAIN, LECUN_SLOPE = 1.7159, 0.666


@dataclass(frozen=True, eq=False)
class Activation:
    """A function of one number.

    of: the torch function. kernel: x -> (value, slope) in plain arithmetic; without one, sequences
    run in torch.
    """

    name: str
    of: Callable[[Tensor], Tensor]
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


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("lecun_tanh", lambda x: LECUN_GAIN * torch.tanh(LECUN_SLOPE * x), _lecun),
        Activation("tanh", torch.tanh, _tanh),
        Activation("relu", torch.relu, _relu),
        Activation("silu", F.silu, _silu),
        Activation("gelu", F.gelu),
    )
}
