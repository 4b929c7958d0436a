"""Closed-form liquid cells on a wiring.

Shapes: B batch, F inputs, H state, N neurons of one layer, S sources of one layer, O outputs.
Sources: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence
2022 (gated modes); Hasani et al., "Liquid time-constant networks", AAAI 2021 (the equation);
Funahashi and Nakamura, Neural Networks 1993 (CT-RNN).

Every mode reads z = [inputs | states with a synapse to the neuron]; t = dt / nominal_dt.

closed   dh/dt = -(k_leak + k_syn*s) * (h - A) with s = sigmoid(Wk z + bk), A = tanh(Wa z + ba)
         held over the step:  h <- A + (h - A)*exp(-(k_leak + k_syn*s)*t).
         It is an ODE solved exactly for held s and A: dt = 0 is the identity, two half steps
         equal one where z does not change (no recurrent synapse) and otherwise converge at
         order 1; |h| never exceeds max(|h0|, 1); the time constant stays within
         nominal_dt * [1/(k_leak + k_syn), 1/k_leak] for any input.
ctrnn    the same with a rate that no input changes: h <- A + (h - A)*exp(-k*t)
leaky    the leaky integrator: ctrnn with A = Wa z + ba and without synapses inside a layer
default  f1 = tanh(W1 z + b1), f2 = tanh(W2 z + b2), s = sigmoid((Wa z + ba)*t + Wb z + bb),
         h <- f1*(1 - s) + f2*s
no_gate  h <- f1 + f2*s
pure     h <- A - A*exp(-t*(w_tau + |W1 z + b1|))*(W1 z + b1), A and w_tau above 0

In the last three t shifts a gate: dt = 0 is safe but not the identity. Their z includes each
neuron's own last state, as the LTC equation they approximate does.

Weights exist only where the wiring has a synapse, in every head. ``polarity="fixed"`` keeps the
sign of each synapse in the heads that give the target (A, f1, f2): w = sign*|w|; a conductance or
a time gate has no polarity, as in LTC where only the reversal potential carries it.
``pure`` subtracts its head, which has the opposite sign for that reason (as long as
t*|head| < 1; beyond, its equation turns the effect of a synapse over).
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
from liquid_control.nn.cells.wiring import Wiring
from liquid_control.nn.checks import above_zero, interval, one_of
from liquid_control.nn.kernels.calls import compiled_for, kept_steps, masks_TB

# heads of each mode: (those that carry polarity, those that do not)
HEADS = {
    "closed": (1, 1),
    "ctrnn": (1, 0),
    "leaky": (1, 0),
    "default": (2, 2),
    "no_gate": (2, 2),
    "pure": (1, 0),
}
GATED = ("default", "no_gate", "pure")  # these approximate a solution and read their own state
# std of the weights at initialisation times the square root of the active fan-in
TARGET_GAIN = {
    "closed": 1.5, "ctrnn": 1.5, "leaky": 1.0, "default": 2.0, "no_gate": 1.5, "pure": 3.0
}  # fmt: skip
RATE_GAIN = 1.0
PURE_RATE = 0.1  # w_tau of mode pure at initialisation, 1/nominal_dt


class CfC(Cell):
    """A wired closed-form cell; output is the state of the motor neurons.

    nominal_dt: control period in seconds; rates and gates are learned relative to it.
    tau_range: smallest and largest time constant of the command neurons at initialisation, in
        nominal_dt (5 ms to 2 s at 100 Hz), see `initial_tau`. For
        the modes that have a time constant: closed, ctrnn and leaky.
    polarity: "fixed" (default) or "initial".
    motor_gain: factor on the motor neurons' weights at initialisation. A policy whose first
        commands are small starts near hover, which CfC's gates need to learn at all.
    compat: None or "ncps"; :mod:`liquid_control.nn.compat` carries weights either way.
    """

    def __init__(
        self,
        wiring: Wiring,
        *,
        mode: str = "closed",
        nominal_dt: float,
        rng: torch.Generator,
        polarity: str | None = None,
        tau_range: tuple[float, float] = (0.5, 200.0),
        motor_gain: float = 1.0,
        compat: str | None = None,
    ) -> None:
        super().__init__()
        one_of("mode", mode, HEADS)
        polarity = checked_polarity(polarity, compat)
        if compat and mode not in GATED:
            raise ValueError(f"mode is {mode!r}, but compat {compat!r} is for {GATED}")
        self.wiring, self.mode = wiring, mode
        self.polarity, self.compat = polarity, compat
        self.nominal_dt = above_zero("nominal_dt", nominal_dt)
        self.tau_range = interval("tau_range", tau_range)
        self.motor_gain = above_zero("motor_gain", motor_gain)
        self.input_size, self.state_size = wiring.sensory, wiring.units
        self.output_size = wiring.motor
        self.unit_output = mode in ("closed", "ctrnn", "default")
        self._synapses = None  # of the compiled kernel, built at its first use
        self.layers = wiring.layers(own_state=mode in GATED)
        self.weight, self.bias = nn.ParameterList(), nn.ParameterList()
        for index, layer in enumerate(self.layers):
            synapses_NS = torch.tensor(
                wiring.full_adjacency[
                    layer.source_start : layer.source_stop, layer.start : layer.stop
                ].T
            )
            if mode == "pure" and not compat:
                synapses_NS = -synapses_NS
            own_column = layer.start + wiring.sensory - layer.source_start
            sign, free = self._masks(synapses_NS, own_column)
            self.register_buffer(f"sign{index}", sign, persistent=False)
            self.register_buffer(f"free{index}", free, persistent=False)
            self.weight.append(nn.Parameter(self._initial_weight(synapses_NS, sign, free, rng)))
            self.bias.append(nn.Parameter(torch.zeros(len(sign))))
            if mode == "pure" and not compat:  # its neurons rest at 1: cancel that offset
                states = max(wiring.sensory - layer.source_start, 0)
                effective_NS = self._effective(index)[:, states:].detach()
                self.bias[index].data.copy_(-effective_NS.sum(dim=1))
        motors = self.weight[-1].data.unflatten(0, (sum(HEADS[mode]), -1))[:, -wiring.motor :]
        motors *= motor_gain
        rate_H = 1.0 / initial_tau(wiring, self.tau_range)
        if mode == "closed":
            self.log_k_leak = nn.Parameter(torch.log(0.25 * rate_H))
            self.log_k_syn = nn.Parameter(torch.log(1.5 * rate_H))
        elif mode in ("ctrnn", "leaky"):
            self.log_k = nn.Parameter(torch.log(rate_H))
        elif mode == "pure":
            start = 0.0 if compat else math.log(PURE_RATE)
            self.w_tau = nn.Parameter(torch.full((wiring.units,), start))
            self.amplitude = nn.Parameter(torch.ones(wiring.units))

    def _masks(self, synapses_NS: Tensor, own_column: int) -> tuple[Tensor, Tensor]:
        """(heads*N, S) signs of the weights that keep one, and 1 where a weight is free."""
        polar, plain = HEADS[self.mode]
        neurons = len(synapses_NS)
        exists = synapses_NS.ne(0)
        own = torch.zeros_like(exists)
        own_block = slice(max(own_column, 0), max(own_column + neurons, 0))
        if self.mode == "leaky":
            exists[:, own_block] = False
        elif self.mode in GATED:
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
        polar, plain = HEADS[self.mode]
        exists = sign.ne(0) | free.ne(0)
        neurons = len(synapses_NS)
        if self.compat:  # Xavier uniform a head, masks not considered
            bound = math.sqrt(6.0 / (neurons + sign.shape[1]))
            return (torch.rand(sign.shape, generator=rng) * 2 - 1) * bound
        gain = torch.tensor([TARGET_GAIN[self.mode]] * polar + [RATE_GAIN] * plain)
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
        if self.mode == "closed":
            leak, syn = self.log_k_leak.exp(), self.log_k_syn.exp()
            return self.nominal_dt / (leak + syn), self.nominal_dt / leak
        if self.mode in ("ctrnn", "leaky"):
            tau = self.nominal_dt / self.log_k.exp()
            return tau, tau
        raise ValueError(f"mode {self.mode!r} has no time constant; closed, ctrnn and leaky have")

    @property
    def state_names(self) -> tuple[str, ...]:
        return self.wiring.neuron_names

    def parameter_count(self) -> int:
        missing = sum(
            int((getattr(self, f"sign{index}").eq(0) & getattr(self, f"free{index}").eq(0)).sum())
            for index in range(len(self.layers))
        )
        return super().parameter_count() - missing

    def weights(self) -> Weights:
        """Weight and bias of each layer, then the constants of each neuron."""
        effective: list[Tensor] = []
        for index, bias in enumerate(self.bias):
            effective += [self._effective(index), bias]
        return (*effective, *self._constants())

    def _constants(self) -> Weights:
        if self.mode == "closed":
            return self.log_k_leak.exp(), self.log_k_syn.exp()
        if self.mode in ("ctrnn", "leaky"):
            return (self.log_k.exp(),)
        if self.mode == "pure":
            if self.compat:  # w_tau starts at 0, where its absolute value has no slope
                return self.w_tau.abs(), self.amplitude
            return self.w_tau.exp(), self.amplitude.abs()
        return ()

    def _effective(self, index: int) -> Tensor:
        weight = self.weight[index]
        sign, free = getattr(self, f"sign{index}"), getattr(self, f"free{index}")
        return weight.abs() * sign + weight * free

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        t_B1 = dt_B1 / self.nominal_dt
        fresh: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            z_BS = gather_sources(layer, input_BF, state_BH, fresh)
            heads = F.linear(z_BS, weights[2 * index], weights[2 * index + 1])
            neurons = slice(layer.start, layer.stop)
            constants = [value[neurons] for value in weights[2 * len(self.layers) :]]
            fresh.append(_UPDATES[self.mode](heads, state_BH[:, neurons], t_B1, *constants))
        return torch.cat(fresh, dim=1)

    def compiled_sequence(self, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT):
        parameters = (*self.weight, *self.bias)
        constants = self._constants()
        if not compiled_for(input_BTF, state_BH, dt_BT1, *parameters, *constants):
            return None
        from liquid_control.nn.kernels.cfc import CfCSequence
        from liquid_control.nn.kernels.synapses import list_synapses

        if self._synapses is None:
            layers = range(len(self.layers))
            signs = [getattr(self, f"sign{k}") for k in layers]
            frees = [getattr(self, f"free{k}") for k in layers]
            self._synapses = list_synapses(self.input_size, self.layers, signs, frees)
        absent = state_BH.new_zeros(self.state_size)
        return CfCSequence.apply(
            self.mode,
            self._synapses,
            self.output_size,
            kept_steps(input_BTF.shape[1], input_BTF, state_BH, dt_BT1, *parameters, *constants),
            self.nominal_dt,
            *masks_TB(observed_BT, reset_BT),
            torch.stack((*constants, absent, absent)[:2]),
            input_BTF.contiguous(),
            state_BH.contiguous(),
            dt_BT1.contiguous(),
            *parameters,
        )

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        return state[..., self.state_size - self.output_size :]

    def config(self) -> dict:
        return {
            "kind": "cfc",
            "wiring": self.wiring.config(),
            "mode": self.mode,
            "nominal_dt": self.nominal_dt,
            "polarity": self.polarity,
            "tau_range": list(self.tau_range),
            "motor_gain": self.motor_gain,
            "compat": self.compat,
        }


def _closed(heads, state_BN, t_B1, k_leak_N, k_syn_N):
    target, gate = heads.chunk(2, dim=1)
    target_BN = torch.tanh(target)
    decay_BN = torch.exp(-t_B1 * (k_leak_N + k_syn_N * torch.sigmoid(gate)))
    return target_BN + (state_BN - target_BN) * decay_BN


def _ctrnn(heads, state_BN, t_B1, k_N):
    return _leaky(torch.tanh(heads), state_BN, t_B1, k_N)


def _leaky(target_BN, state_BN, t_B1, k_N):
    # in this form dt = 0 is the identity, however far the target is
    return state_BN - (target_BN - state_BN) * torch.expm1(-t_B1 * k_N)


def _default(heads, state_BN, t_B1):
    f1, f2, time_a, time_b = heads.chunk(4, dim=1)
    f1_BN = torch.tanh(f1)
    return f1_BN + torch.sigmoid(time_a * t_B1 + time_b) * (torch.tanh(f2) - f1_BN)


def _no_gate(heads, state_BN, t_B1):
    f1, f2, time_a, time_b = heads.chunk(4, dim=1)
    return torch.tanh(f1) + torch.sigmoid(time_a * t_B1 + time_b) * torch.tanh(f2)


def _pure(heads, state_BN, t_B1, w_tau_N, amplitude_N):
    return amplitude_N - amplitude_N * torch.exp(-t_B1 * (w_tau_N + heads.abs())) * heads


_UPDATES = {
    "closed": _closed,
    "ctrnn": _ctrnn,
    "leaky": _leaky,
    "default": _default,
    "no_gate": _no_gate,
    "pure": _pure,
}
