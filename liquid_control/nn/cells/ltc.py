"""Liquid time-constant cell: the conductance-based neuron, solved numerically.

Shapes: B batch, F inputs, N neurons, K padded fan-in. t = dt / nominal_dt.
Source: Hasani et al., "Liquid time-constant networks", AAAI 2021, and its fused solver.

    c_i dv_i/dt = g_i (l_i - v_i) + sum_j w_ij s_ij (E_ij - v_i),
    s_ij = sigmoid(sigma_ij (y_j - mu_ij)),  y = inputs and states with a synapse to i

c, g, w > 0, so that the time constant c/(g + sum w s) stays within [c/(g + sum w), c/g] and the
state within the range of l_i and E_ij, whatever the input (theorems 1 and 2). A step of dt takes
``unfolds`` substeps d = t/unfolds of one of three solvers:

fused   v <- (c v + d (g l + sum w s E)) / (c + d (g + sum w s)): semi-implicit, order 1, keeps
        both bounds for any dt, and dt = 0 is the identity
euler   v <- v + d/c (...): order 1, unstable for d above twice the smallest time constant
rk4     classical Runge-Kutta, order 4, same caveat

Each synapse has its own parameters and a missing synapse has none. Polarity is in E = sign*|E|
(``polarity="fixed"``), or in its sign at the start (``"initial"``). All neurons are updated
together, so a sensor needs three substeps to reach a motor neuron.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from liquid_control.nn.cells.cell import Cell, Weights, checked_polarity, initial_tau
from liquid_control.nn.cells.circuit import Wiring
from liquid_control.nn.cells.currents import currents, padded, runge_kutta_slope
from liquid_control.nn.cells.identity import NAME, digests, meaning
from liquid_control.nn.cells.strength import ltc_strengths
from liquid_control.nn.checks import above_zero, at_least_zero, interval, one_of, whole
from liquid_control.nn.kernels.calls import LONGEST, compiled_for, kept_steps, masks_TB
from liquid_control.nn.kernels.synapses import NeuronValues, SynapseValues

SOLVERS = ("fused", "euler", "rk4")
MAPPINGS = {"affine": ("w", "b"), "linear": ("w",), "none": ()}  # and what each trains
NCPS_EPSILON = 1e-8  # ncps.torch.LTC's default
LEAST_CAPACITANCE = 1e-6  # without one a substep of no time is 0/0


class LTC(Cell):
    """A wired LTC cell; output is an affine map of the motor neurons' states.

    positive: "softplus" of the stored c, g, w (default), or "identity" with
        :meth:`clip_parameters` called after each optimizer step (ncps's explicit constraint).
    tau_range: as in :class:`liquid_control.nn.cells.cfc.CfC`.
    polarity: "fixed" (default) or "initial".
    compat: "ncps" begins in that package's ranges, meant for inputs in about 0..1, and trains the
        reversal potentials freely; the solver is the same, with timespan dt / nominal_dt.
        :mod:`liquid_control.nn.compat` carries weights either way. By default the ranges scale with
        the fan-in, so that the output has variance whatever the size.
    epsilon: conductance to potential 0 in every neuron, which is what ncps's epsilon amounts to;
        None is 0, and with compat its 1e-8.
    input_mapping, output_mapping: "affine" (default), "linear" (no offset) or "none" of inputs and
        outputs.
    motor_gain: what the output's map begins with, see :class:`liquid_control.nn.cells.cfc.CfC`.
    """

    def __init__(
        self,
        wiring: Wiring,
        *,
        nominal_dt: float,
        rng: torch.Generator,
        solver: str = "fused",
        unfolds: int = 6,
        positive: str = "softplus",
        polarity: str | None = None,
        tau_range: tuple[float, float] = (0.5, 200.0),
        compat: str | None = None,
        epsilon: float | None = None,
        input_mapping: str = "affine",
        output_mapping: str = "affine",
        motor_gain: float = 1.0,
    ) -> None:
        super().__init__()
        one_of("solver", solver, SOLVERS)
        one_of("positive", positive, ("softplus", "identity"))
        if compat and solver != "fused":
            raise ValueError(f"solver is {solver!r}, but compat {compat!r} is for 'fused'")
        self.wiring = wiring
        self.nominal_dt = above_zero("nominal_dt", nominal_dt)
        self.tau_range = interval("tau_range", tau_range)
        self.solver, self.unfolds, self.positive = solver, whole("unfolds", unfolds), positive
        self.polarity, self.compat = checked_polarity(polarity, compat), compat
        self.meaning = meaning(wiring, polarity=self.polarity, positive=positive)
        self.register_buffer(NAME, digests(self.meaning))
        self.input_size, self.state_size = wiring.sensory, wiring.units
        self.output_size = wiring.motor
        # of the compiled kernel, by block: where a neuron's synapses begin, and their sources
        self._indices: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        # synapses sorted by target; sensory ones and those between neurons apart, since the
        # former act once a step and the latter once a substep
        for block, matrix in self._blocks():
            target, source = np.nonzero(matrix.T)
            start = np.searchsorted(target, np.arange(wiring.units + 1))
            self._indices[block] = start, source
            sign = torch.tensor(matrix[source, target], dtype=torch.float32)
            self.register_buffer(f"{block}_sign", sign, persistent=False)
            position, sources = padded(target, source, wiring.units)
            self.register_buffer(f"{block}_position", position, persistent=False)
            self.register_buffer(f"{block}_source", sources, persistent=False)
            for name in ("w", "sigma", "mu", "erev"):
                self.register_parameter(f"{block}_{name}", nn.Parameter(torch.empty(len(sign))))
        for name in ("gleak", "vleak", "cm"):
            self.register_parameter(name, nn.Parameter(torch.empty(wiring.units)))
        usual = NCPS_EPSILON if compat else 0.0
        self.epsilon = at_least_zero("epsilon", usual if epsilon is None else epsilon)
        self.motor_gain = above_zero("motor_gain", motor_gain)
        self.input_mapping = self._add_map("input", input_mapping, wiring.sensory)
        self.output_mapping = self._add_map("output", output_mapping, wiring.motor, motor_gain)
        self._initialise(rng)

    def _blocks(self) -> tuple[tuple[str, np.ndarray], ...]:
        return ("sensory", self.wiring.sensory_adjacency), ("neural", self.wiring.adjacency)

    def _add_map(self, name: str, mapping: str, size: int, gain: float = 1.0) -> str:
        """What a mapping does not train is a constant, which no file holds."""
        one_of(f"{name}_mapping", mapping, MAPPINGS)
        for part, values in (("w", torch.full((size,), gain)), ("b", torch.zeros(size))):
            if part in MAPPINGS[mapping]:
                self.register_parameter(f"{name}_{part}", nn.Parameter(values))
            else:
                self.register_buffer(f"{name}_{part}", values, persistent=False)
        return mapping

    def _initialise(self, rng: torch.Generator) -> None:
        def fill(name: str, low, high, scale: Tensor | float = 1.0) -> None:
            parameter = getattr(self, name)
            values = torch.rand(parameter.shape, generator=rng) * (high - low) + low
            parameter.data.copy_(values * scale)

        def fill_positive(name: str, low, high, scale: Tensor | float = 1.0) -> None:
            fill(name, low, high, scale)
            if self.positive == "softplus" and not self.compat:
                data = getattr(self, name).data
                data.copy_(data + torch.log(-torch.expm1(-data)))  # inverse of softplus

        fan = torch.tensor(np.count_nonzero(self.wiring.full_adjacency, axis=0)).clamp(min=1)
        for block, matrix in self._blocks():
            sign = getattr(self, f"{block}_sign")
            if self.compat:
                fill_positive(f"{block}_w", 0.001, 1.0)
                fill(f"{block}_sigma", 3.0, 8.0)
                fill(f"{block}_mu", 0.3, 0.8)
                magnitude = torch.ones_like(sign)
            else:
                # conductances of a neuron sum to about its leak; with reversal potentials of
                # 2.5*sqrt(fan-in) the sum of random signs neither vanishes nor explodes
                of_target = fan[np.nonzero(matrix.T)[0]].float()
                fill_positive(f"{block}_w", 0.5, 1.5, 2.0 / of_target)
                fill(f"{block}_sigma", 2.0, 5.0)
                fill(f"{block}_mu", -0.5, 0.5)
                magnitude = 2.5 * of_target.sqrt()
            fixed = self.polarity == "fixed"
            getattr(self, f"{block}_erev").data.copy_(magnitude if fixed else sign * magnitude)
        fill("vleak", -0.2, 0.2)
        if self.compat:
            fill_positive("gleak", 0.001, 1.0)
            fill_positive("cm", 0.4, 0.6)
        else:
            fill_positive("gleak", 0.9, 1.1)
            tau_N = initial_tau(self.wiring, self.tau_range)
            fill_positive("cm", 0.99, 1.01, 2.0 * tau_N)  # total conductance is about 2

    @property
    def state_names(self) -> tuple[str, ...]:
        return self.wiring.neuron_names

    def clip_parameters(self) -> None:
        """Make c positive and g and w non-negative in place; for ``positive="identity"`` only."""
        self.cm.data.clamp_(min=LEAST_CAPACITANCE)
        for name in ("gleak", "sensory_w", "neural_w"):
            getattr(self, name).data.clamp_(min=0.0)

    def _positive(self, name: str) -> Tensor:
        value = getattr(self, name)
        return F.softplus(value) if self.positive == "softplus" else value

    def synapses(self, block: str) -> SynapseValues:
        """Effective w, w*E, sigma and sigma*mu of the synapses of "sensory" or "neural"."""
        w, sigma = self._positive(f"{block}_w"), getattr(self, f"{block}_sigma")
        sigma_mu = sigma * getattr(self, f"{block}_mu")
        return SynapseValues(w, w * self.reversal(block), sigma, sigma_mu)

    def reversal(self, block: str) -> Tensor:
        """Effective reversal potentials E of the synapses of "sensory" or "neural"."""
        erev = getattr(self, f"{block}_erev")
        return erev if self.polarity == "initial" else erev.abs() * getattr(self, f"{block}_sign")

    def tau_bounds(self) -> tuple[Tensor, Tensor]:
        """(N,) smallest and largest time constant in seconds that any input can cause."""
        cm, gleak = self._positive("cm"), self._positive("gleak") + self.epsilon
        total = gleak
        for block in ("sensory", "neural"):
            w = self._padded_values(self.synapses(block).w, block)
            total = total + w.sum(dim=1)
        return self.nominal_dt * cm / total, self.nominal_dt * cm / gleak

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """(N,) lowest and highest of each neuron's leak and reversal potentials."""
        potentials = [self.vleak[:, None]]
        if self.epsilon:
            potentials.append(torch.zeros_like(potentials[0]))
        for block in ("sensory", "neural"):
            erev = self.reversal(block)
            exists = getattr(self, f"{block}_position") < len(erev)
            potentials.append(torch.where(exists, self._padded_values(erev, block), potentials[0]))
        potentials = torch.cat(potentials, dim=1)
        return potentials.amin(dim=1), potentials.amax(dim=1)

    def _padded_values(self, values: Tensor, block: str) -> Tensor:
        """(N, K) values of the synapses of each neuron; 0 where it has fewer than K."""
        return F.pad(values, (0, 1))[getattr(self, f"{block}_position")]

    def strengths(self) -> Tensor:
        return ltc_strengths(self)

    def weights(self) -> Weights:
        padded = [
            self._padded_values(values, block)
            for block in ("sensory", "neural")
            for values in self.synapses(block)
        ]
        maps = (self.input_w, self.input_b, self.output_w, self.output_b)
        return (*padded, *self._neuron_values(), *maps)

    def _neuron_values(self) -> NeuronValues:
        gleak = self._positive("gleak")
        return NeuronValues(gleak + self.epsilon, gleak * self.vleak, self._positive("cm"))

    def advance(
        self, input_BF: Tensor, state_BH: Tensor, dt_B1: Tensor, weights: Weights
    ) -> Tensor:
        sensory, neural = weights[:4], weights[4:8]
        gleak, gleak_vleak, cm, input_w, input_b = weights[8:13]
        d_B1 = (dt_B1 / (self.nominal_dt * self.unfolds)).clamp(max=LONGEST)
        input_BF = input_BF * input_w + input_b
        current, conductance = currents(input_BF, self.sensory_source, *sensory)
        current, conductance = current + gleak_vleak, conductance + gleak

        def drive(v_BN: Tensor) -> tuple[Tensor, Tensor]:
            i_BN, g_BN = currents(v_BN, self.neural_source, *neural)
            return current + i_BN, conductance + g_BN

        def slope(v_BN: Tensor) -> Tensor:
            i_BN, g_BN = drive(v_BN)
            return (i_BN - g_BN * v_BN) / cm

        v_BN = state_BH
        for _ in range(self.unfolds):
            if self.solver == "fused":
                i_BN, g_BN = drive(v_BN)
                v_BN = (cm * v_BN + d_B1 * i_BN) / (cm + d_B1 * g_BN)
            elif self.solver == "euler":
                v_BN = v_BN + d_B1 * slope(v_BN)
            else:
                v_BN = v_BN + d_B1 * runge_kutta_slope(slope, v_BN, d_B1)
        return v_BN

    def compiled_sequence(self, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT):
        tensors = (input_BTF, state_BH, dt_BT1, *self.parameters())
        if self.solver != "fused" or not compiled_for(*tensors):
            return None
        from liquid_control.nn.kernels.ltc import Call, LTCSequence

        missing_TB, reset_TB = masks_TB(observed_BT, reset_BT)
        call = Call(
            **self._indices,
            unfolds=self.unfolds,
            outputs=self.output_size,
            kept=kept_steps(input_BTF.shape[1], *tensors),
            rate=1.0 / (self.nominal_dt * self.unfolds),
            missing_TB=missing_TB,
            reset_TB=reset_TB,
        )
        motor_BTO, state_BN = LTCSequence.apply(
            call,
            torch.stack(self.synapses("sensory")),
            torch.stack(self.synapses("neural")),
            torch.stack(self._neuron_values()),
            (input_BTF * self.input_w + self.input_b).contiguous(),
            state_BH.contiguous(),
            dt_BT1.contiguous(),
        )
        return motor_BTO * self.output_w + self.output_b, state_BN

    def output(self, state: Tensor, weights: Weights) -> Tensor:
        motor = state[..., self.state_size - self.output_size : self.state_size]
        return motor * weights[-2] + weights[-1]

    def config(self) -> dict:
        names = ("nominal_dt", "solver", "unfolds", "positive", "polarity", "compat", "epsilon")
        names += ("input_mapping", "output_mapping", "motor_gain")
        return {
            "kind": "ltc",
            "wiring": self.wiring.config(),
            "tau_range": list(self.tau_range),
            **{name: getattr(self, name) for name in names},
        }
