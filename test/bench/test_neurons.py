"""What is lost without a neuron or a synapse of the policy file that flies."""

import json

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("pybullet")

from liquid_control.bench.neurons import command
from liquid_control.bench.neurons.activity import Activity, activity, components, time_constants
from liquid_control.bench.neurons.benchmark import study_neurons
from liquid_control.bench.neurons.lesions import Circuit
from liquid_control.bench.neurons.report import lost, worst_first
from liquid_control.bench.neurons.sizes import NeuronSizes
from liquid_control.config import ConfigError, share_dir
from liquid_control.runtime.artifact import load_artifact, write_artifact
from liquid_control.runtime.policy import load_policy
from liquid_control.sim.flight import prepare
from liquid_control.structs import ImageSample

POLICIES = share_dir() / "config/policies"
SIZES = {
    "policy": "lane_liquid", "world": "lane_keeping", "first_seed": 7000, "duration": 5.0,
    "flights": 2, "synapse_flights": 2, "turn": 0.05, "components": 3,
}  # fmt: skip


@pytest.fixture(scope="module", params=["lane_liquid", "hover_19"])
def circuit(request):
    return Circuit(POLICIES / f"{request.param}.onnx")


def stepped(policy, steps=40, seed=0):
    """Neurons and commands (steps, ...) for observations drawn ahead, at an uneven dt."""
    rng = np.random.default_rng(seed)
    size = policy.observation_layout.size
    neurons, commands = [], []
    policy.reset()
    for _ in range(steps):
        if policy.sees:
            policy.look(ImageSample(0, rng.integers(0, 256, (32, 64, 3), np.uint8)))
        commands.append(policy.step(rng.normal(0, 0.3, size), float(rng.uniform(0.01, 0.03))))
        neurons.append(policy.neurons)
    return np.array(neurons), np.array(commands)


def test_whole_it_computes_what_the_file_does(circuit):
    neurons, commands = stepped(circuit.whole())
    expected, same = stepped(load_policy(circuit.path))
    np.testing.assert_allclose(neurons[:, : len(circuit.neurons)], expected, atol=1e-6)
    np.testing.assert_allclose(commands, same, atol=1e-5)


def test_the_rates_are_those_of_the_closed_form(circuit):
    """Held inputs, two steps of the same target: what is left of the distance is exp(-k dt)."""
    whole = circuit.whole()
    size, count, dt = whole.observation_layout.size, len(circuit.neurons), 0.002
    first = circuit.metadata.wiring.layers["inter"]  # they read inputs alone: target and rate stay
    states = []
    for _ in range(3):
        whole.step(np.full(size, 0.1), dt)
        states.append(whole.neurons.copy())
    rates = -np.array(states)[:, count:]
    assert (rates > 0).all()
    a, b, c = np.array(states)[:, first]
    known = np.abs(b - a) > 1e-3
    assert known.any()
    left = (c - b)[known] / (b - a)[known]
    np.testing.assert_allclose(left, np.exp(-rates[0, first][known] * dt), atol=2e-3)


def test_a_neuron_is_held_and_changes_those_behind_it(circuit):
    expected, _ = stepped(load_policy(circuit.path))
    for name in (circuit.neurons[0], circuit.neurons[-1]):
        index = circuit.neurons.index(name)
        neurons, commands = stepped(circuit.without_neuron(name))
        assert not neurons[:, index].any()
        assert np.abs(expected[:, index]).max() > 0
        held, _ = stepped(circuit.without_neuron(name, 0.25))
        np.testing.assert_array_equal(held[:, index], 0.25)
    # the last is a motor: its component of the command is neutral
    assert np.ptp(commands[:, -1]) == 0
    assert np.ptp(commands[:, 0]) > 0


def test_a_removed_synapse_no_longer_acts(circuit):
    """The neuron that it led to does not hear its source, and hears all others as before."""
    name, (source, target) = next(iter(circuit.synapses.items()))
    policy = circuit.without_synapse(name)
    size = policy.observation_layout.size

    def answer(policy, row):
        policy.reset()
        inputs = np.zeros(size)
        if row is not None:
            inputs[row] = 0.7
        policy.step(inputs, 0.01)
        return policy.neurons[target]

    assert answer(policy, source) == answer(policy, None)
    whole = load_policy(circuit.path)
    assert answer(whole, source) != answer(whole, None)
    others = [i for i, j in circuit.synapses.values() if j == target and i < size and i != source]
    np.testing.assert_allclose(answer(policy, others[0]), answer(whole, others[0]), atol=1e-6)


def test_another_cell_is_refused_by_name(tmp_path):
    path = POLICIES / "hover_19.onnx"
    metadata = load_artifact(path).metadata
    other = {"training": {"cell": {"kind": "cfc", "mode": "default"}}, "network": "cfc_ncp"}
    graph, path = path.read_bytes(), tmp_path / "other.onnx"
    write_artifact(path, graph, metadata.model_copy(update=other))
    with pytest.raises(ConfigError, match=r"other.onnx: cfc_ncp: expected a closed-form cell"):
        Circuit(path)


def test_components_of_a_known_plane():
    """Two hidden signals in ten neurons: two components, the first along the yaw rate."""
    rng = np.random.default_rng(4)
    yaw_rate = rng.normal(0, 0.2, 4000)
    hidden = np.stack([yaw_rate, 0.3 * rng.normal(0, 0.2, 4000)])
    mixing, _ = np.linalg.qr(rng.normal(size=(10, 2)))
    states = (mixing @ hidden).T + 0.5
    seen = Activity(states, np.full((4000, 10), 20.0), yaw_rate, np.zeros(4000, int))
    found = components(seen)
    assert found.needed(0.99) == 2
    assert found.share[0] == pytest.approx(1 / 1.09, abs=0.02)
    assert found.with_yaw_rate[0] > 0.99
    np.testing.assert_allclose(found.share.sum(), 1.0)
    taus = time_constants(seen)
    np.testing.assert_allclose(taus["straight"], 0.05)
    assert np.isnan(taus["left"]).all()


def test_manoeuvres_follow_the_true_yaw_rate():
    circuit = Circuit(POLICIES / "lane_liquid.onnx")
    flight = prepare("lane_keeping", circuit.whole())
    with flight.world(7003) as world:
        log = flight.fly(world, duration=6.0)
    seen = activity([log], turn=0.05, after=3.0)
    rates = log.truth.ang_vel_body[log.time > 3.0, 2]
    np.testing.assert_array_equal(seen.manoeuvre == 1, rates >= 0.05)
    np.testing.assert_array_equal(seen.manoeuvre == 2, rates <= -0.05)
    assert seen.states.shape == seen.rates.shape == (len(rates), 19)
    assert (seen.rates > 0).all()


def test_what_is_lost_is_a_difference_in_pairs():
    def flights(*deviations, speed=8.0):
        return [{"departed": d is None, "deviation": d, "speed": None if d is None else speed}
                for d in deviations]  # fmt: skip

    whole = flights(0.10, 0.20, 0.30)
    worse = lost("neuron", "a", flights(0.15, 0.25, 0.36), whole)
    assert worse.more.mean == pytest.approx(0.16 / 3)
    assert worse.clear
    gone = lost("neuron", "b", flights(None, 0.21, None), whole)
    assert gone.departed == 2
    assert gone.more.mean is None
    stands = lost("neuron", "c", flights(0.0, 0.0, 0.0, speed=0.1), whole)
    assert stands.slow
    same = lost("neuron", "d", whole, whole)
    assert not same.clear
    assert [x.name for x in worst_first([same, worse, stands, gone])] == ["b", "c", "a", "d"]


def test_it_goes_on_where_it_was(tmp_path):
    world = tmp_path / "soon.yaml"
    changes = "obstacles: [{shape: road, length: 60.0}]\nsuccess: {settle_time: 0.4}\n"
    world.write_text(f"extends: lane_keeping\n{changes}")
    sizes = NeuronSizes(**{**SIZES, "world": str(world), "duration": 0.7})
    first, second = [], []
    result = study_neurons(sizes, tmp_path, synapses=False, report=first.append)
    lines = (tmp_path / "flights.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 2 * 19  # each neuron held at 0 and at its mean
    assert len({json.loads(line)["key"] for line in lines}) == len(lines)
    (tmp_path / "flights.jsonl").write_text("\n".join(lines[:-1]) + '\n{"key": "cut o')
    again = study_neurons(sizes, tmp_path, synapses=False, report=second.append)
    assert again == result
    assert len(result["lesions"]) == 2 * 19
    assert "| inter0 |" in result["markdown"]
    assert (tmp_path / "neurons.png").stat().st_size > 10_000
    assert (tmp_path / "neurons.md").read_text() == result["markdown"]


def test_the_command_takes_a_policy_of_ones_own(parse):
    options = parse(command, "--policy", "hover_19", "--world", "hover_gusts", "--quick")
    assert (options.policy, options.world, options.quick) == ("hover_19", "hover_gusts", True)
    assert "neurons --policy hover_19 --world hover_gusts --quick`" in command.about(options)
