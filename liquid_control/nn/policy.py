"""A learned controller: observation in SI units -> liquid cell -> command in SI units.

Shapes: B batch, T time, N observation components, M state, C command components.
"""

import torch
from torch import Tensor, nn

from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.precision import autocast_is_on, in_full_precision
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.checks import tensors


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
        """The state (batch, M) at reset: zeros."""
        return self.cell.initial_state(batch)

    def weights(self) -> tuple[Tensor, ...]:
        """What ``step`` needs, the same for every step of a window."""
        return (self.observation_offset, 1.0 / self.observation_scale, *self.cell.weights())

    def step(
        self, observation_BN: Tensor, dt_B1: Tensor, state_BM: Tensor, weights: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """One control step of dt seconds: (command_BC in SI units, state_BM).

        State, errors and autocast are as in :meth:`liquid_control.nn.cells.cell.Cell.step`.
        """
        offset_N = weights[0]
        if autocast_is_on(offset_N):
            given = (observation_BN, dt_B1, state_BM, weights)
            return in_full_precision(self.step, offset_N, *given)
        tensors(offset_N, observation=(observation_BN, ("B", self.cell.input_size)))
        input_BN = self._normalised(observation_BN, weights[0], weights[1])
        output_BC, state_BM = self.cell.step(input_BN, state_BM, dt_B1, weights[2:])
        return self._command(output_BC), state_BM

    def run_sequence(
        self,
        observation_BTN: Tensor,
        dt_BT1: Tensor,
        state_BM: Tensor,
        *,
        observed_BT: Tensor | None = None,
        reset_BT: Tensor | None = None,
        compiled: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Control steps of a batch of sequences: (command_BTC in SI units, last state_BM).

        The same as :meth:`step` in a loop to within rounding, and many times as fast where the
        cell has a compiled kernel: use it where the observations don't depend on the commands, as
        in imitation. Masks, the state that they give, ``compiled``, errors and autocast are those
        of :func:`liquid_control.nn.cells.sequence.run_sequence`.
        """
        offset_N, scale_N = self.observation_offset, 1.0 / self.observation_scale
        if autocast_is_on(offset_N):
            options = dict(observed_BT=observed_BT, reset_BT=reset_BT, compiled=compiled)
            given = (observation_BTN, dt_BT1, state_BM)
            return in_full_precision(self.run_sequence, offset_N, *given, **options)
        tensors(offset_N, observation=(observation_BTN, ("B", "T", self.cell.input_size)))
        output_BTC, state_BM = run_sequence(
            self.cell,
            self._normalised(observation_BTN, offset_N, scale_N),
            state_BM,
            dt_BT1,
            observed_BT=observed_BT,
            reset_BT=reset_BT,
            compiled=compiled,
        )
        return self._command(output_BTC), state_BM

    def _normalised(self, observation: Tensor, offset_N: Tensor, scale_N: Tensor) -> Tensor:
        """(..., N) as the cell sees an observation (..., N)."""
        values = (observation - offset_N) * scale_N
        if self.observation_limit is None:
            return values
        return values.clamp(-self.observation_limit, self.observation_limit)

    def _command(self, output: Tensor) -> Tensor:
        """(..., C) in SI units."""
        unit = output if self.cell.unit_output else torch.tanh(output)
        return self.command_offset + self.command_scale * unit

    def forward(
        self, observation_BN: Tensor, dt_B1: Tensor, state_BM: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.step(observation_BN, dt_B1, state_BM, self.weights())
