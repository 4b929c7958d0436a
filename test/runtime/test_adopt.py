"""Any ONNX step becomes a checked policy; what does not fit is one clear error."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from liquid_control.config import ConfigError
from liquid_control.runtime.adopt import adopt_step
from liquid_control.runtime.policy import load_policy
from liquid_control.structs import RATES_THRUST, CommandKind, Layout, Slot

OBSERVATION = Layout((Slot("pos_error", 3, "m", "world"), Slot("vel_error", 3, "m/s", "world")))
ARGUMENTS = {
    "observation": OBSERVATION,
    "command": RATES_THRUST,
    "control_period": 0.01,
    "vehicle": "crazyflie",
}
LIFT = CommandKind("lift", Layout((Slot("thrust", 1, "m/s^2", "body"),)), (0.0,), ("linear.z",))
WEIGHT = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def tensor(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def save(path, nodes, inputs, outputs, *constants):
    stored = [numpy_helper.from_array(value, name) for name, value in constants]
    graph = helper.make_graph(nodes, "theirs", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture
def product(tmp_path):
    """action = obs @ w, without time or state, and with a policy's names for something else."""
    return save(
        tmp_path / "theirs.onnx",
        [helper.make_node("MatMul", ["obs", "state"], ["dt"]),
         helper.make_node("Tanh", ["dt"], ["action"])],
        [tensor("obs", "N", 6)],
        [tensor("action", "N", 4)],
        ("state", WEIGHT),
    )  # fmt: skip


@pytest.fixture
def integrator(tmp_path):
    """h <- h + obs*dt, u = h @ w"""
    return save(
        tmp_path / "theirs.onnx",
        [helper.make_node("Mul", ["obs", "dt"], ["change"]),
         helper.make_node("Add", ["h", "change"], ["h_next"]),
         helper.make_node("MatMul", ["h_next", "w"], ["u"])],
        [tensor("h", "N", 6), tensor("obs", "N", 6), tensor("dt", "N", 1)],
        [tensor("u", "N", 4), tensor("h_next", "N", 6)],
        ("w", WEIGHT),
    )  # fmt: skip


NAMES = {"observation": "obs", "state": "h", "command": "u", "next_state": "h_next"}


def test_a_step_without_state_flies(product, tmp_path):
    artifact = adopt_step(product, tmp_path / "policy.onnx", **ARGUMENTS, network="linear")
    assert artifact.metadata.command_kind == "rates_thrust"
    assert artifact.metadata.weights == WEIGHT.size
    assert len(artifact.metadata.golden.dt) == 8
    policy = load_policy(tmp_path / "policy.onnx")
    assert policy.neurons.shape == (0,)
    for observation in np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32):
        command = policy.step(observation, 0.01)
        np.testing.assert_allclose(command, np.tanh(observation @ WEIGHT), atol=1e-6)


def test_a_step_with_state_and_names_of_its_own_flies(integrator, tmp_path):
    adopt_step(integrator, tmp_path / "policy.onnx", **ARGUMENTS, names=NAMES)
    policy, h = load_policy(tmp_path / "policy.onnx"), np.zeros(6)
    rng = np.random.default_rng(1)
    for observation in rng.normal(size=(50, 6)):
        dt = rng.uniform(0.005, 0.02)
        h = h + observation * dt
        np.testing.assert_allclose(policy.step(observation, dt), h @ WEIGHT, atol=1e-5)
        np.testing.assert_allclose(policy.neurons, h, atol=1e-6)
    assert policy.metadata.neuron_names == [f"state{k}" for k in range(6)]


def test_adopting_twice_is_the_same_file(integrator, tmp_path):
    paths = [tmp_path / name for name in ("a.onnx", "b.onnx")]
    for path in paths:
        adopt_step(integrator, path, **ARGUMENTS, names=NAMES)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_adopted_policy_can_be_adopted(product, tmp_path):
    first = adopt_step(product, tmp_path / "a.onnx", **ARGUMENTS)
    again = adopt_step(first.path, tmp_path / "b.onnx", **ARGUMENTS)
    assert again.metadata.golden == first.metadata.golden


def test_no_torch_is_needed(product, tmp_path):
    work = f"""
import sys
sys.modules["torch"] = None
from liquid_control.runtime.adopt import adopt_step
from liquid_control.structs import RATES_THRUST, Layout, Slot
adopt_step({str(product)!r}, {str(tmp_path / "policy.onnx")!r}, command=RATES_THRUST,
    observation=Layout((Slot("pos_error", 6, "m", "world"),)), control_period=0.01, vehicle="x")
"""
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"names": {}}, r"inputs are \['h', 'obs', 'dt'\], expected of .*say which is which"),
        ({"names": {**NAMES, "obs": "x"}}, r"names has \['obs'\]"),
        ({"names": {**NAMES, "command": "thrust"}}, r"outputs are \['u', 'h_next'\]"),
        ({"names": {**NAMES, "dt": "time"}}, r"inputs are .*'dt'"),
        ({"observation": Layout((Slot("up", 3, "1", "body"),))}, r"observation \(obs\) has shape"),
        ({"command": LIFT}, r"command \(u\) has shape .*expected \(B, 1\)"),
        ({"control_period": 0.0}, "control_period"),
    ],
)
def test_what_does_not_fit_is_named(integrator, tmp_path, changes, reason):
    target = tmp_path / "new" / "policy.onnx"
    with pytest.raises(ConfigError, match=rf"theirs.onnx: .*{reason}"):
        adopt_step(integrator, target, **{**ARGUMENTS, "names": NAMES, **changes})
    assert not target.exists()


@pytest.mark.parametrize(
    ("inputs", "outputs", "nodes", "reason"),
    [
        ([tensor("x", "N", 6, kind=TensorProto.DOUBLE)], [tensor("y", "N", 4)], [], "not float32"),
        ([tensor("x", 6)], [tensor("y", "N", 4)], [], r"has shape \[6\], expected \(B, 6\)"),
        ([tensor("x", 8, 6)], [tensor("y", 8, 4)], [], r"has shape \[8, 6\]"),
        ([tensor("x", "N", 6)], [tensor("y", 1, "N", 4)], [], r"command \(y\) has shape \[1, "),
        ([tensor("x", "N", 6), tensor("state", "N", 2)], [tensor("y", "N", 4)], [], "inputs are"),
        (
            [tensor("observation", "N", 6), tensor("state", "N", 2)], [tensor("command", "N", 4)],
            [], "belong together",
        ),
        (
            [tensor("x", "N", 6)], [tensor("y", "N", 4)],
            [helper.make_node("Mystery", ["x"], ["y"])], "graph check failed",
        ),
        (
            [tensor("x", "N", 6)], [tensor("y", "N", 4)],
            [helper.make_node("MatMul", ["x", "w"], ["z"]),
             helper.make_node("Div", ["z", "zero"], ["y"])], "expected finite",
        ),
    ],
)  # fmt: skip
def test_a_graph_that_is_no_step_is_refused(tmp_path, inputs, outputs, nodes, reason):
    constants = ("w", WEIGHT), ("zero", np.zeros(1, np.float32))
    path = save(tmp_path / "theirs.onnx", nodes, inputs, outputs, *constants)
    with pytest.raises(ConfigError, match=rf"theirs.onnx: .*{reason}"):
        adopt_step(path, tmp_path / "policy.onnx", **ARGUMENTS)
    assert not (tmp_path / "policy.onnx").exists()


def test_what_is_no_onnx_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"theirs\.onnx: no such file"):
        adopt_step(tmp_path / "theirs.onnx", tmp_path / "policy.onnx", **ARGUMENTS)
    (tmp_path / "theirs.onnx").write_bytes(b"surely not")
    with pytest.raises(ConfigError, match=r"theirs\.onnx: not an ONNX file"):
        adopt_step(tmp_path / "theirs.onnx", tmp_path / "policy.onnx", **ARGUMENTS)
