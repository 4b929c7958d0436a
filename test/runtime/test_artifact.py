"""`policy.onnx`: a good one loads and steps; every kind of damage is refused by name."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch

from liquid_control.config import ConfigError, share_dir
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.wiring import auto_ncp
from liquid_control.nn.export import export_policy
from liquid_control.nn.policy import Policy
from liquid_control.runtime.artifact import (
    METADATA_KEY,
    SCHEMA_VERSION,
    load_artifact,
    seal,
    upgrade_artifact,
    write_artifact,
)
from liquid_control.runtime.policy import OnnxPolicy, load_policy
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.quadrotor.rules import observer

LAYOUT = observer(("pos_error", "vel_error", "up")).layout


@pytest.fixture(scope="module")
def torch_policy():
    wiring = auto_ncp(sensory=LAYOUT.size, units=16, motor=4, rng=0)
    cell = CfC(wiring, nominal_dt=0.01, rng=torch.Generator().manual_seed(0))
    return Policy(
        cell,
        observation_offset=torch.linspace(-1, 1, LAYOUT.size),
        observation_scale=torch.ones(LAYOUT.size),
        command_offset=torch.tensor([9.8, 0, 0, 0]),
        command_scale=torch.tensor([5.0, 8, 8, 4]),
    )


@pytest.fixture
def path(tmp_path, torch_policy):
    export_policy(
        torch_policy,
        tmp_path / "policy.onnx",
        observation=LAYOUT,
        command=RATES_THRUST,
        control_period=0.01,
        network="cfc_closed_auto_ncp",
        vehicle="crazyflie",
        training={"updates": 0},
        rng=np.random.default_rng(0),
    )
    return tmp_path / "policy.onnx"


def edit(path, change):
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())


def test_the_runtime_computes_what_torch_computes(path, torch_policy):
    policy = OnnxPolicy(load_artifact(path))
    rng = np.random.default_rng(1)
    state = torch_policy.initial_state(1)
    for _ in range(1000):
        observation = rng.normal(size=LAYOUT.size)
        dt = rng.uniform(0.002, 0.05)
        with torch.no_grad():
            expected, state = torch_policy(
                torch.tensor(observation[None], dtype=torch.float32),
                torch.tensor([[dt]], dtype=torch.float32),
                state,
            )
        command = policy.step(observation, dt)
        np.testing.assert_allclose(command, expected[0], atol=2e-5)
        np.testing.assert_allclose(policy.state, state[0], atol=2e-6)
    assert len(policy.neurons) == 16
    policy.reset()
    assert not policy.state.any()


def test_warming_up_changes_nothing(path):
    policy, other = load_policy(path), load_policy(path)
    for observation in np.random.default_rng(3).normal(size=(20, LAYOUT.size)):
        policy.warm_up()
        np.testing.assert_array_equal(policy.step(observation, 0.01), other.step(observation, 0.01))
        np.testing.assert_array_equal(policy.state, other.state)


def test_reset_gives_the_same_flight_again(path):
    policy = load_policy(path)
    observations = np.random.default_rng(2).normal(size=(20, LAYOUT.size))
    first = [policy.step(o, 0.01).copy() for o in observations]
    policy.reset()
    np.testing.assert_array_equal(first, [policy.step(o, 0.01) for o in observations])


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ConfigError, match=r"policy.onnx: \w+ check failed"):
        load_artifact(path)


def test_every_edited_weight_is_refused(path):
    """By the golden pairs alone: the digest is mended."""
    initializers = len(onnx.load(path).graph.initializer)
    assert initializers > 3
    data = path.read_bytes()
    refused = 0
    for index in range(initializers):

        def scale(model, index=index):
            tensor = model.graph.initializer[index]
            values = onnx.numpy_helper.to_array(tensor)
            if values.dtype == np.float32:
                values = values * np.float32(1.2) + np.float32(0.05)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

        edit(path, scale)
        if path.read_bytes() != data:
            path.write_bytes(seal(path.read_bytes()))
            refused += 1
            with pytest.raises(ConfigError, match="golden check failed"):
                load_artifact(path)
        path.write_bytes(data)
    assert refused > 3


def test_edited_metadata_is_refused(path):
    def change(model):
        entry = next(p for p in model.metadata_props if p.key == METADATA_KEY)
        entry.value = entry.value.replace("crazyflie", "hummingbird")

    edit(path, change)
    with pytest.raises(ConfigError, match="digest check failed"):
        load_artifact(path)


def test_a_foreign_onnx_file_is_refused(path):
    edit(path, lambda model: model.ClearField("metadata_props"))
    with pytest.raises(ConfigError, match="digest check failed: no policy"):
        load_artifact(path)


def test_every_flipped_bit_is_refused(path):
    data = path.read_bytes()
    rng = np.random.default_rng(4)
    for bit in rng.choice(8 * len(data), 400, replace=False):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        with pytest.raises(ConfigError, match="digest check failed"):
            load_artifact(path)


def test_text_that_is_not_utf8_is_refused(path):
    """With a digest that is right: onnxruntime itself raises at the metadata."""
    data = path.read_bytes()
    start = data.index(b"crazyflie")
    path.write_bytes(seal(data[:start] + b"\xff" + data[start + 1 :]))
    with pytest.raises(ConfigError, match="check failed"):
        load_artifact(path)


def rewrite(path, change):
    """Change the metadata and mend the digest, as a hostile or clumsy tool would."""
    model = onnx.load(path)
    entry = next(p for p in model.metadata_props if p.key == METADATA_KEY)
    metadata = json.loads(entry.value)
    change(metadata)
    entry.value = json.dumps(metadata)
    path.write_bytes(seal(model.SerializeToString()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["observation"].pop(), r"observation has shape .*expected \(B, 6\)"),
        (lambda m: m["state_names"].pop(), r"state has shape .*expected \(B, 15\)"),
        (lambda m: m.update(schema_version=99), "version 99"),
        (lambda m: m.pop("schema_version"), "no schema_version"),
        (lambda m: m.pop("command_kind"), "command_kind"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m.pop("golden"), "golden"),
        (lambda m: m["golden"].update(dt=[]), "golden check failed"),
        (lambda m: m["golden"]["command"][0].append(0.0), "golden check failed"),
        (lambda m: m["golden"]["observation"][0].pop(), "golden check failed"),
    ],
)
def test_metadata_that_does_not_fit_the_graph_is_refused(path, change, reason):
    rewrite(path, change)
    with pytest.raises(ConfigError, match=reason):
        load_artifact(path)


def to_schema_2(metadata):
    metadata["schema_version"] = 2
    for key in ("sensory_synapses", "synapses"):
        metadata["wiring"][key] = [[s, t, 1] for s, t, _ in metadata["wiring"][key]]
    del metadata["command_kind"]
    for key in ("state_names", "neuron_names"):
        first = metadata[key].index("thrust")
        metadata[key][first:] = [f"motor{k}" for k in range(4)]


@pytest.mark.parametrize("name", ["hover_19", "hover_any", "hover_liquid", "hover_state"])
def test_the_policies_that_are_shipped_load_in_the_schema_before_too(name, tmp_path):
    shipped = share_dir() / f"config/policies/{name}.onnx"
    today = load_artifact(shipped).metadata
    assert today.schema_version == SCHEMA_VERSION
    assert today.command_kind == "rates_thrust"
    motors = [today.neuron_names[k] for k in today.wiring.layers["motor"]]
    assert motors == ["thrust", "ang_vel.x", "ang_vel.y", "ang_vel.z"]
    old = tmp_path / "old.onnx"
    shutil.copy(shipped, old)
    rewrite(old, to_schema_2)
    assert b'"motor0"' in old.read_bytes()
    unknown = today.wiring.with_strengths(None)  # its signs were drawn before training
    assert load_artifact(old).metadata == today.model_copy(update={"wiring": unknown})
    graph = onnx.load(old).graph
    assert upgrade_artifact(old).metadata == today
    assert b'"motor0"' not in old.read_bytes()
    assert onnx.load(old).graph == graph == onnx.load(shipped).graph


def test_an_older_policy_of_another_command_is_refused(path):
    def change(metadata):
        to_schema_2(metadata)
        metadata["command"][0]["name"] = "lift"

    rewrite(path, change)
    with pytest.raises(ConfigError, match=r"\['lift', 'ang_vel'\] are of no known kind of command"):
        load_artifact(path)


def test_nothing_is_written_when_a_check_fails(path, tmp_path):
    artifact = load_artifact(path)
    metadata = artifact.metadata.model_copy(
        update={"golden": artifact.metadata.golden.model_copy(update={"dt": [0.5] * 8})}
    )
    target = tmp_path / "new" / "policy.onnx"
    with pytest.raises(ConfigError, match="golden check failed"):
        write_artifact(target, path.read_bytes(), metadata)
    assert not list(target.parent.iterdir())


def test_a_missing_or_misnamed_policy_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file: nobody"):
        load_policy("nobody")
    (tmp_path / "policy.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"\.onnx"):
        load_policy(tmp_path / "policy.txt")
