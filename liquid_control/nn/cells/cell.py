"""The one signature of every network: a cell takes input, state and dt, and gives output and state.

Shapes: B batch, T time, F inputs, H state, O outputs. dt is in seconds, one value a sample.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from liquid_control.nn.cells import identity
from liquid_control.nn.cells.circuit import Layer, Wiring
from liquid_control.nn.cells.precision import autocast_is_on, in_full_precision
from liquid_control.nn.cells.waiting import is_of_stream
from liquid_control.nn.checks import one_of, tensors

Weights = tuple[Tensor, ...]


class Cell(nn.Module):
    """Interface of a recurrent cell; subclasses are leaves.

    A leaf implements ``weights``, ``advance``, ``output`` and ``config``. ``weights`` turns
    parameters into the tensors that a step needs (masks and signs applied). It is the same for
    every step of a sequence, so a loop calls it once and then ``step``::

        weights = cell.weights()
        for t in range(steps):
            output_BO, state_BH = cell.step(input_BTF[:, t], state_BH, dt_BT1[:, t], weights)

    or hands the loop to :func:`liquid_control.nn.cells.sequence.run_sequence`.
    """

    input_size: int
    state_size: int
    output_size: int
    nominal_dt: float  # s, the control period; rates and gates are learned relative to it
    unit_output = False  # whether the output stays within [-1, 1] whatever the weights
    meaning: ClassVar[dict[str, object]] = {}  # what the weights stand for, see `identity`

    @property
    def state_names(self) -> tuple[str, ...]:
        """One name per component of the state; a wired cell's first ones are its neurons."""
        return tuple(f"state{k}" for k in range(self.state_size))

    def initial_state(self, batch: int) -> Tensor:
        """(batch, H) state at rest: zeros, on the device and in the dtype of the parameters."""
        return next(self.parameters()).new_zeros(batch, self.state_size)

    def parameter_count(self) -> int:
        """Number of weights that training can change; those of missing synapses don't count."""
        return sum(parameter.numel() for parameter in self.parameters())

    def strengths(self) -> Tensor | None:
        """(F + neurons, neurons) strength of each synapse now, NaN where there is none.

        Row = source in [inputs | neurons], column = target; None for a cell without a wiring.
        Use it to read or draw what training made of a wiring, e.g. ``wiring.draw(strengths=...)``;
        :mod:`liquid_control.nn.cells.strength` says what a strength is.
        """
        return None

    def weights(self) -> Weights:
        """Effective weights, differentiable with respect to the parameters."""
        raise NotImplementedError

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        """The state (B, H) after dt seconds with the input held."""
        raise NotImplementedError

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        """(..., O) output of a state (..., H), or (..., H + 1) as a stream has it."""
        raise NotImplementedError

    def config(self) -> dict:
        """Plain values from which `zoo.build_cell` rebuilds the cell."""
        raise NotImplementedError

    def compiled_sequence(
        self,
        input_BTF: Tensor,
        state_BH: Tensor,
        dt_BT1: Tensor,
        observed_BT: Tensor | None,
        reset_BT: Tensor | None,
    ) -> tuple[Tensor, Tensor] | None:
        """(output_BTO, last state_BH) from a compiled kernel; None if none takes these.

        The arguments are those of :func:`liquid_control.nn.cells.sequence.run_sequence`, inputs of
        missing samples zeroed.
        """
        return None

    def step(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> tuple[Tensor, Tensor]:
        """One step of dt seconds with the input held; returns (output_BO, state_BH).

        state_BH may be (B, H + 1) as a sequence with missing samples returns it: the seconds in its
        last column are added to dt. dt of at least 0 s, which is not checked. Under
        ``torch.autocast`` a cell computes in its own dtype
        (:mod:`liquid_control.nn.cells.precision`). Raises ValueError that names the argument for a
        wrong shape, dtype or device.
        """
        like = weights[0] if weights else next(self.parameters())
        if autocast_is_on(like):
            return in_full_precision(self.step, like, input_BF, state_BH, dt_B1, weights)
        with_seconds = is_of_stream(state_BH, self.state_size)
        tensors(
            like,
            input=(input_BF, ("B", self.input_size)),
            state=(state_BH, ("B", self.state_size + with_seconds)),
            dt=(dt_B1, ("B", 1)),
        )
        if with_seconds:
            dt_B1, state_BH = dt_B1 + state_BH[:, -1:], state_BH[:, :-1]
        state_BH = self.advance(input_BF, state_BH, dt_B1, weights)
        return self.output(state_BH, weights), state_BH

    def forward(self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`step` with the weights as they are."""
        return self.step(input_BF, state_BH, dt_B1, self.weights())

    def _load_from_state_dict(self, state_dict, prefix, *others) -> None:
        """torch's, for weights of the same meaning; others raise ValueError."""
        if self.meaning:
            ours, things = getattr(self, identity.NAME), tuple(self.meaning)
            identity.check(ours, things, type(self).__name__, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *others)


def gather_sources(layer: Layer, input_BF: Tensor, state_BH: Tensor, fresh: list[Tensor]) -> Tensor:
    """What a layer reads: the input, layers already updated in this step, and the old state.

    fresh: new states of the layers before this one, in order, i.e. of neurons [0, layer.start).
    """
    inputs = input_BF.shape[1]
    first, last = layer.source_start - inputs, layer.source_stop - inputs
    parts = [input_BF] if layer.source_start < inputs else []
    start = 0
    for part in fresh:
        if first <= start < last:
            parts.append(part)
        start += part.shape[1]
    if last > start:
        parts.append(state_BH[:, max(first, start) : last])
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def checked_polarity(polarity: str | None, compat: str | None) -> str:
    """ "fixed" unless asked otherwise; "initial" for ``compat="ncps"``, where no sign is kept."""
    one_of("compat", compat, (None, "ncps"))
    one_of("polarity", polarity, (None, "fixed", "initial"))
    if compat and polarity == "fixed":
        raise ValueError(f"polarity is 'fixed', which compat {compat!r} does not have")
    return polarity or ("initial" if compat else "fixed")


def fan_in(mask_HF: Tensor) -> Tensor:
    """(H, 1) number of sources of each neuron that have a synapse, at least 1."""
    return mask_HF.ne(0).sum(dim=1, keepdim=True).clamp(min=1)


MOTOR_TAU = 1.0 / 3.0  # of neurons that are not spaced, in nominal_dt: 3.3 ms at 100 Hz


def initial_tau(wiring: Wiring, tau_range: tuple[float, float]) -> Tensor:
    """(H,) time constants in units of nominal_dt.

    Motor neurons start at `MOTOR_TAU` in every wiring, i.e. almost without lag, so that networks
    that are compared differ in their wiring and not in how fast they answer. Those of the command
    neurons are log-spaced over ``tau_range``, inter neurons are as fast as motor neurons. Without
    a command group (fully connected, random) all neurons but the motor neurons are spaced. Where
    every neuron is a motor neuron they are the only memory there is, and all are spaced.
    """
    tau_H = torch.full((wiring.units,), MOTOR_TAU)
    groups = wiring.groups
    inner = range(groups["motor"].start) or range(wiring.units)
    spaced = groups["command"] if wiring.command else inner
    low, high = (math.log10(value) for value in tau_range)
    tau_H[spaced.start : spaced.stop] = torch.logspace(low, high, len(spaced))
    return tau_H
