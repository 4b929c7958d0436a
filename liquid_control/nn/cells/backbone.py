"""The closed-form cell of the paper: no wiring, one shared backbone in front of all heads.

Shapes: B batch, T time, F inputs, U units, K backbone units, S heads, O outputs.
Source: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence
2022, as ``ncps.torch.CfC(input_size, units)`` of the ncps package 1.0.1 computes it.

    z = [x, h];  z <- activation(W_l z + b_l), backbone_layers times
    heads = W z + b, of all neurons in one product;  h <- what the mode makes of heads, h and t

with t = dt / nominal_dt. The modes are those of :class:`liquid_control.nn.cells.cfc.CfC`: for
``default``, h <- tanh(f1)(1 - s) + tanh(f2) s with s = sigmoid(time_a t + time_b).

Use it where a task needs capacity more than a circuit that can be read: every neuron is heard by
all others through the backbone, and its weights have no synapses or signs.
"""

import importlib.util
import math
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from liquid_control.nn.cells.activations import ACTIVATIONS
from liquid_control.nn.cells.cell import Cell, Weights
from liquid_control.nn.cells.modes.mode import Constant, Mode
from liquid_control.nn.cells.modes.registry import mode_named
from liquid_control.nn.checks import above_zero, one_of, share, whole
from liquid_control.nn.kernels.calls import compiled_for, kept_steps


class BackboneCfC(Cell):
    """A closed-form cell of ``units`` neurons behind ``backbone_layers`` dense layers.

    mode: name of a registered mode, or a :class:`liquid_control.nn.cells.modes.mode.Mode`.
    nominal_dt: s, the period relative to which gates are learned; 1.0 computes what ncps does with
        timespans in seconds.
    activation: of the backbone, one of :data:`ACTIVATIONS`.
    backbone_units, backbone_layers: its size; with 0 layers the heads read [input, state].
    backbone_dropout: share of a backbone layer's outputs that training drops (torch's generator).
    output_size: outputs of a linear readout; None outputs the neurons.

    Weights begin as in ncps: Xavier uniform a head, biases uniform in ±1/sqrt(fan-in). Raises
    ValueError for a value out of range, naming it.
    """

    def __init__(
        self,
        *,
        input_size: int,
        units: int,
        nominal_dt: float,
        rng: torch.Generator,
        mode: str | Mode = "default",
        activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float = 0.0,
        output_size: int | None = None,
    ) -> None:
        super().__init__()
        one_of("activation", activation, ACTIVATIONS)
        self.mode, self.activation = mode_named(mode), ACTIVATIONS[activation]
        self.nominal_dt = above_zero("nominal_dt", nominal_dt)
        self.input_size, self.units = whole("input_size", input_size), whole("units", units)
        self.backbone_layers = whole("backbone_layers", backbone_layers, 0)
        self.backbone_units = whole("backbone_units", backbone_units)
        self.backbone_dropout = share("backbone_dropout", backbone_dropout)
        self.state_size, self.has_readout = self.units, output_size is not None
        self.output_size = whole("output_size", output_size) if self.has_readout else self.units
        self.unit_output = self.mode.unit_output and not self.has_readout
        self.weight, self.bias = nn.ParameterList(), nn.ParameterList()
        sources = self.input_size + self.units
        for _ in range(self.backbone_layers):
            self._add_layer([self.backbone_units], sources, rng)
            sources = self.backbone_units
        self._add_layer([self.units] * len(self.mode.heads), sources, rng)
        for constant in self.constants:
            values = constant.initial(torch.ones(self.units))
            setattr(self, constant.parameter, nn.Parameter(values))
        if self.has_readout:
            weight = torch.randn(self.output_size, self.units, generator=rng)
            self.weight_output = nn.Parameter(weight / math.sqrt(self.units))
            self.bias_output = nn.Parameter(torch.zeros(self.output_size))

    def _add_layer(self, parts: list[int], sources: int, rng: torch.Generator) -> None:
        """A layer whose outputs are drawn part by part."""
        bounds = [math.sqrt(6.0 / (rows + sources)) for rows in parts]
        weight = [_uniform((rows, sources), bound, rng) for rows, bound in zip(parts, bounds)]
        self.weight.append(nn.Parameter(torch.cat(weight)))
        self.bias.append(nn.Parameter(_uniform((sum(parts),), 1.0 / math.sqrt(sources), rng)))

    @property
    def constants(self) -> tuple[Constant, ...]:
        """What each neuron has besides its weights."""
        return self.mode.ncps.constants if self.mode.ncps else self.mode.constants

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(f"neuron{k}" for k in range(self.units))

    def _constants(self) -> tuple[Tensor, ...]:
        values = (c.effective(getattr(self, c.parameter)) for c in self.constants)
        return self.mode.Constants(*values)

    def weights(self) -> Weights:
        """Weight and bias of each layer, the constants of each neuron, those of the readout."""
        layers = [tensor for pair in zip(self.weight, self.bias) for tensor in pair]
        readout = (self.weight_output, self.bias_output) if self.has_readout else ()
        return (*layers, *self._constants(), *readout)

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        z = torch.cat([input_BF, state_BH], dim=1)
        for layer in range(self.backbone_layers):
            z = self.activation.of(F.linear(z, weights[2 * layer], weights[2 * layer + 1]))
            if self.training and self.backbone_dropout:
                z = F.dropout(z, self.backbone_dropout)
        first = 2 * self.backbone_layers
        heads = F.linear(z, weights[first], weights[first + 1])
        u = self.mode.Heads(*heads.chunk(len(self.mode.heads), dim=1))
        c = self.mode.Constants(*weights[first + 2 : first + 2 + len(self.constants)])
        return self.mode.update(u, state_BH, dt_B1 / self.nominal_dt, c)

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        state = state[..., : self.state_size]
        return F.linear(state, *weights[-2:]) if self.has_readout else state

    def compiled_sequence(self, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT):
        constants = self._constants()
        tensors = (input_BTF, state_BH, dt_BT1, *self.parameters())
        if (
            self.mode.kernel is None
            or (self.backbone_layers and self.activation.kernel is None)
            or (self.training and self.backbone_dropout)
            or observed_BT is not None
            or reset_BT is not None
            or not input_BTF.shape[0]
            or not _has_products()
            or not compiled_for(*tensors)
        ):
            return None
        from liquid_control.nn.kernels.backbone import BackboneSequence, Call

        kept = kept_steps(input_BTF.shape[1], *tensors)
        activation = self.activation if self.backbone_layers else None
        call = Call(self.mode, activation, kept)
        output_BTU, state_BU = BackboneSequence.apply(
            call,
            torch.stack(constants) if constants else state_BH.new_empty(0, self.units),
            input_BTF.contiguous(),
            state_BH.contiguous(),
            (dt_BT1 / self.nominal_dt).contiguous(),
            *self.weight,
            *self.bias,
        )
        readout = (self.weight_output, self.bias_output) if self.has_readout else None
        return F.linear(output_BTU, *readout) if readout else output_BTU, state_BU

    def config(self) -> dict:
        names = ("input_size", "units", "nominal_dt", "backbone_units", "backbone_layers")
        return {
            "kind": "cfc_backbone",
            **{name: getattr(self, name) for name in names},
            "backbone_dropout": self.backbone_dropout,
            "mode": self.mode.name,
            "activation": self.activation.name,
            "output_size": self.output_size if self.has_readout else None,
        }


@cache
def _has_products() -> bool:
    """Whether numba can multiply matrices, for which it calls the BLAS of scipy."""
    return importlib.util.find_spec("scipy") is not None


def _uniform(shape: tuple[int, ...], bound: float, rng: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=rng) * 2.0 - 1.0) * bound
