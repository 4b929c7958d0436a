import copy
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liquid_control.nn.cells.wiring import (
    Wiring,
    _connect,
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
    lambda seed: ncp(**NCP, rng=seed),
]
NCP = dict(sensory=8, inter=7, command=5, motor=3, sensory_fanout=1, inter_fanout=1.5,
           recurrent_command_synapses=4, motor_fanin=1)  # fmt: skip
SMALL = {"kind": "ncp", "sensory": 1, "inter": 1, "command": 0, "motor": 1}
AUTO = {"kind": "auto_ncp", "sensory": 6, "units": 20, "motor": 2, "seed": 0}


@pytest.mark.parametrize("make", MAKERS)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_nobody_is_left_out(make, seed):
    wiring = make(seed)
    assert wiring.full_adjacency.any(axis=0).all(), "a neuron without a source"
    assert wiring.sensory_adjacency.any(axis=1).all(), "an input that nobody reads"
    inner = wiring.adjacency[: wiring.inter + wiring.command]
    assert inner.any(axis=1).all(), "an inter or command neuron that nobody reads"


def leading_to_motors(wiring):
    """Names of the inputs and neurons from which a path of synapses leads to a motor neuron."""
    networkx = pytest.importorskip("networkx")
    graph = wiring.graph()
    motors = [f"motor{k}" for k in range(wiring.motor)]
    return set(motors).union(*(networkx.ancestors(graph, motor) for motor in motors))


@pytest.mark.parametrize(
    "draw",
    [
        lambda sparsity, seed: auto_ncp(sensory=5, units=16, motor=3, sparsity=sparsity, rng=seed),
        lambda sparsity, seed: random_wiring(
            sensory=5, units=16, motor=3, sparsity=sparsity, rng=seed
        ),
        lambda sparsity, seed: ncp(**NCP, rng=seed),
    ],
    ids=["auto_ncp", "random", "ncp"],
)
@given(sparsity=st.floats(0.0, 0.99), seed=st.integers(0, 2**31))
@example(sparsity=0.9, seed=3)
@settings(max_examples=40, deadline=None)
def test_everyone_leads_to_a_motor_neuron(draw, sparsity, seed):
    wiring = draw(sparsity, seed)
    assert len(leading_to_motors(wiring)) == wiring.sensory + wiring.units


def test_only_a_neuron_that_leads_nowhere_gets_a_new_synapse():
    repaired, fanout = 0, (1.0 - 0.9) * 16
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sensory, drawn = _connect(rng, 5, 16, fanout), _connect(rng, 16, 16, fanout)
        before = Wiring("random", 5, 13, 0, 3, sensory, drawn)
        after = random_wiring(sensory=5, units=16, motor=3, sparsity=0.9, rng=seed)
        lost = [name not in leading_to_motors(before) for name in before.neuron_names]
        repaired += any(lost)
        added = after.adjacency != before.adjacency
        assert after.sensory_adjacency.tolist() == before.sensory_adjacency.tolist()
        assert not added[~np.array(lost)].any()
        assert not before.adjacency[added].any()
        assert any(lost) == added.any()
    assert 5 < repaired < 55, "the seeds show both cases"


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
        ({"kind": "star"}, "wiring kind is 'star', expected one of"),
        (AUTO | {"units": 4, "motor": 4}, "units is 4, expected a whole number of at least 7"),
        (AUTO | {"units": 20.0}, "units is 20.0, expected a whole number"),
        (AUTO | {"units": "20"}, "units is '20', expected a whole number"),
        (AUTO | {"sensory": 0}, "sensory is 0, expected a whole number of at least 1"),
        (AUTO | {"motor": 0}, "motor is 0, expected a whole number of at least 1"),
        (AUTO | {"motor": -1}, "motor is -1, expected a whole number of at least 1"),
        (AUTO | {"motor": "2"}, "motor is '2', expected a whole number"),
        (AUTO | {"sparsity": 1}, "sparsity is 1, expected 0 <= sparsity < 1"),
        (AUTO | {"sparsity": "0.5"}, "sparsity is '0.5', expected 0 <= sparsity < 1"),
        (AUTO | {"seed": None}, "seed is None, expected a whole number of at least 0"),
        (AUTO | {"x": 1}, "wiring 'auto_ncp': .* unexpected keyword argument 'x'"),
        (
            {"kind": "auto_ncp", "sensory": 6, "motor": 2, "seed": 0},
            "wiring 'auto_ncp': .* 'units'",
        ),
        ({"kind": "auto_ncp", "sensory": 6, "units": 20, "motor": 2}, "seed is None, expected"),
        (AUTO | {"kind": "random", "sparsity": 0.5, "motor": 21}, "motor is 21, .* from 1 to 20"),
        (AUTO | {"kind": "random", "sparsity": 0.5, "sensory": 1.5}, "sensory is 1.5, expected"),
        (AUTO | {"kind": "fully_connected", "units": 0}, "units is 0, expected a whole number"),
        ({"kind": "ncp", "seed": 0} | NCP | {"inter": 0}, "inter is 0, expected a whole number"),
        (
            {"kind": "ncp", "seed": 0} | NCP | {"command": 0},
            "command is 0, expected a whole number",
        ),
        ({"kind": "ncp", "seed": 0} | NCP | {"motor": 0}, "motor is 0, expected a whole number"),
        (
            {"kind": "ncp", "seed": 0} | NCP | {"inter_fanout": "2"},
            "inter_fanout is '2', expected a number from 1 to 5",
        ),
        (
            {"kind": "ncp", "seed": 0} | NCP | {"recurrent_command_synapses": 26},
            "recurrent_command_synapses is 26, expected a whole number from 0 to 25",
        ),
        (SMALL | {"synapses": [[0, -1, 1]]}, r"synapse \[0, -1, 1\], .* target below 2"),
        (SMALL | {"synapses": [[3, 0, 1]]}, r"synapse \[3, 0, 1\], expected \[source below 3"),
        (SMALL | {"synapses": [[0, 0, 0]]}, r"synapse \[0, 0, 0\], .* sign -1 or 1"),
        (SMALL | {"synapses": [[0, 0, 0.5]]}, r"synapse \[0, 0, 0.5\], .* sign -1 or 1"),
        (SMALL | {"synapses": [[0, 0, 300]]}, r"synapse \[0, 0, 300\], .* sign -1 or 1"),
        (SMALL | {"synapses": [[0, 0.5, 1]]}, r"synapse \[0, 0.5, 1\], expected"),
        (SMALL | {"synapses": [[0, 0]]}, r"synapse \[0, 0\], expected"),
        (SMALL | {"synapses": [[0, 0, 1], [0, 0, -1]]}, r"synapse \[0, 0, -1\], expected once"),
        (SMALL | {"synapses": [], "inter": 1.0}, "inter is 1.0, expected a whole number"),
        ({"kind": "ncp", "sensory": 1, "command": 0, "motor": 1, "synapses": []}, "'inter'"),
        (SMALL | {"synapses": [], "x": 1}, "wiring 'ncp': .* unexpected keyword argument 'x'"),
    ],
)
def test_a_bad_config_names_the_value_and_what_was_expected(config, message):
    with pytest.raises(ValueError, match=message):
        wiring_from_config(config)


@pytest.mark.parametrize("size", ["sensory", "inter", "command", "motor"])
def test_no_group_has_a_negative_size(size):
    sizes = {"sensory": 1, "inter": 1, "command": 1, "motor": 1} | {size: -1}
    with pytest.raises(ValueError, match=f"{size} is -1, expected a whole number of at least"):
        Wiring("ncp", *sizes.values(), np.zeros((1, 3)), np.zeros((3, 3)))


@pytest.mark.parametrize("sign", [0.5, 300, 2])
def test_a_sign_is_one_of_three(sign):
    with pytest.raises(ValueError, match="adjacency may hold only -1, 0 and"):
        Wiring("random", 1, 0, 0, 1, [[1]], [[sign]])


def pickled(wiring):
    return pickle.loads(pickle.dumps(wiring))


@pytest.mark.parametrize("copied", [lambda wiring: wiring, copy.copy, copy.deepcopy, pickled])
def test_wiring_cannot_be_changed(copied):
    wiring = copied(MAKERS[0](0))
    assert wiring == MAKERS[0](0)
    for matrix in (wiring.sensory_adjacency, wiring.adjacency):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1
    with pytest.raises(AttributeError):
        wiring.motor = 3


def test_it_prints_as_its_summary():
    wiring = MAKERS[0](0)
    assert str(wiring) == wiring.summary()
    assert "20 sensory" in str(wiring)


def test_out_of_range_fan_out_is_refused():
    sizes = dict(sensory=4, inter=3, command=2, motor=1, sensory_fanout=2, inter_fanout=3)
    with pytest.raises(ValueError, match="inter_fanout is 3"):
        ncp(**sizes, recurrent_command_synapses=1, motor_fanin=1, rng=0)


def test_the_graph_has_every_synapse():
    pytest.importorskip("networkx")
    wiring = MAKERS[0](1)
    graph = wiring.graph()
    assert graph.number_of_edges() == wiring.synapses
    assert graph.nodes["motor3"]["group"] == "motor"
    signs = [sign for *_, sign in graph.edges(data="sign")]
    assert signs.count(-1) == np.count_nonzero(wiring.full_adjacency < 0)


@pytest.fixture
def draw():
    """Function that draws a wiring and returns the axes, laid out."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")

    def drawn(wiring):
        axes = wiring.draw()
        axes.figure.canvas.draw()
        return axes

    yield drawn
    matplotlib.pyplot.close("all")


def test_in_the_picture_blue_excites_and_red_inhibits(draw):
    from matplotlib.colors import same_color

    wiring = MAKERS[0](1)
    axes = draw(wiring)
    assert len(axes.patches) == wiring.synapses
    for arrow, (_, _, sign) in zip(axes.patches, wiring.config()["synapses"]):
        color = arrow.get_edgecolor()[:3]
        assert same_color(color, "tab:blue" if sign > 0 else "tab:red")
    legend = axes.get_legend()
    lines = {
        text.get_text(): line.get_color()
        for text, line in zip(legend.get_texts(), legend.get_lines())
    }
    excitatory = np.count_nonzero(wiring.full_adjacency > 0)
    inhibitory = wiring.synapses - excitatory
    assert lines == {
        f"{excitatory} excitatory": "tab:blue",
        f"{inhibitory} inhibitory": "tab:red",
    }


def test_in_the_picture_only_synapses_to_the_next_column_are_straight(draw):
    wiring = MAKERS[2](0)  # sensory, inter and motor neurons, each fed by all
    column = [0] * wiring.sensory + [1] * wiring.inter + [2] * wiring.motor
    for arrow, (source, target, _) in zip(draw(wiring).patches, wiring.config()["synapses"]):
        step = column[wiring.sensory + target] - column[source]
        start, middle, end = arrow.get_path().vertices[:3]
        bend = np.linalg.det([middle - start, end - start])
        assert (abs(bend) < 1e-6) == (step == 1), (source, target)


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (MAKERS[0], ["sensory\n20", "inter\n17", "command\n11", "motor\n4"]),
        (MAKERS[2], ["sensory\n5", "inter\n5", "motor\n3"]),
    ],
)
def test_the_picture_names_the_groups_there_are(draw, make, columns):
    axes = draw(make(0))
    assert [text.get_text() for text in axes.texts] == columns
    figure = axes.figure.bbox
    for text in (*axes.texts, axes.title, axes.get_legend()):
        box = text.get_window_extent()
        assert figure.x0 <= box.x0 <= box.x1 <= figure.x1
        assert figure.y0 <= box.y0 <= box.y1 <= figure.y1


def test_layers_read_whole_groups_and_every_source():
    wiring = auto_ncp(sensory=20, units=32, motor=4, rng=0)
    for own_state in (False, True):
        for layer in wiring.layers(own_state=own_state):
            sources = np.flatnonzero(wiring.full_adjacency[:, layer.start : layer.stop].any(axis=1))
            assert layer.source_start <= sources[0] <= sources[-1] < layer.source_stop
