"""A mode is one object: a new one trains, runs, exports and flies with no edit in the package."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.modes import registry
from liquid_control.nn.cells.modes.mode import Constant, Mode, ModeKernel
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wiring import auto_ncp
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.export import export_policy, policy_graph
from liquid_control.nn.kernels.functions import exp, tanh
from liquid_control.nn.policy import Policy
from liquid_control.runtime.policy import load_policy
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.quadrotor.rules import observer

PERIOD = 0.01
LAYOUT = observer(("pos_error", "vel_error", "up")).layout


# h <- A + (h - A)*exp(-k*t), A = reach*tanh(target): leaky towards a target of its own size
def update(u, h_BN, t_B1, c):
    target_BN = c.reach * torch.tanh(u.target)
    return target_BN + (h_BN - target_BN) * torch.exp(-t_B1 * c.k)


def kernel_update(u, h, t, c):
    bent, decay = tanh(u.target), exp(0.0 - t * c.k)
    return c.reach * bent + (h - c.reach * bent) * decay, (bent, decay)


def kernel_gradient(d, s, h, t, c):
    d_exponent = (c.reach * s.bent - h) * d * s.decay
    d_reached = d * (1.0 - s.decay)
    d_target = d_reached * c.reach * (1.0 - s.bent * s.bent)
    return (d_target,), d * s.decay, d_exponent * c.k, (d_exponent * t, d_reached * s.bent)


def nodes(graph, source, weight, bias, old, period, output, c):
    bent = graph.op("Tanh", graph.linear(source, weight, bias))
    target = graph.op("Mul", bent, graph.constant(c.reach))
    decay = graph.op("Exp", graph.op("Mul", graph.constant(-c.k / period), "dt"))
    distance = graph.op("Mul", graph.op("Sub", old, target), decay)
    return graph.op("Add", target, distance, output=output)


TOY = Mode(
    name="toy",
    polar=("target",),
    plain=(),
    gain=1.5,
    constants=(
        Constant("k", "log_k", torch.log),
        Constant("reach", "log_reach", torch.zeros_like),
    ),
    update=update,
    kernel=ModeKernel(("bent", "decay"), kernel_update, kernel_gradient),
    nodes=nodes,
)
BARE = replace(TOY, name="bare", kernel=None, nodes=None)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "MODES", dict(registry.MODES))
    registry.register_mode(TOY)
    registry.register_mode(BARE)


def make_cell(mode, units=16):
    wiring = auto_ncp(sensory=LAYOUT.size, units=units, motor=4, rng=0)
    return CfC(wiring, mode=mode, nominal_dt=PERIOD, rng=torch.Generator().manual_seed(0))


def make_policy(mode):
    return Policy(
        make_cell(mode),
        observation_offset=torch.zeros(LAYOUT.size),
        observation_scale=torch.ones(LAYOUT.size),
        command_offset=torch.tensor([9.8, 0, 0, 0]),
        command_scale=torch.tensor([5.0, 8, 8, 4]),
    )


def sequences(batch=33, steps=20, dtype=torch.float32):
    rng = torch.Generator().manual_seed(0)
    observation = torch.randn(batch, steps, LAYOUT.size, generator=rng, dtype=dtype)
    dt = PERIOD * (0.5 + torch.rand(batch, steps, 1, generator=rng, dtype=dtype))
    return observation, dt


@pytest.mark.parametrize("mode", [TOY, BARE, "toy"])
def test_a_new_mode_trains_exports_and_flies(mode, tmp_path):
    policy = make_policy(mode)
    observation, dt = sequences()
    wanted = 9.8 + observation[:, :, :4].cumsum(dim=1) * 0.1
    optimiser = torch.optim.Adam(policy.parameters(), lr=0.01)
    losses, before = [], policy.cell.log_reach.detach().clone()
    for _ in range(8):
        command, _ = policy.run_sequence(observation, dt, policy.initial_state(33))
        loss = (command - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    assert (policy.cell.log_reach != before).all()
    export_policy(
        policy, tmp_path / "toy.onnx", observation=LAYOUT, command=RATES_THRUST,
        control_period=PERIOD, network="toy", vehicle="crazyflie", training={},
        rng=np.random.default_rng(0),
    )  # fmt: skip
    flown, state = load_policy(tmp_path / "toy.onnx"), policy.initial_state(1)
    for k in range(20):
        with torch.no_grad():
            expected, state = policy(observation[:1, k], dt[:1, k], state)
        command = flown.step(observation[0, k].numpy(), dt[0, k].item())
        np.testing.assert_allclose(command, expected[0], atol=2e-5)
    assert flown.metadata.training["cell"]["mode"] in ("toy", "bare")


def test_its_kernel_computes_what_torch_computes():
    pytest.importorskip("numba")
    cell = make_cell(TOY).double()
    observation, dt = sequences(dtype=torch.float64)
    state = 0.3 * torch.ones(33, cell.state_size, dtype=torch.float64)
    assert cell.compiled_sequence(observation, state, dt, None, None) is not None
    assert make_cell(BARE).double().compiled_sequence(observation, state, dt, None, None) is None
    results = []
    for compiled in (True, False):
        values = [value.clone().requires_grad_() for value in (observation, state, dt)]
        output, last = run_sequence(cell, *values, compiled=compiled)
        loss = output.square().sum() + last.sum()
        results.append([output, *torch.autograd.grad(loss, [*values, *cell.parameters()])])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_wrong_number_of_values_is_an_error_and_not_a_wrong_result():
    pytest.importorskip("numba")
    short = replace(TOY, name="short", kernel=replace(TOY.kernel, saved=("bent",)))
    with pytest.raises(Exception, match=r"expected \('bent',\)"):
        run_sequence(make_cell(short), *_with_state(make_cell(short)))


def _with_state(cell):
    observation, dt = sequences(batch=2, steps=2)
    return observation, cell.initial_state(2), dt


def test_hand_written_nodes_are_fewer_than_traced_ones():
    graphs = [len(policy_graph(make_policy(mode))) for mode in (TOY, BARE)]
    assert graphs[0] < graphs[1]


def test_a_mode_is_known_by_its_name():
    cell = make_cell(TOY)
    again = build_cell(cell.config(), torch.Generator().manual_seed(0))
    assert again.mode is TOY
    for ours, theirs in zip(cell.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert copy.deepcopy(cell).mode is TOY
    assert pickle.loads(pickle.dumps(cell)).mode is TOY
    assert registry.register_mode(TOY) is TOY
    with pytest.raises(ValueError, match="mode 'toy' is another one already"):
        registry.register_mode(replace(TOY))
    with pytest.raises(ValueError, match="mode is 'nobody', expected one of"):
        make_cell("nobody")
    with pytest.raises(ValueError, match="no head that gives the target"):
        replace(TOY, polar=())
    with pytest.raises(ValueError, match="has no time constant"):
        make_cell(TOY).tau_bounds()
    with pytest.raises(ValueError, match="mode is 'toy', but compat 'ncps' is for"):
        CfC(make_cell(TOY).wiring, mode=TOY, nominal_dt=PERIOD, compat="ncps",
            rng=torch.Generator())  # fmt: skip


@pytest.mark.parametrize("name", [*registry.MODES, "toy"])
def test_kernel_functions_are_plain_arithmetic(name):
    """In NumPy they give what torch gives, and their gradient is that of finite differences."""
    mode = registry.MODES[name]
    rng = np.random.default_rng(0)
    u = mode.Heads(*rng.normal(size=(len(mode.heads), 5)))
    h, t = rng.uniform(-1, 1, 5), rng.uniform(0.1, 2.0, 5)
    c = mode.Constants(*rng.uniform(0.2, 1.0, (len(mode.constants), 5)))
    state, saved = mode.kernel.update(u, h, t, c)
    as_torch = [kind(*map(torch.tensor, values)) for kind, values in ((mode.Heads, u),
                (mode.Constants, c))]  # fmt: skip
    expected = mode.update(as_torch[0], torch.tensor(h), torch.tensor(t), as_torch[1])
    np.testing.assert_allclose(state, expected, rtol=1e-12)
    d_u, d_h, d_t, d_c = mode.kernel.gradient(1.0, mode.kernel.Saved(*saved), h, t, c)
    flat = [*u, h, t, *c]
    for k, slope in enumerate((*d_u, d_h, d_t, *d_c)):
        sides = []
        for step in (1e-6, -1e-6):
            moved = [value + step * (j == k) for j, value in enumerate(flat)]
            heads = len(u)
            sides.append(
                mode.kernel.update(
                    mode.Heads(*moved[:heads]), moved[heads], moved[heads + 1],
                    mode.Constants(*moved[heads + 2 :]),
                )[0]
            )  # fmt: skip
        found = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(0.0 if slope is None else slope, found, rtol=1e-5, atol=1e-8)
