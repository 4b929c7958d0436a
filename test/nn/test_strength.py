"""Strengths of synapses: slopes of what a cell computes; how they are written, drawn and read."""

import json

import numpy as np
import onnx
import pytest
import torch
from networks import PERIOD, WIRED, WIRING_NAMES, make_cell, make_wiring

from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.modes.registry import MODES
from liquid_control.nn.cells.wiring import wiring_from_config
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.export import export_policy
from liquid_control.nn.policy import Policy
from liquid_control.runtime.artifact import METADATA_KEY, load_artifact, seal, upgrade_artifact
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.quadrotor.rules import observer

LAYOUT = observer(("pos_error", "vel_error")).layout
SCALES = {"pos_error": 0.2, "vel_error": 3.0}
SHAPED = [(name, wiring) for name, wiring in WIRED if name.startswith(("cfc", "ltc"))]


def trained(cell, seed=1):
    """The cell with weights as if training had changed signs and sizes."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in cell.parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            parameter += 2.0 * parameter.std(correction=0) * noise
    return cell


def make_trained(mode="closed", wiring="fully_connected", polarity="initial", **arguments):
    rng = torch.Generator().manual_seed(0)
    sizes = dict(sensory=LAYOUT.size, units=14)
    cell = CfC(make_wiring(wiring, **sizes), mode=mode, nominal_dt=PERIOD, rng=rng,
               polarity=polarity, **arguments)  # fmt: skip
    return trained(cell)


@pytest.mark.parametrize("compat", [None, "ncps"])
@pytest.mark.parametrize("mode", MODES)
def test_a_strength_is_the_slope_of_the_new_state_where_nothing_drives_the_neuron(mode, compat):
    """All neurons at once: in a step of one period each slope is in proportion to its strength."""
    if compat and MODES[mode].ncps is None:
        pytest.skip("the ncps package has no such mode")
    cell = make_trained(mode, compat=compat).double()
    with torch.no_grad():
        for bias in cell.bias:
            bias.zero_()
    strengths = cell.strengths().double()
    dt = torch.tensor([[PERIOD]], dtype=torch.float64)
    inputs = torch.zeros(1, cell.input_size, dtype=torch.float64)
    by_input, by_state = torch.autograd.functional.jacobian(
        lambda x, h: cell(x, h, dt)[1], (inputs, inputs.new_zeros(1, cell.state_size))
    )
    slopes = torch.cat([by_input[0, :, 0], by_state[0, :, 0]], dim=1).T  # (F + H, H)
    own = torch.eye(cell.state_size).bool()
    keeps = torch.cat([torch.zeros_like(strengths[: cell.input_size]).bool(), own])
    known = ~strengths.isnan() & ~keeps  # a state that decays is no synapse
    assert (slopes[strengths.isnan() & ~keeps] == 0).all()
    assert known.any(dim=0).all()
    for neuron in range(cell.state_size):
        slope, strength = slopes[known[:, neuron], neuron], strengths[known[:, neuron], neuron]
        factor = slope.norm() / strength.norm()
        assert factor > 0
        torch.testing.assert_close(slope, factor * strength, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "wiring"), SHAPED)
def test_synapses_of_fixed_polarity_keep_the_sign_of_the_wiring(name, wiring):
    cell = make_cell(name, wiring)
    if isinstance(cell, CfC):  # an LTC's sigma may turn over too
        cell = trained(cell)
    assert cell.polarity == "fixed"
    strengths, signs = cell.strengths().numpy(), cell.wiring.full_adjacency
    drawn = ~np.isnan(strengths) & (signs != 0)
    assert drawn[: cell.input_size].sum() == np.count_nonzero(cell.wiring.sensory_adjacency)
    np.testing.assert_array_equal(np.sign(strengths[drawn]), signs[drawn])


@pytest.mark.parametrize("wiring", WIRING_NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_synapses_whose_sign_was_trained_show_the_trained_one(mode, wiring):
    cell = make_trained(mode, wiring)
    before = cell.strengths()
    known = ~before.isnan()
    signs = torch.tensor(cell.wiring.full_adjacency)
    differ = (before.sign() != signs)[known & (signs != 0)].float().mean()
    assert 0.05 < differ < 0.6
    with torch.no_grad():
        for weight in cell.weight:
            weight.neg_()
    torch.testing.assert_close(cell.strengths()[known], -before[known])


def test_synapses_are_where_weights_are():
    """The wiring's, none inside a layer of leaky neurons, and the own ones of other modes."""
    ncp, inputs = make_trained("closed", "ncp").wiring, LAYOUT.size
    exists = {mode: ~make_trained(mode, "ncp").strengths().isnan().numpy() for mode in MODES}
    drawn = ncp.full_adjacency != 0
    np.testing.assert_array_equal(exists["closed"], drawn)
    command = ncp.groups["command"]
    inside = np.ix_([inputs + k for k in command], command)
    assert drawn[inside].any()
    assert not exists["leaky"][inside].any()
    own = np.concatenate([np.zeros((inputs, ncp.units), bool), np.eye(ncp.units, dtype=bool)])
    np.testing.assert_array_equal(exists["default"], drawn | own)
    dense = ~make_trained("default", "ncp", None, compat="ncps").strengths().isnan().numpy()
    assert dense[inside].all()


def test_a_strength_of_an_ltc_is_the_slope_of_its_settled_state():
    """One synapse, half open, from a leak that holds the state at 0 there."""
    wiring = wiring_from_config(
        dict(kind="ncp", sensory=1, inter=0, command=0, motor=1, synapses=[[0, 0, -1]])
    )
    ltc = LTC(wiring, nominal_dt=1.0, rng=torch.Generator().manual_seed(0), unfolds=1).double()
    with torch.no_grad():
        ltc.input_w.fill_(-1.5)
        w, e = ltc.synapses("sensory").w, ltc.reversal("sensory")
        ltc.vleak.copy_(-0.5 * w * e / ltc._positive("gleak"))
    x = (ltc.sensory_mu / ltc.input_w).detach().reshape(1, 1).requires_grad_()
    _, settled = ltc(x, torch.zeros(1, 1, dtype=x.dtype), torch.full((1, 1), 1e6, dtype=x.dtype))
    assert settled.item() == pytest.approx(0.0, abs=1e-6)
    (slope,) = torch.autograd.grad(settled.sum(), x)
    strength = ltc.strengths()
    assert strength[0, 0].item() == pytest.approx(slope.item(), rel=1e-4)
    assert strength[0, 0] > 0  # inhibitory, of a negated input
    assert strength[1, 0].isnan()


def test_a_wrapper_has_the_strengths_of_its_cell_and_a_baseline_has_none():
    cell = make_cell("timeless-closed")
    torch.testing.assert_close(cell.strengths(), cell.cell.strengths(), equal_nan=True)
    assert make_cell("gru", "none").strengths() is None


def export(cell, path, limit=None):
    policy = Policy(
        cell,
        observation_offset=torch.zeros(LAYOUT.size),
        observation_scale=torch.tensor([SCALES[s.name] for s in LAYOUT.slots for _ in range(3)]),
        command_offset=torch.zeros(4),
        command_scale=torch.ones(4),
        observation_limit=limit,
    )
    return export_policy(
        policy,
        path,
        observation=LAYOUT,
        command=RATES_THRUST,
        control_period=PERIOD,
        network="cfc",
        vehicle="crazyflie",
        training={"config": {"observation": SCALES}},
        rng=np.random.default_rng(0),
    )


def written(wiring, shape) -> np.ndarray:
    """(F + H, H) strengths that metadata hold."""
    matrix = np.full(shape, np.nan)
    inputs = shape[0] - shape[1]
    for first, synapses in ((0, wiring.sensory_synapses), (inputs, wiring.synapses)):
        for source, target, strength in synapses:
            matrix[first + source, target] = np.nan if strength is None else strength
    return matrix


@pytest.mark.parametrize("mode", ["closed", "default"])
@pytest.mark.parametrize("wiring", WIRING_NAMES)
def test_a_file_says_how_strong_the_trained_synapses_are(mode, wiring, tmp_path):
    cell = make_trained(mode, wiring)
    found = export(cell, tmp_path / "policy.onnx").metadata.wiring
    strengths = cell.strengths().numpy()
    np.testing.assert_allclose(written(found, strengths.shape), strengths, rtol=1e-3)
    counts = found.counts()
    assert counts["excitatory"] == (strengths > 0).sum()
    assert counts["inhibitory"] == (strengths < 0).sum()
    assert counts["unknown"] == counts["silent"] == 0


def to_schema_3(path):
    """The file as it was written before: with the signs of the wiring."""
    model = onnx.load(path)
    values = {prop.key: prop for prop in model.metadata_props}
    metadata = json.loads(values[METADATA_KEY].value)
    metadata["schema_version"] = 3
    signs = wiring_from_config(metadata["training"]["cell"]["wiring"]).full_adjacency
    wiring = metadata["wiring"]
    wiring["sensory_synapses"] = [
        [s, t, int(signs[s, t])] for s, t, _ in wiring["sensory_synapses"]
    ]
    wiring["synapses"] = [[s, t, int(signs[LAYOUT.size + s, t])] for s, t, _ in wiring["synapses"]]
    values[METADATA_KEY].value = json.dumps(metadata)
    path.write_bytes(seal(model.SerializeToString(deterministic=True)))


@pytest.mark.parametrize("limit", [None, 2.0])
@pytest.mark.parametrize("wiring", WIRING_NAMES)
def test_an_older_file_gets_its_strengths_from_its_graph(wiring, limit, tmp_path):
    path = tmp_path / "policy.onnx"
    today = export(make_trained("closed", wiring), path, limit).metadata
    shape = (LAYOUT.size + 14, 14)
    to_schema_3(path)
    older = load_artifact(path).metadata
    assert older.wiring.counts()["unknown"] == len(today.wiring.synapses) + len(
        today.wiring.sensory_synapses
    )
    graph = onnx.load(path).graph
    upgraded = upgrade_artifact(path).metadata
    np.testing.assert_allclose(
        written(upgraded.wiring, shape), written(today.wiring, shape), rtol=1e-3
    )
    assert upgraded.model_copy(update={"wiring": today.wiring}) == today
    assert onnx.load(path).graph == graph


def test_strengths_that_no_graph_tells_stay_unknown(tmp_path):
    path = tmp_path / "policy.onnx"
    export(make_trained("default", "ncp"), path)
    to_schema_3(path)
    wiring = upgrade_artifact(path).metadata.wiring
    assert wiring.counts()["unknown"] == len(wiring.synapses) + len(wiring.sensory_synapses)


def test_a_picture_of_a_cell_shows_trained_strengths():
    plt = pytest.importorskip("matplotlib.pyplot")
    cell = make_trained("closed", "ncp")
    strengths = cell.strengths()
    edges = cell.wiring.edges(strengths)
    assert len(edges) == cell.wiring.synapses
    graph = cell.wiring.graph(strengths)
    axes = cell.wiring.draw(strengths=strengths)
    widest = max(abs(value) for *_, value in edges)
    for arrow, (source, target, value) in zip(axes.patches, edges, strict=True):
        assert value == strengths[source, target].item()
        color = {1: "tab:blue", -1: "tab:red"}[np.sign(value)]
        assert arrow.get_edgecolor()[:3] == plt.matplotlib.colors.to_rgb(color)
        assert arrow.get_linewidth() == pytest.approx(0.3 + 2.0 * abs(value) / widest)
    signs = [sign for *_, sign in graph.edges(data="sign")]
    assert signs.count(1) == (strengths > 0).sum()
    plt.close(axes.figure)
    with pytest.raises(ValueError, match=r"strengths have shape \(2, 2\), expected \(20, 14\)"):
        cell.wiring.edges(np.zeros((2, 2)))


def test_a_rebuilt_cell_has_the_same_strengths():
    cell = make_trained("default", "random")
    other = build_cell(cell.config(), torch.Generator().manual_seed(5))
    other.load_state_dict(cell.state_dict())
    torch.testing.assert_close(other.strengths(), cell.strengths(), equal_nan=True)
