"""What must hold for every cell on every wiring."""

import copy

import pytest
import torch
from networks import ALL, PERIOD, WIRED, make_cell, random_inputs
from torch.nn import functional as F

from liquid_control.nn.cells.baselines import BASELINES, ODE_STEPS
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.zoo import build_cell, matching_units

every_cell = pytest.mark.parametrize(("name", "wiring"), ALL)


def loop(cell, input_BTF, state_BH, dt_BT1):
    outputs = []
    for t in range(input_BTF.shape[1]):
        output, state_BH = cell(input_BTF[:, t], state_BH, dt_BT1[:, t])
        outputs.append(output)
    return torch.stack(outputs, dim=1), state_BH


@every_cell
def test_sequence_equals_steps(name, wiring):
    cell = make_cell(name, wiring).double()
    inputs = random_inputs(cell, batch=5, steps=12, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            run_sequence(cell, *inputs, compiled=False),
            loop(cell, *inputs),
            rtol=1e-10,
            atol=1e-11,
        )


@every_cell
def test_batch_equals_one_by_one_with_its_own_dt(name, wiring):
    magnifies_rounding = name in ("neural_ode", "ode_rnn")
    dtype = torch.float64 if magnifies_rounding else torch.float32
    cell = make_cell(name, wiring).to(dtype)
    batch = cell.state_size  # where ncps is silently wrong
    inputs = random_inputs(cell, batch=batch, steps=6, dtype=dtype)
    with torch.no_grad():
        together, _ = run_sequence(cell, *inputs)
        alone = [run_sequence(cell, *(v[k : k + 1] for v in inputs))[0] for k in range(5)]
    torch.testing.assert_close(together[:5], torch.cat(alone), rtol=0, atol=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@every_cell
def test_gpu_equals_cpu(name, wiring):
    results = []
    for device in ("cpu", "cuda"):
        cell = make_cell(name, wiring).double().to(device)
        inputs = random_inputs(cell, batch=5, steps=12, dtype=torch.float64)
        inputs = [value.to(device) for value in inputs]
        observed = (torch.arange(60).reshape(5, 12) % 4 > 0).to(device)
        output, _ = run_sequence(cell, *inputs, observed_BT=observed)
        output.square().sum().backward()
        gradients = [p.grad for p in cell.parameters() if p.grad is not None]
        results.append([value.detach().cpu() for value in (output, *gradients)])
    torch.testing.assert_close(*results, rtol=1e-8, atol=1e-9)


@every_cell
def test_gradients_in_double_precision(name, wiring):
    cell = make_cell(name, wiring, sensory=3, units=8).double()
    inputs = random_inputs(cell, batch=2, steps=2, dtype=torch.float64)

    def outputs(*values):
        given = dict(zip(parameters, values[3:]))
        return torch.func.functional_call(steps, given, values[:3])

    steps = _Steps(cell)
    parameters = dict(steps.named_parameters())
    values = [v.clone().requires_grad_() for v in (*inputs, *parameters.values())]
    torch.autograd.gradcheck(outputs, values, eps=1e-6, atol=1e-5, fast_mode=True)


class _Steps(torch.nn.Module):
    def __init__(self, cell, compiled=False):
        super().__init__()
        self.cell, self.compiled = cell, compiled

    def forward(self, *inputs):
        return run_sequence(self.cell, *inputs, compiled=self.compiled)


@every_cell
def test_nan_in_one_sample_stays_there(name, wiring):
    cell = make_cell(name, wiring)
    inputs = random_inputs(cell, batch=4, steps=5)
    clean, _ = run_sequence(cell, *inputs)
    inputs[0][1, 2, 0] = float("nan")
    inputs[1][2] = float("nan")
    dirty, _ = run_sequence(cell, *inputs)
    torch.testing.assert_close(dirty[[0, 3]], clean[[0, 3]], rtol=0, atol=1e-6)
    if name != "mlp":
        assert dirty[2].isnan().any()
    assert dirty[1].isnan().any()
    inputs[0].requires_grad_()
    run_sequence(cell, *inputs)[0][[0, 3]].sum().backward()
    assert torch.isfinite(inputs[0].grad[[0, 3]]).all()


@every_cell
def test_zero_dt_is_finite_and_keeps_gradients_finite(name, wiring):
    cell = make_cell(name, wiring)
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=3, steps=4)
    output, state = run_sequence(cell, input_BTF, state_BH, torch.zeros_like(dt_BT1))
    assert torch.isfinite(output).all()
    output.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in cell.parameters() if p.grad is not None)
    if name in ("cfc-closed", "cfc-ctrnn", "cfc-leaky", "neural_ode") or name.startswith("ltc"):
        torch.testing.assert_close(state, state_BH, rtol=0, atol=1e-6)


@every_cell
def test_missing_samples_hold_the_state_and_add_up_dt(name, wiring):
    cell = make_cell(name, wiring)
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=2, steps=5)
    observed = torch.tensor([[1, 0, 0, 1, 1], [1, 1, 1, 1, 0]], dtype=torch.bool)
    spoiled = torch.where(observed[:, :, None], input_BTF, float("nan"))
    with torch.no_grad():
        output, last = run_sequence(cell, spoiled, state_BH, dt_BT1, observed_BT=observed)
        first = dt_BT1[0, 1:4].sum(dim=0)
        dt = torch.stack([dt_BT1[0, 0], first, dt_BT1[0, 4]])[None]
        kept, kept_last = run_sequence(cell, input_BTF[:1, [0, 3, 4]], state_BH[:1], dt)
    torch.testing.assert_close(output[0, [0, 3, 4]], kept[0], rtol=1e-6, atol=3e-6)
    torch.testing.assert_close(output[0, [1, 2]], output[0, [0, 0]])
    torch.testing.assert_close(last[0, :-1], kept_last[0], rtol=1e-6, atol=3e-6)
    torch.testing.assert_close(output[1, 4], output[1, 3])


@pytest.mark.parametrize("name", ["cfc-closed", "ltc-fused", "gru_decay"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_reset_forgets_the_time_of_missing_samples(name, compiled):
    cell = make_cell(name, "none" if name == "gru_decay" else "ncp")
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=1, steps=5)
    observed = torch.tensor([[True, False, False, False, True]])
    reset = torch.tensor([[False, False, False, True, False]])
    with torch.no_grad():
        output, _ = run_sequence(
            cell, input_BTF, state_BH, dt_BT1, observed_BT=observed, reset_BT=reset,
            compiled=compiled,
        )  # fmt: skip
        since = dt_BT1[:, 3:].sum(dim=1, keepdim=True)
        fresh, _ = run_sequence(cell, input_BTF[:, 4:], cell.initial_state(1), since)
    torch.testing.assert_close(output[:, 4:], fresh, rtol=0, atol=2e-6)


@every_cell
def test_reset_begins_anew(name, wiring):
    cell = make_cell(name, wiring)
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=2, steps=6)
    reset = torch.zeros(2, 6, dtype=torch.bool)
    reset[0, 3] = True
    state_BH[0] = float("nan")  # whatever it was
    with torch.no_grad():
        output, _ = run_sequence(cell, input_BTF, state_BH, dt_BT1, reset_BT=reset)
        fresh, _ = run_sequence(cell, input_BTF[:1, 3:], cell.initial_state(1), dt_BT1[:1, 3:])
    torch.testing.assert_close(output[:1, 3:], fresh, rtol=0, atol=2e-6)


@every_cell
def test_copies_and_configs_compute_the_same(name, wiring):
    cell = make_cell(name, wiring)
    inputs = random_inputs(cell, batch=2, steps=3)
    expected, _ = run_sequence(cell, *inputs)
    rebuilt = build_cell(cell.config(), torch.Generator().manual_seed(99))
    assert rebuilt.config() == cell.config()
    rebuilt.load_state_dict(cell.state_dict())
    for other in (copy.deepcopy(cell), rebuilt):
        assert torch.equal(run_sequence(other, *inputs)[0], expected)
    doubled = {key: 2.0 * value for key, value in cell.state_dict().items()}
    for given, same in ((cell.state_dict(), True), (doubled, False)):
        given = {f"cell.{key}": value for key, value in given.items()}
        output, _ = torch.func.functional_call(_Steps(rebuilt, compiled=True), given, inputs)
        assert torch.allclose(output, expected, rtol=0, atol=1e-6) is same
    assert cell.parameter_count() == rebuilt.parameter_count() > 0
    assert len(cell.state_names) == len(set(cell.state_names)) == cell.state_size


# (low, high) variance of the output at initialisation after a held input
BANDS = {"cfc-pure": (0.02, 0.3), "cfc-leaky": (0.1, 5.0), "neural_ode": (0.03, 20.0)}
# the explicit solvers start from the same parameters as the fused one; a held clock takes no long
# steps in which to settle
SETTLING = [case for case in ALL if case[0] not in ("ltc-euler", "ltc-rk4", "timeless-closed")]


@pytest.mark.parametrize(("sensory", "units"), [(1, 10), (3, 8), (12, 16), (12, 64)])
@pytest.mark.parametrize(("name", "wiring"), SETTLING)
def test_output_variance_at_initialisation_is_in_band(name, wiring, sensory, units):
    """Neither dead nor saturated, for every cell, wiring and size; one input carries less.

    From rest, each sample's inputs drawn once from a standard normal and held for 12 steps of 15
    periods; of one period for the stiff cells, and 3 of them where a Neural ODE is integrated.
    """
    # these decay away, or grow, if the steps are long
    stiff = name in ("cfc-pure", "neural_ode", "ode_rnn")
    dt_BT1 = torch.full((32, 12, 1), PERIOD if stiff else 15 * PERIOD)
    if name in ("neural_ode", "ode_rnn"):
        dt_BT1 = dt_BT1[:, :3]
    variances = []
    for seed in range(6):
        cell = make_cell(name, wiring, sensory=sensory, units=units, seed=seed)
        input_BF = torch.randn(32, sensory, generator=torch.Generator().manual_seed(seed))
        input_BTF = input_BF[:, None].expand(-1, dt_BT1.shape[1], -1)
        with torch.no_grad():
            output, _ = run_sequence(cell, input_BTF, cell.initial_state(32), dt_BT1)
        variances.append(output[:, -1].var(dim=0).mean().item())
    low, high = BANDS.get(name, (0.03, 2.0))
    assert low / (5 if sensory == 1 else 1) < sum(variances) / 6 < high


@pytest.mark.parametrize(("sensory", "units"), [(3, 8), (12, 16), (12, 64)])
@pytest.mark.parametrize(
    ("name", "wiring"), [case for case in SETTLING if case[0] not in ("neural_ode", "ode_rnn")]
)
def test_inputs_that_change_every_step_leave_less_but_reach_the_output(
    name, wiring, sensory, units
):
    """Slow neurons average them away: 50 steps of a period, inputs drawn anew for each."""
    variances = []
    for seed in range(6):
        cell = make_cell(name, wiring, sensory=sensory, units=units, seed=seed)
        rng = torch.Generator().manual_seed(seed)
        input_BTF = torch.randn(32, 50, sensory, generator=rng)
        dt_BT1 = torch.full((32, 50, 1), PERIOD)
        with torch.no_grad():
            output, _ = run_sequence(cell, input_BTF, cell.initial_state(32), dt_BT1)
        variances.append(output[:, -1].var(dim=0).mean().item())
    assert 0.01 < sum(variances) / 6 < 2.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("kind", BASELINES)
def test_unit_output_says_the_truth_of_baselines(kind, sign):
    config = {"kind": kind, "input_size": 2, "units": 3, "nominal_dt": PERIOD}
    cell = build_cell(config, torch.Generator().manual_seed(0))
    assert_unit_output(cell, sign)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("name", "wiring"), WIRED)
def test_unit_output_says_the_truth(name, wiring, sign):
    assert_unit_output(make_cell(name, wiring), sign)


@torch.no_grad()
def assert_unit_output(cell, sign):
    """Within [-1, 1] for large weights, inputs and dt where the cell says so, and else beyond."""
    input_BTF, _, dt_BT1 = random_inputs(cell, batch=8, steps=40)
    input_BTF = sign * 100 * input_BTF.abs()
    largest = 0.0
    for _ in range(2):
        for scale in (0.01, 1.0, 100.0):
            output, _ = run_sequence(cell, input_BTF, cell.initial_state(8), scale * dt_BT1)
            largest = max(largest, output.nan_to_num(torch.inf).abs().max().item())
        for parameter in cell.parameters():
            parameter.mul_(10.0)
    assert (largest <= 1 + 1e-6) is cell.unit_output


def test_neural_ode_is_solved_as_by_torchdiffeq():
    torchdiffeq = pytest.importorskip("torchdiffeq")
    cell = make_cell("neural_ode", "none").double()
    input_BTF, state_BH, _ = random_inputs(cell, batch=3, steps=1, dtype=torch.float64)
    dt_B1 = torch.tensor([[0.0], [PERIOD], [2.5 * PERIOD]], dtype=torch.float64)

    def slope(_, hidden):
        drive = input_BTF[:, 0] @ cell.weight_input.T + cell.bias + hidden @ cell.weight_hidden.T
        return dt_B1 / PERIOD * torch.tanh(drive)

    with torch.no_grad():
        grid = torch.linspace(0.0, 1.0, ODE_STEPS + 1, dtype=torch.float64)
        expected = torchdiffeq.odeint(slope, state_BH, grid, method="rk4")[-1]
        torch.testing.assert_close(cell(input_BTF[:, 0], state_BH, dt_B1)[1], expected)


def test_ode_rnn_is_the_solver_then_a_gru():
    cell = make_cell("ode_rnn", "none").double()
    gru = make_cell("gru", "none").double()
    gru.load_state_dict({k: v for k, v in cell.state_dict().items() if "slope" not in k})
    (x_BTF, h_BH, dt_BT1) = random_inputs(cell, batch=3, steps=1, dtype=torch.float64)
    with torch.no_grad():
        exact = h_BH.clone()  # explicit Euler with steps that are short enough
        for _ in range(20_000):
            slope = torch.tanh(F.linear(exact, cell.weight_slope, cell.bias_slope))
            exact = exact + dt_BT1[:, 0] / PERIOD / 20_000 * slope
        expected, _ = gru(x_BTF[:, 0], exact, dt_BT1[:, 0])
        torch.testing.assert_close(cell(x_BTF[:, 0], h_BH, dt_BT1[:, 0])[0], expected,
                                   rtol=0, atol=1e-4)  # fmt: skip


def test_gru_decay_forgets_before_its_gru():
    cell, gru = make_cell("gru_decay", "none"), make_cell("gru", "none")
    gru.load_state_dict({k: v for k, v in cell.state_dict().items() if k != "decay"})
    with torch.no_grad():
        cell.decay[0], cell.decay[1] = 0.7, -0.2
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=3, steps=1)
    factor = torch.exp(-torch.relu(0.7 * dt_BT1[:, 0] / PERIOD - 0.2))
    torch.testing.assert_close(
        cell(input_BTF[:, 0], state_BH, dt_BT1[:, 0]),
        gru(input_BTF[:, 0], state_BH * factor, dt_BT1[:, 0]),
    )


def test_mixed_memory_is_an_lstm_step_and_then_the_cell():
    mixed = make_cell("mixed-closed", "ncp")
    units = mixed.cell.state_size
    lstm = torch.nn.LSTMCell(mixed.input_size, units)
    lstm.load_state_dict({
        "weight_ih": mixed.weight[:, : mixed.input_size],
        "weight_hh": mixed.weight[:, mixed.input_size :],
        "bias_ih": mixed.bias,
        "bias_hh": torch.zeros(4 * units),
    })  # fmt: skip
    input_BTF, state_BH, dt_BT1 = random_inputs(mixed, batch=3, steps=1)
    output, state = mixed(input_BTF[:, 0], state_BH, dt_BT1[:, 0])
    hidden, memory = lstm(input_BTF[:, 0], state_BH.chunk(2, dim=1))
    expected, neurons = mixed.cell(input_BTF[:, 0], hidden, dt_BT1[:, 0])
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(state, torch.cat([neurons, memory], dim=1))


def test_nominal_time_hides_the_true_dt():
    timeless = make_cell("timeless-closed", "ncp")
    input_BTF, state_BH, dt_BT1 = random_inputs(timeless, batch=3, steps=4)
    with torch.no_grad():
        expected = run_sequence(timeless.cell, input_BTF, state_BH, torch.full_like(dt_BT1, PERIOD))
        torch.testing.assert_close(run_sequence(timeless, input_BTF, state_BH, dt_BT1), expected)


@pytest.mark.parametrize(("name", "per_synapse", "per_neuron"), [
    ("cfc-closed", 2, 2 + 2), ("cfc-ctrnn", 1, 1 + 1), ("ltc-fused", 4, 3),
])  # fmt: skip
def test_parameters_are_counted_by_synapse(name, per_synapse, per_neuron):
    cell = make_cell(name, "ncp")
    maps = 2 * (cell.input_size + cell.output_size) if name == "ltc-fused" else 0
    expected = per_synapse * cell.wiring.synapses + per_neuron * cell.wiring.units + maps
    assert cell.parameter_count() == expected


def test_a_readout_keeps_the_wiring_of_its_cell():
    inner = make_cell("cfc-closed", "ncp")
    config = {"kind": "readout", "cell": inner.config(), "output_size": 2}
    readout = build_cell(config, torch.Generator())
    assert readout.wiring == inner.wiring
    assert readout.nominal_dt == inner.nominal_dt
    timeless = build_cell({"kind": "nominal_time", "cell": config}, torch.Generator())
    assert timeless.state_names == inner.state_names


def test_vmap_over_a_fused_baseline():
    cell = make_cell("gru", "none")
    inputs = random_inputs(cell, batch=6, steps=3)
    expected, _ = run_sequence(cell, *inputs)
    pairs = [value.unflatten(0, (3, 2)) for value in inputs]
    output = torch.func.vmap(lambda *values: run_sequence(cell, *values)[0])(*pairs)
    torch.testing.assert_close(output.flatten(0, 1), expected)


@pytest.mark.parametrize("kind", ["lstm", "gru", "cfc-closed", "ltc-fused"])
def test_matching_units_comes_closest(kind):
    def build(units):
        return make_cell(kind, "none" if "-" not in kind else "fully_connected", units=units)

    units = matching_units(build, 2000, least=5)
    distance = [abs(build(n).parameter_count() - 2000) for n in (units - 1, units, units + 1)]
    assert distance[1] == min(distance)
    with pytest.raises(ValueError, match="10 units have fewer than 2000 parameters"):
        matching_units(build, 2000, least=5, most=10)


GRU = {"kind": "gru", "units": 4, "input_size": 2, "nominal_dt": 0.1}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "transformer"}, "transformer"),
        ({"kind": "gru", "units": 3}, "input_size"),
        ({**GRU, "units": 0}, "units is 0, expected a whole number"),
        ({**GRU, "units": 2.5}, "units is 2.5, expected a whole number"),
        ({**GRU, "output_size": 0}, "output_size is 0, expected a whole number"),
        ({**GRU, "nominal_dt": 0}, "nominal_dt is 0, expected a finite number above 0"),
        ({**GRU, "nominal_dt": float("inf")}, "nominal_dt is inf"),
        ({**GRU, "nominal_dt": "fast"}, "nominal_dt is 'fast'"),
        ({"kind": "readout", "cell": GRU, "output_size": 0}, "output_size is 0"),
        ({"kind": "cfc", "nominal_dt": 0.1}, "cell 'cfc': needs 'wiring'"),
        ({"kind": "mixed_memory"}, "cell 'mixed_memory': needs 'cell'"),
    ],
)
def test_a_bad_config_names_the_value(config, message):
    with pytest.raises(ValueError, match=message):
        build_cell(config, torch.Generator())


@pytest.mark.parametrize("name", ["gru", "cfc-closed", "ltc-fused"])
def test_wrong_shapes_and_types_are_named(name):
    cell = make_cell(name, "none" if name == "gru" else "ncp")
    x_BTF, h_BH, dt_BT1 = random_inputs(cell, batch=4, steps=3)
    wide, byte = torch.zeros(4, 20), torch.ones(4, 3, dtype=torch.uint8)
    for arguments, masks, message in (
        ((x_BTF, h_BH, dt_BT1[:, :2]), {}, r"dt has shape \(4, 2, 1\), expected \(4, 3, 1\)"),
        ((x_BTF, h_BH[:1], dt_BT1), {}, "state has shape"),
        ((x_BTF, wide, dt_BT1), {}, "state has shape"),
        ((x_BTF[0], h_BH, dt_BT1), {}, "input has shape"),
        ((x_BTF[:, :0], h_BH, dt_BT1[:, :0]), {}, "at least 1 step"),
        ((x_BTF, h_BH, dt_BT1), {"observed_BT": byte}, "observed is of torch.uint8"),
        ((x_BTF, h_BH, dt_BT1), {"reset_BT": byte}, "reset is of torch.uint8"),
        ((x_BTF, h_BH, dt_BT1), {"reset_BT": byte[:2].bool()}, "reset has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            run_sequence(cell, *arguments, **masks)
    for arguments, message in (
        ((x_BTF[:, 0, :2], h_BH, dt_BT1[:, 0]), "input has shape"),
        ((x_BTF[:, 0], wide, dt_BT1[:, 0]), "state has shape"),
        ((x_BTF[:, 0], h_BH, dt_BT1[:, 0, 0]), "dt has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            cell(*arguments)
