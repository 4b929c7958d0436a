import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.nn.wiring import (
    auto_ncp,
    fully_connected,
    ncp,
    random_wiring,
    wiring_from_config,
)

MAKERS = [
    lambda seed: auto_ncp(sensory=20, units=32, motor=4, rng=seed),
    lambda seed: auto_ncp(sensory=3, units=60, motor=2, sparsity=0.9, rng=seed),
    lambda seed: fully_connected(sensory=5, units=8, motor=3, rng=seed),
    lambda seed: random_wiring(sensory=5, units=16, motor=3, sparsity=0.8, rng=seed),
]


@pytest.mark.parametrize("make", MAKERS)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_nobody_is_left_out(make, seed):
    wiring = make(seed)
    assert wiring.full_adjacency.any(axis=0).all(), "a neuron without a source"
    assert wiring.sensory_adjacency.any(axis=1).all(), "an input that nobody reads"
    inner = wiring.adjacency[: wiring.inter + wiring.command]
    assert inner.any(axis=1).all(), "an inter or command neuron that nobody reads"


@given(
    sensory=st.integers(1, 12),
    units=st.integers(6, 40),
    motor=st.integers(1, 3),
    sparsity=st.floats(0.0, 0.95),
    seed=st.integers(0, 999),
)
@settings(max_examples=50, deadline=None)
def test_ncp_connects_neighbouring_groups_only(sensory, units, motor, sparsity, seed):
    wiring = auto_ncp(sensory=sensory, units=units, motor=motor, sparsity=sparsity, rng=seed)
    group = wiring.groups
    inter, command, motors = (list(group[name]) for name in ("inter", "command", "motor"))
    assert len(command) == max(int(0.4 * (units - motor)), 1)
    assert not wiring.sensory_adjacency[:, command + motors].any()
    allowed = np.zeros_like(wiring.adjacency)
    allowed[np.ix_(inter, command)] = 1
    allowed[np.ix_(command, command + motors)] = 1
    assert not wiring.adjacency[allowed == 0].any()
    recurrent = np.count_nonzero(wiring.adjacency[np.ix_(command, command)])
    density = 1 - sparsity
    expected = min(max(int(2 * len(command) * density), 1), len(command) ** 2)
    assert recurrent == expected


def test_mean_fan_out_and_polarity_are_as_asked():
    wirings = [auto_ncp(sensory=20, units=64, motor=4, rng=seed) for seed in range(40)]
    fan_out = np.mean([np.count_nonzero(w.sensory_adjacency, axis=1).mean() for w in wirings])
    asked = int(wirings[0].inter * 0.5)
    assert fan_out == pytest.approx(asked, rel=0.03)
    signs = np.concatenate([w.full_adjacency[w.full_adjacency != 0] for w in wirings])
    assert abs(signs.mean()) < 0.02


@pytest.mark.parametrize("make", MAKERS)
def test_seed_decides_and_config_rebuilds(make):
    wiring = make(7)
    assert wiring == make(np.random.default_rng(7))
    assert wiring != make(8)
    assert wiring_from_config(wiring.config()) == wiring
    assert hash(wiring_from_config(wiring.config())) == hash(wiring)


def test_recipe_config_builds_the_same_wiring():
    config = {"kind": "auto_ncp", "sensory": 6, "units": 20, "motor": 2, "seed": 3}
    assert wiring_from_config(config) == auto_ncp(sensory=6, units=20, motor=2, rng=3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "star"}, "kind is 'star'"),
        ({"kind": "auto_ncp", "sensory": 6, "units": 5, "motor": 4, "seed": 0}, "units is 5"),
        ({"kind": "auto_ncp", "sensory": 6, "units": 20, "motor": 2}, "seed"),
        ({"kind": "auto_ncp", "sensory": 6, "units": 20, "motor": 2, "seed": 0, "x": 1}, "x"),
        (
            {"kind": "ncp", "sensory": 1, "inter": 1, "command": 0, "motor": 1,
             "synapses": [[0, -1, 1]]},
            "synapse",
        ),
    ],
)  # fmt: skip
def test_a_bad_config_names_the_value(config, message):
    with pytest.raises(ValueError, match=message):
        wiring_from_config(config)


def test_wiring_cannot_be_changed():
    wiring = MAKERS[0](0)
    with pytest.raises(ValueError, match="read-only"):
        wiring.adjacency[0, 0] = 1
    with pytest.raises(AttributeError):
        wiring.motor = 3


def test_out_of_range_fan_out_is_refused():
    sizes = dict(sensory=4, inter=3, command=2, motor=1, sensory_fanout=2, inter_fanout=3)
    with pytest.raises(ValueError, match="inter_fanout is 3"):
        ncp(**sizes, recurrent_command_synapses=1, motor_fanin=1, rng=0)


def test_graph_and_picture_show_every_synapse():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    wiring = MAKERS[0](1)
    graph = wiring.graph()
    assert graph.number_of_edges() == wiring.synapses
    assert graph.nodes["motor3"]["group"] == "motor"
    axes = wiring.draw()
    assert f"{wiring.synapses} synapses" in axes.get_title()
    matplotlib.pyplot.close(axes.figure)


def test_layers_read_whole_groups_and_every_source():
    wiring = auto_ncp(sensory=20, units=32, motor=4, rng=0)
    for own_state in (False, True):
        for layer in wiring.layers(own_state=own_state):
            sources = np.flatnonzero(wiring.full_adjacency[:, layer.start : layer.stop].any(axis=1))
            assert layer.source_start <= sources[0] <= sources[-1] < layer.source_stop
