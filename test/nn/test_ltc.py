"""The LTC equation: its bounds (theorems 1 and 2 of the paper) and the order of its solvers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wiring import Wiring, auto_ncp, fully_connected, random_wiring

PERIOD = 0.01


WIRINGS = {
    "ncp": lambda seed: auto_ncp(sensory=5, units=14, motor=3, rng=seed),
    "fully_connected": lambda seed: fully_connected(sensory=5, units=14, motor=3, rng=seed),
    "random": lambda seed: random_wiring(sensory=5, units=14, motor=3, sparsity=0.5, rng=seed),
}


def make_ltc(seed=0, wiring="ncp", **arguments):
    rng = torch.Generator().manual_seed(seed)
    return LTC(WIRINGS[wiring](seed), nominal_dt=PERIOD, rng=rng, **arguments).double()


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("compiled", [False, True])
@given(
    seed=st.integers(0, 20),
    scale=st.floats(0.0, 1e6),
    dt=st.one_of(st.just(0.0), st.floats(1e-9, 1e9)),
)
@settings(max_examples=20, deadline=None)
def test_state_stays_within_the_potentials_for_any_input_and_dt(compiled, wiring, seed, scale, dt):
    ltc = make_ltc(seed, wiring)
    low, high = ltc.state_bounds()
    rng = torch.Generator().manual_seed(seed)
    state = low + (high - low) * torch.rand(4, 14, generator=rng, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(3):
            input_BTF = scale * torch.randn(4, 1, 5, generator=rng, dtype=torch.float64)
            dt_BT1 = torch.full((4, 1, 1), dt, dtype=torch.float64)
            _, state = run_sequence(ltc, input_BTF, state, dt_BT1, compiled=compiled)
            assert (state >= low - 1e-9).all()
            assert (state <= high + 1e-9).all()


@given(seed=st.integers(0, 20), scale=st.floats(0.0, 1e6))
@settings(max_examples=30, deadline=None)
def test_time_constant_stays_within_its_bounds_for_any_input(seed, scale):
    """1/tau is how fast the slope falls with the own state; inter neurons read no other."""
    ltc = make_ltc(seed, solver="euler", unfolds=1)
    fastest, slowest = ltc.tau_bounds()
    rng = torch.Generator().manual_seed(seed)
    inputs = scale * torch.randn(1, 5, generator=rng, dtype=torch.float64)
    state = torch.zeros(1, 14, dtype=torch.float64)
    dt = torch.tensor([[1e-4]], dtype=torch.float64)
    inter = slice(0, ltc.wiring.inter)

    def slope(value):
        shifted = state.clone()
        shifted[:, inter] = value
        return (ltc(inputs, shifted, dt)[1] - shifted)[0, inter] / dt[0, 0]

    rate = slope(0.0) - slope(1.0)
    assert (1 / rate >= fastest[inter] * (1 - 1e-9)).all()
    assert (1 / rate <= slowest[inter] * (1 + 1e-9)).all()


@pytest.mark.parametrize(("solver", "order"), [("fused", 1), ("euler", 1), ("rk4", 4)])
def test_solver_has_its_order(solver, order):
    wiring = fully_connected(sensory=3, units=6, motor=2, rng=0)
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    start = torch.randn(2, 6, generator=rng, dtype=torch.float64)
    dt = torch.full((2, 1), 2 * PERIOD, dtype=torch.float64)

    def solve(solver, unfolds):
        ltc = LTC(
            wiring, nominal_dt=PERIOD, rng=torch.Generator().manual_seed(1), solver=solver,
            unfolds=unfolds, tau_range=(1.0, 10.0),
        ).double()  # fmt: skip
        with torch.no_grad():
            return ltc.advance(inputs, start, dt, ltc.weights())

    exact = solve("rk4", 512)
    errors = torch.stack([(solve(solver, n) - exact).norm() for n in (32, 64, 128)])
    orders = torch.log2(errors[:-1] / errors[1:])
    assert orders.mean().item() == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("sign", [-1, 1])
def test_polarity_is_where_a_synapse_pulls(sign):
    """One synapse alone pulls its neuron away from the leak potential, to its own side."""
    wiring = Wiring("random", 1, 0, 0, 1, np.array([[sign]]), np.array([[0]]))
    ltc = LTC(wiring, nominal_dt=PERIOD, rng=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ltc.sensory_erev.normal_(generator=torch.Generator().manual_seed(2))  # whatever is learned
        pulled = sign * (ltc.advance(
            torch.ones(1, 1), torch.zeros(1, 1), torch.full((1, 1), 1e3), ltc.weights()
        ) - ltc.vleak)  # fmt: skip
    assert pulled.item() > 0.01


def test_polarity_that_may_change_starts_from_the_wiring():
    ltc = make_ltc(polarity="initial")
    for block in ("sensory", "neural"):
        assert (torch.sign(ltc.reversal(block)) == getattr(ltc, f"{block}_sign")).all()
    with torch.no_grad():
        ltc.neural_erev.neg_()
    assert (torch.sign(ltc.reversal("neural")) == -ltc.neural_sign).all()


def test_clip_keeps_conductances_from_going_negative_and_steps_finite():
    ltc = make_ltc(positive="identity")
    names = ("neural_w", "sensory_w", "gleak", "cm")
    with torch.no_grad():
        for name in names:
            getattr(ltc, name).fill_(-1.0)
    ltc.clip_parameters()
    for name in names:
        assert (getattr(ltc, name) >= 0).all()
    state = torch.ones(2, 1, 14)
    for dt in (0.0, 1.0):
        dt_BT1 = torch.full((2, 1, 1), dt, dtype=torch.float64)
        for compiled in (False, True):
            output, _ = run_sequence(
                ltc, torch.ones(2, 1, 5).double(), state[:, 0].double(), dt_BT1, compiled=compiled
            )
            assert torch.isfinite(output).all()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dt", [1e37, float("inf")])
def test_an_endless_step_is_at_rest(dt, compiled):
    ltc = make_ltc().float()
    input_BTF, state = torch.ones(2, 1, 5), torch.ones(2, 14)

    def after(seconds):
        dt_BT1 = torch.full((2, 1, 1), seconds)
        with torch.no_grad():
            return run_sequence(ltc, input_BTF, state, dt_BT1, compiled=compiled)[1]

    torch.testing.assert_close(after(dt), after(1e9))


def test_bounds_of_unusual_networks():
    """Synapses without weight, neurons without synapses, and all of a neuron's kinds of synapse."""
    wiring = Wiring("random", 1, 0, 0, 1, np.array([[1]]), np.array([[0]]))
    alone = LTC(wiring, nominal_dt=PERIOD, rng=torch.Generator().manual_seed(0))
    low, high = alone.state_bounds()
    assert low == alone.vleak
    assert high == alone.sensory_erev.abs()
    ltc = make_ltc(positive="identity")
    fastest, slowest = ltc.tau_bounds()
    motor = ltc.wiring.groups["motor"][0]
    reads = np.flatnonzero(ltc.wiring.adjacency[:, motor])
    of_motor = np.nonzero(ltc.wiring.adjacency.T)[0] == motor
    assert len(reads) == of_motor.sum() > 0
    total = ltc.gleak[motor] + ltc.neural_w[torch.tensor(of_motor)].sum()
    torch.testing.assert_close(fastest[motor], PERIOD * ltc.cm[motor] / total)
    torch.testing.assert_close(slowest[motor], PERIOD * ltc.cm[motor] / ltc.gleak[motor])
    with torch.no_grad():
        ltc.neural_w.zero_()
        ltc.sensory_w.zero_()
    assert torch.isfinite(torch.stack(ltc.state_bounds())).all()


def test_missing_synapses_have_no_parameters_and_no_path():
    ltc = make_ltc(unfolds=1)
    wiring = ltc.wiring
    assert ltc.neural_w.numel() + ltc.sensory_w.numel() == wiring.synapses
    inputs = torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = torch.zeros(1, 14, dtype=torch.float64)
    dt = torch.full((1, 1), PERIOD, dtype=torch.float64)
    by_input, by_state = torch.autograd.functional.jacobian(
        lambda x, h: ltc(x, h, dt)[1][0], (inputs, state)
    )
    connected = torch.tensor(wiring.full_adjacency.T != 0)
    assert (by_input[:, 0][~connected[:, :5]] == 0).all()
    others = ~connected[:, 5:] & ~torch.eye(14, dtype=torch.bool)
    assert (by_state[:, 0][others] == 0).all()
    assert (by_input[:, 0][connected[:, :5]] != 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solver": "magic"}, "solver is 'magic'"),
        ({"unfolds": 0}, "unfolds is 0"),
        ({"unfolds": 2.7}, "unfolds is 2.7"),
        ({"positive": "exp"}, "positive is 'exp'"),
        ({"tau_range": (-1.0, 1.0)}, "tau_range is"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_ltc(**arguments)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_motor_neurons_start_fast_in_every_wiring(wiring):
    """A third of a period about halfway between the bounds; somewhere else there is memory."""
    ltc = make_ltc(wiring=wiring)
    fastest, slowest = ltc.tau_bounds()
    motor = ltc.wiring.groups["motor"].start
    assert slowest[motor:].max() < 0.8 * PERIOD
    assert fastest[motor:].min() > 0.1 * PERIOD
    assert slowest.max() > 100 * PERIOD
