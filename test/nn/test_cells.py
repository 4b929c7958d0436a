"""What must hold for every cell on every wiring."""

import copy

import pytest
import torch
from networks import ALL, PERIOD, WIRED, make_cell, random_inputs

from liquid_control.nn.baselines import ODE_STEPS
from liquid_control.nn.sequence import run_sequence
from liquid_control.nn.zoo import build_cell, matching_units

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
    torch.testing.assert_close(last[0], kept_last[0], rtol=1e-6, atol=3e-6)
    torch.testing.assert_close(output[1, 4], output[1, 3])


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


# (low, high) variance of the output at initialisation, held unit-variance input, settled state
BANDS = {"cfc-pure": (0.02, 0.3), "cfc-leaky": (0.1, 5.0), "neural_ode": (0.03, 20.0)}
# the explicit solvers start from the same parameters as the fused one; a held clock takes no long
# steps in which to settle
SETTLING = [case for case in ALL if case[0] not in ("ltc-euler", "ltc-rk4", "timeless-closed")]


@pytest.mark.parametrize("units", [16, 64])
@pytest.mark.parametrize(("name", "wiring"), SETTLING)
def test_output_variance_at_initialisation_is_in_band(name, wiring, units):
    """Neither dead nor saturated, for every cell, wiring and size."""
    # these decay away, or grow, if the steps are long
    stiff = name in ("cfc-pure", "neural_ode", "ode_rnn")
    dt_BT1 = torch.full((32, 12, 1), PERIOD if stiff else 15 * PERIOD)
    if name in ("neural_ode", "ode_rnn"):
        dt_BT1 = dt_BT1[:, :3]
    variances = []
    for seed in range(3):
        cell = make_cell(name, wiring, sensory=12, units=units, seed=seed)
        input_BF = torch.randn(32, 12, generator=torch.Generator().manual_seed(seed))
        input_BTF = input_BF[:, None].expand(-1, dt_BT1.shape[1], -1)
        with torch.no_grad():
            output, _ = run_sequence(cell, input_BTF, cell.initial_state(32), dt_BT1)
        variances.append(output[:, -1].var(dim=0).mean().item())
    low, high = BANDS.get(name, (0.03, 2.0))
    assert low < sum(variances) / 3 < high


@pytest.mark.parametrize(("name", "wiring"), [c for c in WIRED if c[0].startswith(("cfc", "ltc"))])
def test_unit_output_says_the_truth(name, wiring):
    cell = make_cell(name, wiring)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(10.0)
    input_BTF, _, dt_BT1 = random_inputs(cell, batch=8, steps=10)
    output, _ = run_sequence(cell, 100 * input_BTF, cell.initial_state(8), dt_BT1)
    if cell.unit_output:
        assert output.abs().max() <= 1 + 1e-6


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


@pytest.mark.parametrize("kind", ["lstm", "gru", "cfc-closed", "ltc-fused"])
def test_matching_units_comes_closest(kind):
    def build(units):
        return make_cell(kind, "none" if "-" not in kind else "fully_connected", units=units)

    units = matching_units(build, 2000, least=5)
    distance = [abs(build(n).parameter_count() - 2000) for n in (units - 1, units, units + 1)]
    assert distance[1] == min(distance)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "transformer"}, "transformer"),
        ({"kind": "gru", "units": 3}, "input_size"),
        ({"kind": "gru", "units": 0, "input_size": 2, "nominal_dt": 0.1}, "units is 0"),
        ({"kind": "gru", "units": 4, "input_size": 2, "nominal_dt": 0}, "nominal_dt is 0"),
        ({"kind": "cfc", "nominal_dt": 0.1}, "wiring"),
    ],
)
def test_a_bad_config_names_the_value(config, message):
    with pytest.raises(ValueError, match=message):
        build_cell(config, torch.Generator())


def test_wrong_shapes_are_named():
    cell = make_cell("gru", "none")
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=2, steps=3)
    with pytest.raises(ValueError, match="dt has shape"):
        run_sequence(cell, input_BTF, state_BH, dt_BT1[:, :2])
