"""The closed form in time: what dt means, and the bounds it promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.nn.cells.cell import initial_tau
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.modes import registry
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wiring import auto_ncp, fully_connected, ncp, random_wiring
from liquid_control.nn.cells.zoo import build_cell

MODES = list(registry.MODES)


def make_rng(seed=0):
    return torch.Generator().manual_seed(seed)


WIRINGS = {
    "ncp": lambda seed: auto_ncp(sensory=6, units=20, motor=3, rng=seed),
    "fully_connected": lambda seed: fully_connected(sensory=6, units=12, motor=3, rng=seed),
    "random": lambda seed: random_wiring(sensory=6, units=12, motor=3, sparsity=0.5, rng=seed),
}


def make_cell(mode="closed", seed=0, wiring="ncp", **arguments):
    return CfC(WIRINGS[wiring](seed), mode=mode, nominal_dt=0.01, rng=make_rng(seed), **arguments)


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("mode", ["closed", "ctrnn"])
@given(
    seed=st.integers(0, 20),
    scale=st.floats(0.0, 1e6),
    dt=st.one_of(st.just(0.0), st.floats(1e-9, 1e9)),
)
@settings(max_examples=20, deadline=None)
def test_state_stays_in_bounds_for_any_input_and_dt(mode, compiled, wiring, seed, scale, dt):
    cell = make_cell(mode, seed, wiring)
    state = torch.rand(5, cell.state_size, generator=make_rng(seed)) * 2 - 1
    for k in range(3):
        input_BTF = torch.randn(5, 1, 6, generator=make_rng(seed + k)) * scale
        dt_BT1 = torch.full((5, 1, 1), dt)
        with torch.no_grad():
            _, state = run_sequence(cell, input_BTF, state, dt_BT1, compiled=compiled)
        assert torch.isfinite(state).all()
        assert state.abs().max() <= 1 + 1e-6


@given(seed=st.integers(0, 20), scale=st.floats(0.0, 1e6))
@settings(max_examples=30, deadline=None)
def test_time_constant_stays_in_bounds_for_any_input(seed, scale):
    """The decay of a difference between two states over dt gives the neuron's time constant."""
    cell = make_cell(seed=seed).double()
    fastest, slowest = cell.tau_bounds()
    inputs = torch.randn(1, 6, generator=make_rng(seed)).double() * scale
    dt = torch.tensor([[1e-3]], dtype=torch.float64)
    first = cell.wiring.groups["inter"]  # neurons whose rate does not read the state
    state = torch.zeros(1, cell.state_size, dtype=torch.float64)
    shifted = state.clone()
    shifted[:, : first.stop] += 0.5
    decay = (cell(inputs, shifted, dt)[1] - cell(inputs, state, dt)[1])[0, : first.stop] / 0.5
    tau = -dt[0, 0] / decay.log()
    assert (tau >= fastest[: first.stop] * (1 - 1e-6)).all()
    assert (tau <= slowest[: first.stop] * (1 + 1e-6)).all()


def test_a_step_of_no_time_is_the_identity_for_the_closed_form_and_finite_for_all():
    inputs = torch.randn(4, 6, generator=make_rng())
    for mode in MODES:
        cell = make_cell(mode)
        state = torch.rand(4, cell.state_size, generator=make_rng(1))
        _, after = cell(inputs, state, torch.zeros(4, 1))
        assert torch.isfinite(after).all()
        if mode in ("closed", "ctrnn", "leaky"):
            torch.testing.assert_close(after, state, rtol=0, atol=1e-7)
        else:
            assert (after - state).abs().max() > 1e-3


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("mode", ["closed", "ctrnn", "leaky"])
def test_zero_dt_is_the_identity_however_far_the_target_is(mode, compiled):
    cell = make_cell(mode)
    input_BTF = 1e6 * torch.randn(4, 1, 6, generator=make_rng())
    state = torch.rand(4, cell.state_size, generator=make_rng(1))
    _, after = run_sequence(cell, input_BTF, state, torch.zeros(4, 1, 1), compiled=compiled)
    torch.testing.assert_close(after, state, rtol=0, atol=1e-6)


@torch.no_grad()
def integrate(cell, inputs, state, total, steps):
    dt = torch.full((len(inputs), 1), total / steps, dtype=state.dtype)
    weights = cell.weights()
    for _ in range(steps):
        state = cell.advance(inputs, state, dt, weights)
    return state


@pytest.mark.parametrize("mode", ["closed", "ctrnn", "leaky"])
def test_two_half_steps_equal_one_where_rate_and_target_are_held(mode):
    """Without recurrent synapses, a held input holds the rate and target of the inter neurons."""
    cell = make_cell(mode).double()
    inputs = torch.randn(4, 6, generator=make_rng()).double()
    state = torch.rand(4, cell.state_size, generator=make_rng(1)).double()
    inter = slice(0, cell.wiring.inter)
    one = integrate(cell, inputs, state, 0.03, 1)[:, inter]
    two = integrate(cell, inputs, state, 0.03, 2)[:, inter]
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["closed", "ctrnn"])
@pytest.mark.parametrize("wiring", WIRINGS)
def test_closed_form_converges_at_order_one(wiring, mode):
    cell = make_cell(mode, wiring=wiring).double()
    inputs = torch.randn(3, 6, generator=make_rng()).double()
    state = torch.rand(3, cell.state_size, generator=make_rng(1)).double()
    exact = integrate(cell, inputs, state, 0.02, 8192)
    steps = (64, 128, 256)  # of 0.3 ms and less: a tenth of the motor neurons' time constant
    errors = torch.stack([(integrate(cell, inputs, state, 0.02, n) - exact).norm() for n in steps])
    orders = torch.log2(errors[:-1] / errors[1:])
    assert orders.mean().item() == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("mode", MODES)
def test_every_path_through_a_missing_synapse_is_zero(mode):
    """Jacobians of state and gates: only synapses, in the order inter, command, motor, and own."""
    cell = make_cell(mode).double()
    wiring = cell.wiring
    inputs = torch.randn(1, 6, generator=make_rng()).double()
    state = torch.rand(1, cell.state_size, generator=make_rng(1)).double()
    dt = torch.full((1, 1), 0.013, dtype=torch.float64)
    by_input, by_state = torch.autograd.functional.jacobian(
        lambda x, h: cell(x, h, dt)[1][0], (inputs, state)
    )
    reach = torch.tensor(wiring.full_adjacency.T != 0).double()
    direct_x, direct_h = reach[:, :6], reach[:, 6:] + torch.eye(wiring.units).double()
    inter, command, motor = (torch.tensor(list(g)) for g in wiring.groups.values())
    allowed_x, allowed_h = direct_x.clone(), torch.eye(wiring.units).double()
    # recurrent synapses read the old state; those to the next group read the fresh one
    allowed_h[command[:, None], command] += direct_h[command[:, None], command]
    for source, target in ((inter, command), (command, motor)):
        path = direct_h[target[:, None], source]
        allowed_x[target] += path @ allowed_x[source]
        allowed_h[target] += path @ allowed_h[source]
    assert (by_input[:, 0][allowed_x == 0] == 0).all()
    assert (by_state[:, 0][allowed_h == 0] == 0).all()
    recurrent = torch.tensor(wiring.adjacency.T != 0)[command[:, None], command]
    between = by_state[:, 0][command[:, None], command]
    if mode == "leaky":  # has no recurrence
        assert (between[~torch.eye(len(command), dtype=torch.bool)] == 0).all()
    else:
        assert (between[recurrent] != 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_polarity_is_honoured_after_any_training_step(mode):
    """An excitatory synapse raises the target, an inhibitory one lowers it; weights are free."""
    wiring = ncp(
        sensory=2, inter=4, command=3, motor=2, sensory_fanout=2, inter_fanout=2,
        recurrent_command_synapses=2, motor_fanin=2, rng=3,
    )  # fmt: skip
    cell = CfC(wiring, mode=mode, nominal_dt=0.01, rng=make_rng()).double()
    with torch.no_grad():
        for weight in cell.weight:
            weight.normal_(generator=make_rng(5))
        if mode == "pure":
            cell.amplitude.normal_(generator=make_rng(6))
    # the effect of a synapse in mode pure turns over where t*|head| > 1
    dt_B1 = torch.full((1, 1), 1e-4 if mode == "pure" else 1e3).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda x: cell(x, cell.initial_state(1), dt_B1)[1][0, :4],
        torch.zeros(1, 2).double(),
    )[:, 0]
    signs = torch.tensor(wiring.sensory_adjacency[:, :4].T)
    assert (torch.sign(jacobian) == signs).all()


@pytest.mark.parametrize("mode", MODES)
def test_every_target_head_keeps_its_signs_or_starts_from_them(mode):
    polar = len(registry.MODES[mode].polar)
    for polarity in ("fixed", "initial"):
        cell = make_cell(mode, polarity=polarity)
        with torch.no_grad():
            flipped = cell.weight[0].neg_() if polarity == "fixed" else cell.weight[0]
        effective = cell.weights()[0]
        neurons = cell.layers[0].stop
        signs = torch.tensor(cell.wiring.sensory_adjacency[:, :neurons].T)
        signs = -signs if mode == "pure" else signs
        for head in effective.unflatten(0, (-1, neurons))[:polar]:
            exists = signs != 0
            assert (torch.sign(head[:, :6])[exists] == signs[exists]).all()
        if polarity == "initial":
            with torch.no_grad():
                flipped.neg_()
            assert (torch.sign(cell.weights()[0]) == -torch.sign(effective)).all()


def test_every_parameter_of_pure_trains():
    cell = make_cell("pure")
    inputs = torch.randn(4, 5, 6, generator=make_rng())
    dt_BT1 = torch.full((4, 5, 1), 0.01)
    for compiled in (False, True):
        output, _ = run_sequence(cell, inputs, cell.initial_state(4), dt_BT1, compiled=compiled)
        (slope,) = torch.autograd.grad(output.square().sum(), cell.w_tau)
        assert (slope != 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "open"}, "mode is 'open'"),
        ({"polarity": "none"}, "polarity is 'none'"),
        ({"tau_range": [-1.0, 1.0]}, r"tau_range is \[-1.0, 1.0\], expected two"),
        ({"tau_range": [5.0, 1.0]}, r"tau_range is \[5.0, 1.0\], expected two"),
        ({"tau_range": 5.0}, "tau_range is 5.0, expected two"),
        ({"motor_gain": 0.0}, "motor_gain is 0.0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_cell(**arguments)


def test_command_time_constants_start_log_spaced_from_5_ms_to_2_s():
    cell = make_cell()
    fastest, slowest = cell.tau_bounds()
    middle = 1 / (0.5 / fastest + 0.5 / slowest)  # rate in the middle of the gate
    command = cell.wiring.groups["command"]
    assert middle[command.start].item() == pytest.approx(0.005, rel=1e-4)
    assert middle[command.stop - 1].item() == pytest.approx(2.0, rel=1e-4)
    others = [*cell.wiring.groups["inter"], *cell.wiring.groups["motor"]]
    torch.testing.assert_close(middle[others], torch.full((len(others),), 0.01 / 3))


@pytest.mark.parametrize("kind", WIRINGS)
def test_motor_neurons_start_as_fast_in_every_wiring(kind):
    wiring = WIRINGS[kind](0)
    tau_H = initial_tau(wiring, (0.5, 200.0))
    motor = wiring.groups["motor"]
    assert tau_H[motor.start :].tolist() == [pytest.approx(1 / 3)] * wiring.motor
    spaced = wiring.groups["command"] if wiring.command else range(motor.start)
    expected = torch.logspace(-0.30103, 2.30103, len(spaced))
    torch.testing.assert_close(tau_H[spaced.start : spaced.stop], expected)


@pytest.mark.parametrize("kind", WIRINGS)
@pytest.mark.parametrize("mode", [name for name, mode in registry.MODES.items() if mode.tau])
def test_motor_neurons_have_the_same_time_constants_in_every_wiring(mode, kind):
    """A network is not slower to answer because its wiring has no command group."""
    cell, ncp = make_cell(mode, wiring=kind), make_cell(mode)
    for bound, of_ncp in zip(cell.tau_bounds(), ncp.tau_bounds()):
        torch.testing.assert_close(bound[-3:], of_ncp[-3:])  # the motor neurons
    assert cell.tau_bounds()[1].max() > 1.0  # s: somewhere there is memory


def test_where_all_neurons_are_motors_all_time_constants_are_spaced():
    wiring = fully_connected(sensory=3, units=6, motor=6, rng=0)
    tau_H = initial_tau(wiring, (0.5, 200.0))
    torch.testing.assert_close(tau_H, torch.logspace(-0.30103, 2.30103, 6))


@pytest.mark.parametrize("kind", ["ncp", "fully_connected"])
def test_motor_gain_scales_the_first_outputs_and_nothing_else(kind):
    wiring = WIRINGS[kind](0)
    settings = dict(mode="default", nominal_dt=0.01)
    plain = CfC(wiring, rng=make_rng(), **settings)
    small = CfC(wiring, rng=make_rng(), motor_gain=0.1, **settings)
    assert small.config()["motor_gain"] == 0.1
    for index, (a, b) in enumerate(zip(plain.weight, small.weight, strict=True)):
        a, b = (weight.detach().unflatten(0, (4, -1)) for weight in (a, b))  # by head
        motors = -wiring.motor if index == len(plain.weight) - 1 else a.shape[1]
        assert torch.equal(a[:, :motors], b[:, :motors])
        assert torch.allclose(b[:, motors:], 0.1 * a[:, motors:])


def test_motor_gain_scales_the_first_outputs_of_every_network():
    def output(config, gain):
        cell = build_cell({**config, "motor_gain": gain}, make_rng())
        state = cell.initial_state(3)
        x_BF = torch.linspace(-1, 1, 12).view(3, 4)
        return cell(x_BF, state, torch.full((3, 1), 0.01))[0]

    wired = {"wiring": {"kind": "auto_ncp", "sensory": 4, "units": 12, "motor": 2, "seed": 0}}
    sized = {"input_size": 4, "units": 6, "output_size": 2}
    for config in (
        {"kind": "ltc", **wired},
        *({"kind": k, **sized} for k in ("gru", "lstm", "mlp")),
    ):
        config = {**config, "nominal_dt": 0.01}
        torch.testing.assert_close(output(config, 0.1), 0.1 * output(config, 1.0))
    with pytest.raises(ValueError, match="without a readout"):
        build_cell(
            {"kind": "gru", "input_size": 4, "units": 6, "nominal_dt": 0.01, "motor_gain": 0.1},
            make_rng(),
        )
