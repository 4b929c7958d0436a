"""The usual recurrent networks behind the signature of the liquid ones.

Shapes: B batch, F inputs, U units, H state, O outputs, M traces a unit of CT-GRU.

Each has ``units`` hidden units and, with ``output_size``, a linear readout of them; without it
the output is the hidden units. ``dt_input=True`` appends t = dt/nominal_dt to the input, which is
how a network without a notion of time is told about irregular samples.

kind        equation                                              what dt does
mlp         u = tanh(W2 tanh(W1 x))                               nothing
rnn         h <- tanh(W [x, h] + b)                               nothing
lstm        Hochreiter and Schmidhuber 1997, forget bias 1         nothing
gru         Cho et al. 2014                                        nothing
gru_decay   h <- h*exp(-relu(w t + b)), then a GRU; the hidden     forgets
            decay of GRU-D, Che et al. 2018
ct_gru      Mozer et al. 2017: traces with log-spaced time         each trace decays
            constants, a softmax over them as gates
neural_ode  dh/dt = tanh(W [x, h] + b)/nominal_dt, four steps of   integration time
            RK4 (3/8 rule, as torchdiffeq's "rk4"), Chen et al. 2018
ode_rnn     dh/dt = tanh(W h + b)/nominal_dt by the same solver,   integration time
            then a GRU; Rubanova et al. 2019
CT-RNN is :class:`liquid_control.nn.cells.cfc.CfC` with mode "ctrnn".
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from liquid_control.nn.cells.cell import Cell, Weights
from liquid_control.nn.checks import above_zero, one_of, whole
from liquid_control.nn.kernels.calls import in_transform

BASELINES = ("mlp", "rnn", "lstm", "gru", "gru_decay", "ct_gru", "neural_ode", "ode_rnn")
CT_GRU_TRACES = 8
CT_GRU_TAU = (0.5, 200.0)  # shortest and longest time constant in units of nominal_dt
ODE_STEPS = 4  # RK4 steps within one step of the cell


class Baseline(Cell):
    """One of :data:`BASELINES`, by ``kind``.

    motor_gain: factor on the readout's weights at initialisation, see
        :class:`liquid_control.nn.cells.cfc.CfC`; without a readout it must be 1.
    """

    def __init__(
        self,
        kind: str,
        *,
        input_size: int,
        units: int,
        nominal_dt: float,
        rng: torch.Generator,
        output_size: int | None = None,
        dt_input: bool = False,
        motor_gain: float = 1.0,
    ) -> None:
        super().__init__()
        one_of("kind", kind, BASELINES)
        self.kind, self.nominal_dt = kind, above_zero("nominal_dt", nominal_dt)
        self.input_size, self.units = whole("input_size", input_size), whole("units", units)
        self.dt_input, self.has_readout = dt_input, output_size is not None
        self.motor_gain = above_zero("motor_gain", motor_gain)
        if motor_gain != 1.0 and not self.has_readout:
            raise ValueError(f"motor_gain is {motor_gain}, but a cell without a readout has none")
        self.output_size = whole("output_size", output_size) if self.has_readout else units
        self.state_size = units * {"lstm": 2, "ct_gru": CT_GRU_TRACES}.get(kind, 1)
        # a CT-GRU's output is a sum of traces, and an ODE without a leak may go anywhere
        bounded = kind not in ("ct_gru", "neural_ode", "ode_rnn")
        self.unit_output = bounded and not self.has_readout
        inputs = input_size + dt_input
        rows = {"lstm": 4, "gru": 3, "gru_decay": 3, "ct_gru": 2, "ode_rnn": 3}.get(kind, 1) * units
        fan = inputs if kind == "mlp" else inputs + units

        def matrix(rows: int, columns: int, gain: float, fan: int = fan) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=rng) * gain / math.sqrt(fan))

        self.weight_input = matrix(rows, inputs, 1.5)
        self.bias = nn.Parameter(torch.zeros(rows))
        self.weight_hidden = matrix(rows, units, 1.5, units if kind == "mlp" else fan)
        if kind == "mlp":
            self.bias_hidden = nn.Parameter(torch.zeros(units))
        if kind == "lstm":
            self.bias.data[units : 2 * units] = 1.0
        if kind == "gru_decay":
            self.decay = nn.Parameter(torch.full((2, units), 0.01))
        if kind == "ode_rnn":
            self.weight_slope = matrix(units, units, 1.0, units)
            self.bias_slope = nn.Parameter(torch.zeros(units))
        if kind == "ct_gru":
            self.weight_candidate = matrix(units, fan, 1.5)
            self.bias_candidate = nn.Parameter(torch.zeros(units))
            low, high = (math.log(value) for value in CT_GRU_TAU)
            spaced = torch.linspace(low, high, CT_GRU_TRACES)
            self.register_buffer("log_tau", spaced, persistent=False)
            self.bias.data.fill_(0.5 * (low + high))
        if self.has_readout:
            self.weight_output = matrix(output_size, units, motor_gain, units)
            self.bias_output = nn.Parameter(torch.zeros(output_size))

    def weights(self) -> Weights:
        return (self.weight_output, self.bias_output) if self.has_readout else ()

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        t_B1 = dt_B1 / self.nominal_dt
        if self.dt_input:
            input_BF = torch.cat([input_BF, t_B1], dim=1)
        return getattr(self, f"_{self.kind}")(input_BF, state_BH, t_B1)

    def compiled_sequence(self, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT):
        """torch's fused RNN, LSTM or GRU, where no sample is missing and none is reset."""
        if (
            self.kind not in ("rnn", "lstm", "gru")
            or observed_BT is not None
            or reset_BT is not None
            or in_transform()
        ):
            return None
        if self.dt_input:
            input_BTF = torch.cat([input_BTF, dt_BT1 / self.nominal_dt], dim=2)
        fused = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}[self.kind]
        parameters = [self.weight_input, self.weight_hidden, self.bias, torch.zeros_like(self.bias)]
        state = [part[None].contiguous() for part in state_BH.split(self.units, dim=1)]
        # has_biases, layers, dropout, training, bidirectional, batch_first
        options = (True, 1, 0.0, False, False, True)
        output_BTU, *last = fused(
            input_BTF, state if self.kind == "lstm" else state[0], parameters, *options
        )
        if readout := self.weights():
            output_BTU = F.linear(output_BTU, *readout)
        return output_BTU, torch.cat(last, dim=2)[0]

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        if self.kind == "ct_gru":
            traces = state[..., : self.state_size].unflatten(-1, (self.units, CT_GRU_TRACES))
            hidden = traces.sum(dim=-1)
        else:
            hidden = state[..., : self.units]
        return F.linear(hidden, *weights) if weights else hidden

    def config(self) -> dict:
        readout = self.output_size if self.has_readout else None
        names = ("kind", "input_size", "units", "nominal_dt", "dt_input", "motor_gain")
        return {**{name: getattr(self, name) for name in names}, "output_size": readout}

    def _mlp(self, input_BF, state_BU, t_B1):
        hidden_BU = torch.tanh(F.linear(input_BF, self.weight_input, self.bias))
        return torch.tanh(F.linear(hidden_BU, self.weight_hidden, self.bias_hidden))

    def _projections(self, input_BF, hidden_BU):
        return (
            F.linear(input_BF, self.weight_input, self.bias),
            F.linear(hidden_BU, self.weight_hidden),
        )

    def _rnn(self, input_BF, state_BU, t_B1):
        from_input, from_hidden = self._projections(input_BF, state_BU)
        return torch.tanh(from_input + from_hidden)

    def _lstm(self, input_BF, state_BH, t_B1):
        hidden_BU, memory_BU = state_BH.chunk(2, dim=1)
        return lstm_update(sum(self._projections(input_BF, hidden_BU)), memory_BU)

    def _gru(self, input_BF, state_BU, t_B1):
        from_input, from_hidden = self._projections(input_BF, state_BU)
        reset_x, update_x, new_x = from_input.chunk(3, dim=1)
        reset_h, update_h, new_h = from_hidden.chunk(3, dim=1)
        new_BU = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        return new_BU + torch.sigmoid(update_x + update_h) * (state_BU - new_BU)

    def _gru_decay(self, input_BF, state_BU, t_B1):
        slope, offset = self.decay
        decayed_BU = state_BU * torch.exp(-torch.relu(slope * t_B1 + offset))
        return self._gru(input_BF, decayed_BU, t_B1)

    def _ct_gru(self, input_BF, state_BH, t_B1):
        # the elapsed time is that before this event: old traces decay, the event is fresh
        decay_B1M = torch.exp(-t_B1[..., None] / self.log_tau.exp())
        traces_BUM = state_BH.unflatten(1, (self.units, CT_GRU_TRACES)) * decay_B1M
        log_scale = sum(self._projections(input_BF, traces_BUM.sum(dim=2)))
        retrieval, storage = log_scale.unflatten(1, (2, self.units, 1)).unbind(1)
        retrieve_BUM = torch.softmax(-((retrieval - self.log_tau) ** 2), dim=2)
        recalled_BU = (retrieve_BUM * traces_BUM).sum(dim=2)
        signal = torch.cat([input_BF, recalled_BU], dim=1)
        event = torch.tanh(F.linear(signal, self.weight_candidate, self.bias_candidate))
        store_BUM = torch.softmax(-((storage - self.log_tau) ** 2), dim=2)
        return (traces_BUM + store_BUM * (event[..., None] - traces_BUM)).flatten(1)

    def _neural_ode(self, input_BF, state_BU, t_B1):
        from_input = F.linear(input_BF, self.weight_input, self.bias)
        return _solve(
            lambda h: torch.tanh(from_input + F.linear(h, self.weight_hidden)), state_BU, t_B1
        )

    def _ode_rnn(self, input_BF, state_BU, t_B1):
        state_BU = _solve(
            lambda h: torch.tanh(F.linear(h, self.weight_slope, self.bias_slope)), state_BU, t_B1
        )
        return self._gru(input_BF, state_BU, t_B1)


def _solve(slope: Callable[[Tensor], Tensor], state_BU: Tensor, t_B1: Tensor) -> Tensor:
    """The state after t, which each sample has its own of, by ODE_STEPS steps of RK4."""
    h_B1 = t_B1 / ODE_STEPS
    for _ in range(ODE_STEPS):
        k1 = slope(state_BU)
        k2 = slope(state_BU + h_B1 * k1 / 3.0)
        k3 = slope(state_BU + h_B1 * (k2 - k1 / 3.0))
        k4 = slope(state_BU + h_B1 * (k1 - k2 + k3))
        state_BU = state_BU + h_B1 * (k1 + 3.0 * (k2 + k3) + k4) / 8.0
    return state_BU


def lstm_update(gates: Tensor, memory_BU: Tensor) -> Tensor:
    """(B, 2U) new [hidden | memory] from the pre-activations input, forget, candidate, output."""
    write, forget, candidate, read = gates.chunk(4, dim=1)
    memory_BU = torch.sigmoid(forget) * memory_BU + torch.sigmoid(write) * torch.tanh(candidate)
    return torch.cat([torch.sigmoid(read) * torch.tanh(memory_BU), memory_BU], dim=1)
