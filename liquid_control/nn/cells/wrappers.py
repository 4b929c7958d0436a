"""Cells around a cell: a memory in front, a readout behind, or a clock held.

Shapes: B batch, F inputs, H state, U neurons of the wrapped cell.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from liquid_control.nn.cells.baselines import lstm_update
from liquid_control.nn.cells.cell import Cell, Weights
from liquid_control.nn.cells.circuit import Wiring
from liquid_control.nn.checks import whole


class Wrapper(Cell):
    """A cell around another, to which all falls that it does not do itself."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell
        self.input_size, self.output_size = cell.input_size, cell.output_size
        self.state_size, self.nominal_dt = cell.state_size, cell.nominal_dt
        self.unit_output = cell.unit_output

    @property
    def wiring(self) -> Wiring:
        """Wiring of the cell, if it has one."""
        return self.cell.wiring

    @property
    def state_names(self) -> tuple[str, ...]:
        return self.cell.state_names

    def parameter_count(self) -> int:
        own = sum(parameter.numel() for parameter in self.parameters(recurse=False))
        return own + self.cell.parameter_count()

    def strengths(self) -> Tensor | None:
        return self.cell.strengths()

    def weights(self) -> Weights:
        return self.cell.weights()

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        return self.cell.advance(input_BF, state_BH, dt_B1, weights)

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        return self.cell.output(state, weights)


class MixedMemory(Wrapper):
    """An LSTM memory in front of a liquid cell (Lechner and Hasani 2020; CfC's "mixed memory").

    An LSTM step turns (input, neurons, memory) into new neurons and memory, then the cell advances
    those neurons by dt. State: [cell's state | memory].
    """

    def __init__(self, cell: Cell, *, rng: torch.Generator) -> None:
        super().__init__(cell)
        units = cell.state_size
        self.state_size = 2 * units
        fan = cell.input_size + units
        shape = (4 * units, fan)
        self.weight = nn.Parameter(torch.randn(shape, generator=rng) * 1.5 / math.sqrt(fan))
        self.bias = nn.Parameter(torch.zeros(4 * units))
        self.bias.data[units : 2 * units] = 1.0

    @property
    def state_names(self) -> tuple[str, ...]:
        names = self.cell.state_names
        return (*names, *(f"{name}.memory" for name in names))

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        neurons, memory = state_BH.chunk(2, dim=1)
        gates = F.linear(torch.cat([input_BF, neurons], dim=1), self.weight, self.bias)
        neurons, memory = lstm_update(gates, memory).chunk(2, dim=1)
        return torch.cat([self.cell.advance(input_BF, neurons, dt_B1, weights), memory], dim=1)

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        return self.cell.output(state[..., : self.cell.state_size], weights)

    def config(self) -> dict:
        return {"kind": "mixed_memory", "cell": self.cell.config()}


class Readout(Wrapper):
    """A cell followed by a linear layer on its output, for targets outside the cell's range."""

    def __init__(self, cell: Cell, *, output_size: int, rng: torch.Generator) -> None:
        super().__init__(cell)
        self.output_size, self.unit_output = whole("output_size", output_size), False
        scale = 1.0 / math.sqrt(cell.output_size)
        weight = torch.randn(output_size, cell.output_size, generator=rng)
        self.weight = nn.Parameter(weight * scale)
        self.bias = nn.Parameter(torch.zeros(output_size))

    def weights(self) -> Weights:
        return (*self.cell.weights(), self.weight, self.bias)

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        return self.cell.advance(input_BF, state_BH, dt_B1, weights[:-2])

    def compiled_sequence(self, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT):
        result = self.cell.compiled_sequence(input_BTF, state_BH, dt_BT1, observed_BT, reset_BT)
        return result and (F.linear(result[0], self.weight, self.bias), result[1])

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        return F.linear(self.cell.output(state, weights[:-2]), *weights[-2:])

    def config(self) -> dict:
        return {"kind": "readout", "cell": self.cell.config(), "output_size": self.output_size}


class NominalTime(Wrapper):
    """A cell that is told its nominal dt at every step, to show what the true dt is worth."""

    def __init__(self, cell: Cell, *, rng: torch.Generator | None = None) -> None:
        super().__init__(cell)

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        nominal_B1 = 0.0 * dt_B1 + self.nominal_dt  # dt remains an input of the exported graph
        return self.cell.advance(input_BF, state_BH, nominal_B1, weights)

    def config(self) -> dict:
        return {"kind": "nominal_time", "cell": self.cell.config()}
