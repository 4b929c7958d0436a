"""The exported file computes what torch computes, over a thousand steps with random dt."""

import copy
import json

import numpy as np
import onnx
import pytest
import torch
from networks import ALL, make_cell

from liquid_control.config import ConfigError
from liquid_control.nn import export as export_module_
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.wiring import auto_ncp, fully_connected, random_wiring
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.export import export_policy, policy_graph
from liquid_control.nn.policy import Policy
from liquid_control.runtime.artifact import OUTPUTS, load_artifact, seal
from liquid_control.structs import RATES_THRUST, CommandKind, Layout, Slot

PERIOD = 0.01
OBSERVATION = Layout(
    (Slot("pos_error", 3, "m", "world"), Slot("vel_error", 3, "m/s", "world"),
     Slot("yaw_error", 1, "rad", "none"))
)  # fmt: skip
WIRINGS = {
    "ncp": auto_ncp(sensory=7, units=20, motor=4, rng=0),
    "fully_connected": fully_connected(sensory=7, units=10, motor=4, rng=0),
    "random": random_wiring(sensory=7, units=12, motor=4, sparsity=0.6, rng=0),
}


def make_policy(wiring="ncp", **arguments):
    rng = torch.Generator().manual_seed(1)
    cell = CfC(WIRINGS[wiring], nominal_dt=PERIOD, rng=rng, **arguments)
    return policy_around(cell, arguments.get("observation_limit"))


def policy_around(cell, observation_limit=None):
    return Policy(
        cell,
        observation_offset=torch.tensor([0.0, 1.0, 9.8, -0.5, 0.0, 2.0, 0.1]),
        observation_scale=torch.tensor([0.5, 0.5, 0.5, 2.0, 2.0, 2.0, 0.3]),
        command_offset=torch.tensor([9.81, 0.0, 0.0, 0.0]),
        command_scale=torch.tensor([9.81, 8.0, 8.0, 4.0]),
        observation_limit=observation_limit,
    )


def export(policy, path, command=RATES_THRUST):
    return export_policy(
        policy,
        path,
        observation=OBSERVATION,
        command=command,
        control_period=PERIOD,
        network="cfc_ncp",
        vehicle="test",
        training={"seed": 1},
        rng=np.random.default_rng(0),
    )


def assert_same_over_steps(policy, session, steps=1000, batch=3):
    """The file is as close to torch in float64 as torch in float32 is, so it only rounds.

    Step by step from the same state; and left alone, where cells that magnify a difference do so
    with either's rounding, as chance has it: within a factor of ten.
    """
    exact = copy.deepcopy(policy).double()
    weights, exact_weights = policy.weights(), exact.weights()
    rng = np.random.default_rng(0)
    of_torch = policy.initial_state(batch)
    of_exact, of_file = of_torch.double(), of_torch.numpy()
    step = {"torch": 0.0, "file": 0.0}
    alone = {"torch": 0.0, "file": 0.0}
    for _ in range(steps):
        observation = rng.standard_normal((batch, 7)).astype(np.float32)
        dt = rng.uniform(0, 0.03, (batch, 1)).astype(np.float32)
        inputs = {"observation": observation, "dt": dt}
        given = torch.tensor(observation), torch.tensor(dt)
        in_double = [value.double() for value in given]
        with torch.no_grad():
            truth = exact.step(*in_double, of_torch.double(), exact_weights)
            theirs = session.run(OUTPUTS, {**inputs, "state": of_torch.numpy()})
            ours = policy.step(*given, of_torch, weights)
            alone_truth = exact.step(*in_double, of_exact, exact_weights)
            alone_theirs = session.run(OUTPUTS, {**inputs, "state": of_file})
        step["torch"] = max(step["torch"], difference(exact, ours, truth))
        step["file"] = max(step["file"], difference(exact, theirs, truth))
        alone["torch"] = max(alone["torch"], difference(exact, ours, alone_truth))
        alone["file"] = max(alone["file"], difference(exact, alone_theirs, alone_truth))
        of_torch, of_exact, of_file = ours[1], alone_truth[1], alone_theirs[1]
    assert step["torch"] < 1e-5  # else it says nothing about the file
    assert step["file"] <= 2 * step["torch"] + 1e-6
    assert alone["file"] <= 10 * alone["torch"] + 1e-5


def difference(policy, result, truth):
    """Largest error of the command in units of command_scale, and of the state's size."""
    command, state = (np.asarray(value, np.float64) for value in result)
    of_command = (command - truth[0].numpy()) / policy.command_scale.numpy()
    of_state = (state - truth[1].numpy()) / max(1.0, truth[1].abs().max().item())
    return max(np.abs(of_command).max(), np.abs(of_state).max())


# these are written by hand; the others go through torch's exporter, which takes seconds each
HAND_WRITTEN = ("cfc-closed", "cfc-default", "cfc_backbone")


@pytest.mark.parametrize(
    ("name", "wiring"),
    [
        case if case[0] in HAND_WRITTEN else pytest.param(*case, marks=pytest.mark.slow)
        for case in ALL
        if case not in (("ltc-fused", "ncp"), ("gru", "none"), ("mixed-closed", "ncp"))
    ]
    + [("ltc-fused", "ncp"), ("gru", "none"), ("mixed-closed", "ncp")],
)
def test_file_equals_torch_over_a_thousand_steps(name, wiring, tmp_path):
    policy = policy_around(make_cell(name, wiring, sensory=7))
    artifact = export(policy, tmp_path / "policy.onnx")
    # without a leak a state grows, and so does what rounding does to it
    steps = 50 if name in ("neural_ode", "ode_rnn") else 1000
    assert_same_over_steps(policy, artifact.session, steps=steps)


def test_observation_limit_is_in_the_graph(tmp_path):
    policy = policy_around(make_policy().cell, observation_limit=1.5)
    artifact = export(policy, tmp_path / "policy.onnx")
    assert_same_over_steps(policy, artifact.session, steps=100)
    far = torch.full((1, 7), 1e6)
    near = (policy.observation_offset + 1.5 * policy.observation_scale)[None]
    dt, state = torch.tensor([[PERIOD]]), policy.initial_state(1)
    torch.testing.assert_close(policy(far, dt, state), policy(near, dt, state))


@pytest.mark.parametrize("mode", ["default", "closed"])
def test_graph_is_small(mode):
    """A step of an NCP is a handful of matrix products; a grown graph is a slow one."""
    graph = onnx.load_from_string(policy_graph(make_policy(mode=mode))).graph
    assert len(graph.node) <= {"default": 30, "closed": 37}[mode]
    assert sum(node.op_type in ("Gemm", "MatMul") for node in graph.node) <= 7


def test_metadata_names_neurons_and_synapses(tmp_path):
    policy = make_policy()
    wiring = policy.cell.wiring
    metadata = load_artifact(export(policy, tmp_path / "policy.onnx").path).metadata
    motor = wiring.groups["motor"].start
    assert metadata.neuron_names[:motor] == list(wiring.neuron_names)[:motor]
    assert metadata.neuron_names[motor:] == list(RATES_THRUST.layout.component_names)
    assert metadata.state_names == metadata.neuron_names
    assert metadata.command_kind == "rates_thrust"
    count = len(metadata.wiring.synapses) + len(metadata.wiring.sensory_synapses)
    assert count == wiring.synapses
    for source, target, strength in metadata.wiring.synapses:
        assert wiring.adjacency[source, target] == np.sign(strength)  # of fixed polarity
    assert metadata.observation_layout == OBSERVATION
    assert metadata.training["cell"]["wiring"] == json.loads(json.dumps(wiring.config()))


@pytest.mark.parametrize(
    ("config", "last"),
    [
        ({"kind": "mixed_memory"}, "ang_vel.z.memory"),
        ({"kind": "readout", "output_size": 4}, "motor3"),  # it mixes the motor neurons
    ],
)
def test_motor_neurons_have_the_names_of_what_they_give(config, last, tmp_path, monkeypatch):
    cell = build_cell({**config, "cell": make_policy().cell.config()}, torch.Generator())
    graph = policy_graph(make_policy(mode="closed"))
    monkeypatch.setattr(export_module_, "policy_graph", lambda policy: graph)
    written = {}
    monkeypatch.setattr(
        export_module_, "write_artifact", lambda path, data, metadata: written.update(m=metadata)
    )
    export(policy_around(cell), tmp_path / "policy.onnx")
    assert written["m"].state_names[-1] == last


def test_a_command_of_another_kind_names_the_motor_neurons(tmp_path):
    wheels = CommandKind("wheels", Layout((Slot("wheels", 4, "rad/s", "none"),)), (0.0,) * 4)
    metadata = export(make_policy(), tmp_path / "policy.onnx", command=wheels).metadata
    assert metadata.command_kind == "wheels"
    assert metadata.neuron_names[-1] == "wheels.w"


def test_a_sequence_of_a_policy_is_its_steps():
    for mode in ("closed", "no_gate"):
        policy = policy_around(make_policy(mode=mode).cell, observation_limit=1.5)
        rng = torch.Generator().manual_seed(0)
        observation = 3.0 * torch.randn(33, 20, 7, generator=rng)
        dt = PERIOD * (0.5 + torch.rand(33, 20, 1, generator=rng))
        state, weights, expected = policy.initial_state(33), policy.weights(), []
        for k in range(20):
            command, state = policy.step(observation[:, k], dt[:, k], state, weights)
            expected.append(command)
        expected = torch.stack(expected, dim=1)
        slopes = torch.autograd.grad(expected.square().mean(), policy.parameters())
        for compiled in (True, False):
            command, last = policy.run_sequence(
                observation, dt, policy.initial_state(33), compiled=compiled
            )
            torch.testing.assert_close(command, expected, rtol=0, atol=3e-5)
            torch.testing.assert_close(last, state, rtol=0, atol=3e-6)
            ours = torch.autograd.grad(command.square().mean(), policy.parameters())
            for mine, theirs in zip(ours, slopes, strict=True):
                scale = 1.0 + theirs.abs().max().item()
                torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5 * scale)


def test_exporting_leaves_the_policy_as_it_was(tmp_path):
    policy = make_policy().double()
    before = {key: value.clone() for key, value in policy.state_dict().items()}
    export(policy, tmp_path / "policy.onnx")
    for key, value in policy.state_dict().items():
        assert value.dtype == before[key].dtype
        assert torch.equal(value, before[key])


def test_an_edited_weight_is_refused(tmp_path):
    path = export(make_policy(), tmp_path / "policy.onnx").path
    model = onnx.load(path)
    weight = next(c for c in model.graph.initializer if len(c.dims) == 2)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[np.nonzero(values)] += 0.05
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    path.write_bytes(seal(model.SerializeToString()))
    with pytest.raises(ConfigError, match="golden check failed"):
        load_artifact(path)


def test_scales_of_the_wrong_size_are_named():
    with pytest.raises(ValueError, match="observation_scale"):
        Policy(
            make_policy().cell,
            observation_offset=torch.zeros(7),
            observation_scale=torch.ones(6),
            command_offset=torch.zeros(4),
            command_scale=torch.ones(4),
        )


def test_command_stays_within_offset_and_scale():
    policy = make_policy()
    state, dt = policy.initial_state(64), torch.full((64, 1), PERIOD)
    for _ in range(20):
        observation = 1e3 * torch.randn(64, 7, generator=torch.Generator().manual_seed(0))
        command, state = policy(observation, dt, state)
    assert ((command - policy.command_offset).abs() <= policy.command_scale + 1e-5).all()
