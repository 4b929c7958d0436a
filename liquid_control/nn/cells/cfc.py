"""Closed-form liquid cells on a wiring.

Shapes: B batch, F inputs, H state, N neurons of one layer, S sources of one layer, O outputs.
Sources: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence
2022 (gated modes); Hasani et al., "Liquid time-constant networks", AAAI 2021 (the equation);
Funahashi and Nakamura, Neural Networks 1993 (CT-RNN).

Every neuron reads z = [inputs | states with a synapse to the neuron]; t = dt / nominal_dt. What its
heads, weighted sums over z, do to its state is the mode's:

closed   h <- A + (h - A)*exp(-(k_leak + k_syn*s)*t): the default, the solution of an ODE
ctrnn    the same with a rate that no input changes; leaky: and with a target that is linear
default  h <- f1*(1 - s) + f2*s, where t shifts the gate s; no_gate: f1 + f2*s
pure     h <- A - A*exp(-t*(w_tau + |drive|))*drive

One file of :mod:`liquid_control.nn.cells.modes` each, which tells its equation; ``mode.py`` there
says how to write another.

Weights exist only where the wiring has a synapse, in every head. ``polarity="fixed"`` keeps the
sign of each synapse in the heads that give the target (A, f1, f2): w = sign*|w|; a conductance or
a time gate has no polarity, as in LTC where only the reversal potential carries it.
``polarity="initial"`` starts from that sign and lets training change it. ``compat="ncps"`` computes
what the wired CfC of the ncps package does instead: signs are ignored, each layer's own block is
dense, and so are both time heads; its timespan is t = dt / nominal_dt.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from liquid_control.nn.cells.cell import (
    Cell,
    Weights,
    checked_polarity,
    fan_in,
    gather_sources,
    initial_tau,
)
from liquid_control.nn.cells.circuit import Wiring
from liquid_control.nn.cells.identity import NAME, digests, meaning
from liquid_control.nn.cells.modes.mode import Constant, Mode
from liquid_control.nn.cells.modes.registry import MODES, mode_named
from liquid_control.nn.cells.strength import cfc_strengths
from liquid_control.nn.checks import above_zero, interval
from liquid_control.nn.kernels.calls import compiled_for, kept_steps, masks_TB

# as a mode's gain, of the heads that give a rate or a gate
RATE_GAIN = 1.0


class CfC(Cell):
    """A wired closed-form cell; output is the state of the motor neurons.

    mode: name of a registered mode, or a :class:`liquid_control.nn.cells.modes.mode.Mode`.
    nominal_dt: control period in seconds; rates and gates are learned relative to it.
    tau_range: smallest and largest time constant of the command neurons at initialisation, in
        nominal_dt (5 ms to 2 s at 100 Hz), or, without a command group, of all but the motor
        neurons, which are fast in every wiring, see `initial_tau`; for modes that have one.
    polarity: "fixed" (default) or "initial".
    motor_gain: factor on the motor neurons' weights at initialisation. A policy whose first
        commands are small starts near hover, which CfC's gates need to learn at all.
    compat: None or "ncps"; :mod:`liquid_control.nn.compat` carries weights either way.
    """

    def __init__(
        self,
        wiring: Wiring,
        *,
        mode: str | Mode = "closed",
        nominal_dt: float,
        rng: torch.Generator,
        polarity: str | None = None,
        tau_range: tuple[float, float] = (0.5, 200.0),
        motor_gain: float = 1.0,
        compat: str | None = None,
    ) -> None:
        super().__init__()
        mode = mode_named(mode)
        polarity = checked_polarity(polarity, compat)
        if compat and mode.ncps is None:
            allowed = tuple(other.name for other in MODES.values() if other.ncps)
            raise ValueError(f"mode is {mode.name!r}, but compat {compat!r} is for {allowed}")
        self.wiring, self.mode = wiring, mode
        self.polarity, self.compat = polarity, compat
        self.meaning = meaning(wiring, mode=mode.name, polarity=polarity, compat=compat)
        self.register_buffer(NAME, digests(self.meaning))
        self.nominal_dt = above_zero("nominal_dt", nominal_dt)
        self.tau_range = interval("tau_range", tau_range)
        self.motor_gain = above_zero("motor_gain", motor_gain)
        self.input_size, self.state_size = wiring.sensory, wiring.units
        self.output_size = wiring.motor
        self.unit_output = mode.unit_output
        self._synapses = None  # of the compiled kernel, built at its first use
        self.layers = wiring.layers(own_state=mode.own_state)
        self.weight, self.bias = nn.ParameterList(), nn.ParameterList()
        for index, layer in enumerate(self.layers):
            synapses_NS = torch.tensor(
                wiring.full_adjacency[
                    layer.source_start : layer.source_stop, layer.start : layer.stop
                ].T
            )
            if mode.inverted and not compat:
                synapses_NS = -synapses_NS
            own_column = layer.start + wiring.sensory - layer.source_start
            sign, free = self._masks(synapses_NS, own_column)
            self.register_buffer(f"sign{index}", sign, persistent=False)
            self.register_buffer(f"free{index}", free, persistent=False)
            self.weight.append(nn.Parameter(self._initial_weight(synapses_NS, sign, free, rng)))
            self.bias.append(nn.Parameter(torch.zeros(len(sign))))
            if mode.rest and not compat:  # cancel what neurons at rest would do to others
                states = max(wiring.sensory - layer.source_start, 0)
                effective_NS = self._effective(index)[:, states:].detach()
                self.bias[index].data.copy_(-mode.rest * effective_NS.sum(dim=1))
        motors = self.weight[-1].data.unflatten(0, (len(mode.heads), -1))[:, -wiring.motor :]
        motors *= motor_gain
        rate_H = 1.0 / initial_tau(wiring, self.tau_range)
        for constant in self.constants:
            setattr(self, constant.parameter, nn.Parameter(constant.initial(rate_H)))

    @property
    def constants(self) -> tuple[Constant, ...]:
        """What each neuron has besides its weights."""
        return self.mode.ncps.constants if self.compat else self.mode.constants

    def _masks(self, synapses_NS: Tensor, own_column: int) -> tuple[Tensor, Tensor]:
        """(heads*N, S) signs of the weights that keep one, and 1 where a weight is free."""
        polar, plain = len(self.mode.polar), len(self.mode.plain)
        neurons = len(synapses_NS)
        exists = synapses_NS.ne(0)
        own = torch.zeros_like(exists)
        own_block = slice(max(own_column, 0), max(own_column + neurons, 0))
        if not self.mode.recurrent:
            exists[:, own_block] = False
        if self.mode.own_state:
            own[:, own_block] = torch.eye(neurons, dtype=torch.bool)
        every = exists | own
        if self.compat:
            exists[:, own_block] = True
            every = torch.ones_like(exists)
        fixed = exists & (self.polarity == "fixed")
        sign = torch.cat([synapses_NS * fixed] * polar + [torch.zeros_like(synapses_NS)] * plain)
        free = torch.cat([(exists & ~fixed) | (own & ~exists)] * polar + [every] * plain)
        return sign.float(), free.float()

    def _initial_weight(self, synapses_NS, sign, free, rng) -> Tensor:
        polar, plain = len(self.mode.polar), len(self.mode.plain)
        exists = sign.ne(0) | free.ne(0)
        neurons = len(synapses_NS)
        if self.compat:  # Xavier uniform a head, masks not considered
            bound = math.sqrt(6.0 / (neurons + sign.shape[1]))
            return (torch.rand(sign.shape, generator=rng) * 2 - 1) * bound
        gain = torch.tensor([self.mode.gain] * polar + [RATE_GAIN] * plain)
        gain = gain.repeat_interleave(neurons)[:, None]
        weight = torch.randn(sign.shape, generator=rng) * gain / fan_in(exists).sqrt()
        # start from the wiring's polarity; the sign mask applies it where it is fixed
        target = weight[: polar * neurons]
        signs = synapses_NS.repeat(polar, 1)
        fixed = sign[: polar * neurons].ne(0)
        target = torch.where(signs.ne(0), target.abs() * signs, target)
        weight[: polar * neurons] = torch.where(fixed, target.abs(), target)
        return weight * exists

    def tau_bounds(self) -> tuple[Tensor, Tensor]:
        """(H,) smallest and largest time constant in seconds that any input can cause."""
        if self.mode.tau is None:
            having = ", ".join(mode.name for mode in MODES.values() if mode.tau)
            raise ValueError(f"mode {self.mode.name!r} has no time constant; {having} have")
        shortest_H, longest_H = self.mode.tau(self._constants())
        return self.nominal_dt * shortest_H, self.nominal_dt * longest_H

    @property
    def state_names(self) -> tuple[str, ...]:
        return self.wiring.neuron_names

    def parameter_count(self) -> int:
        missing = sum(
            int((getattr(self, f"sign{index}").eq(0) & getattr(self, f"free{index}").eq(0)).sum())
            for index in range(len(self.layers))
        )
        return super().parameter_count() - missing

    def strengths(self) -> Tensor:
        return cfc_strengths(self)

    def weights(self) -> Weights:
        """Weight and bias of each layer, then the constants of each neuron."""
        effective: list[Tensor] = []
        for index, bias in enumerate(self.bias):
            effective += [self._effective(index), bias]
        return (*effective, *self._constants())

    def _constants(self) -> tuple[Tensor, ...]:
        """Named tuple of the constants in the mode's equation, (H,) each."""
        return self.mode.Constants(
            *(c.effective(getattr(self, c.parameter)) for c in self.constants)
        )

    def _effective(self, index: int) -> Tensor:
        weight = self.weight[index]
        sign, free = getattr(self, f"sign{index}"), getattr(self, f"free{index}")
        return weight.abs() * sign + weight * free

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        t_B1, mode = dt_B1 / self.nominal_dt, self.mode
        fresh: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            z_BS = gather_sources(layer, input_BF, state_BH, fresh)
            heads = F.linear(z_BS, weights[2 * index], weights[2 * index + 1])
            u = mode.Heads(*heads.chunk(len(mode.heads), dim=1))
            neurons = slice(layer.start, layer.stop)
            c = mode.Constants(*(value[neurons] for value in weights[2 * len(self.layers) :]))
            fresh.append(mode.update(u, state_BH[:, neurons], t_B1, c))
        return torch.cat(fresh, dim=1)

    def compiled_sequence(self, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT):
        parameters = (*self.weight, *self.bias)
        constants = self._constants()
        tensors = (input_BTF, state_BH, dt_BT1, *parameters, *constants)
        if self.mode.kernel is None or not compiled_for(*tensors):
            return None
        from liquid_control.nn.kernels.cfc import Call, CfCSequence
        from liquid_control.nn.kernels.synapses import list_synapses

        if self._synapses is None:
            layers = range(len(self.layers))
            signs = [getattr(self, f"sign{k}") for k in layers]
            frees = [getattr(self, f"free{k}") for k in layers]
            self._synapses = list_synapses(self.input_size, self.layers, signs, frees)
        missing_TB, reset_TB = masks_TB(observed_BT, reset_BT)
        call = Call(
            mode=self.mode,
            synapses=self._synapses,
            outputs=self.output_size,
            kept=kept_steps(input_BTF.shape[1], *tensors),
            rate=1.0 / self.nominal_dt,
            missing_TB=missing_TB,
            reset_TB=reset_TB,
        )
        return CfCSequence.apply(
            call,
            torch.stack(constants) if constants else state_BH.new_empty(0, self.state_size),
            input_BTF.contiguous(),
            state_BH.contiguous(),
            dt_BT1.contiguous(),
            *parameters,
        )

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        return state[..., self.state_size - self.output_size : self.state_size]

    def config(self) -> dict:
        return {
            "kind": "cfc",
            "wiring": self.wiring.config(),
            "mode": self.mode.name,
            "nominal_dt": self.nominal_dt,
            "polarity": self.polarity,
            "tau_range": list(self.tau_range),
            "motor_gain": self.motor_gain,
            "compat": self.compat,
        }
