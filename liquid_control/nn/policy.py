"""A learned controller: observation in SI units -> liquid cell -> command in SI units.

Shapes: B batch, N observation components, M state, C command components.
"""

import torch
from torch import Tensor, nn

from liquid_control.nn.cells.cell import Cell


class Policy(nn.Module):
    """Normalisation, cell and action scaling in one module, as it is exported and flies.

    observation_offset, observation_scale: (N,) SI units; the network sees (observation - offset) /
        scale, so that what is usual is 0 and the scale counts as 1. The result is clipped to
        ``±observation_limit`` (no limit if None), so that an outlier can't saturate every neuron.
    command_offset, command_scale: (C,) SI units; command = offset + scale*u with u in [-1, 1]:
        thrust = g + g*s*u0 with offset g and scale g*s, body rate = max_rate*u with offset 0.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        observation_offset: Tensor,
        observation_scale: Tensor,
        command_offset: Tensor,
        command_scale: Tensor,
        observation_limit: float | None = None,
    ) -> None:
        super().__init__()
        for name, values, size in (
            ("observation_offset", observation_offset, cell.input_size),
            ("observation_scale", observation_scale, cell.input_size),
            ("command_offset", command_offset, cell.output_size),
            ("command_scale", command_scale, cell.output_size),
        ):
            values = torch.as_tensor(values, dtype=torch.float32)
            if values.shape != (size,) or not torch.isfinite(values).all():
                raise ValueError(f"{name} is {values.tolist()}, expected {size} finite values")
            self.register_buffer(name, values)
        if not (self.observation_scale > 0).all():
            raise ValueError(f"observation_scale is {observation_scale}, expected values above 0")
        self.cell = cell
        self.observation_limit = observation_limit

    def initial_state(self, batch: int) -> Tensor:
        """(batch, M) zeros."""
        return self.cell.initial_state(batch)

    def weights(self) -> tuple[Tensor, ...]:
        """What ``step`` needs, the same for every step of a window."""
        return (self.observation_offset, 1.0 / self.observation_scale, *self.cell.weights())

    def step(
        self, observation_BN: Tensor, dt_B1: Tensor, state_BM: Tensor, weights: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """One control step of dt seconds: (command_BC in SI units, state_BM)."""
        input_BN = (observation_BN - weights[0]) * weights[1]
        if self.observation_limit is not None:
            input_BN = input_BN.clamp(-self.observation_limit, self.observation_limit)
        output_BC, state_BM = self.cell.step(input_BN, state_BM, dt_B1, weights[2:])
        if not self.cell.unit_output:
            output_BC = torch.tanh(output_BC)
        return self.command_offset + self.command_scale * output_BC, state_BM

    def forward(
        self, observation_BN: Tensor, dt_B1: Tensor, state_BM: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.step(observation_BN, dt_B1, state_BM, self.weights())
