"""The same numbers as the ncps package, with weights carried over in either direction."""

import re

import pytest
import torch

from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wrappers import MixedMemory
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.compat import (
    load_ncps,
    ncps_settings,
    ncps_state_dict,
    wiring_from_ncps,
)

ncps_torch = pytest.importorskip("ncps.torch")
wirings = pytest.importorskip("ncps.wirings")

INPUTS = 7
THEIR_WIRINGS = {
    "ncp": lambda: wirings.AutoNCP(24, 3, seed=1),
    "fully_connected": lambda: wirings.FullyConnected(9, 3),
    "random": lambda: wirings.Random(9, 3, sparsity_level=0.5),
}


def their_network(kind, wiring, mode="default", constrained=True, mixed=False):
    torch.manual_seed(0)  # their initialisation knows no generator
    built = THEIR_WIRINGS[wiring]()
    if kind == "cfc":
        return ncps_torch.CfC(INPUTS, built, mode=mode, mixed_memory=mixed)
    special = dict(implicit_param_constraints=constrained, mixed_memory=mixed)
    return ncps_torch.LTC(INPUTS, built, **special)


def their_cell(*arguments):
    return their_network(*arguments).rnn_cell


def our_cell(kind, theirs, mode="default", constrained=True):
    """Built from a config, as a file would name it."""
    special = {"mode": mode}
    if kind == "ltc":
        special = {"positive": "softplus" if constrained else "identity"}
    config = {
        "kind": kind,
        "wiring": wiring_from_ncps(theirs._wiring).config(),
        "nominal_dt": 1.0,
        "compat": "ncps",
        **special,
    }
    return build_cell(config, torch.Generator().manual_seed(0))


def to_ours(kind, wiring, state):
    """Their state in our order: their LTC numbers motor, command, inter."""
    if kind == "cfc" and wiring == "ncp":
        return state
    groups = [3, 8, 13] if wiring == "ncp" else [3, 6]
    return torch.cat(state.split(groups, dim=1)[::-1], dim=1)


def assert_same(kind, wiring, ours, theirs):
    rng = torch.Generator().manual_seed(3)
    their_state = torch.zeros(4, ours.state_size)
    state = ours.initial_state(4)
    for _ in range(50):
        inputs = torch.randn(4, INPUTS, generator=rng)
        dt = float(0.2 + torch.rand((), generator=rng))
        with torch.no_grad():
            _, their_state = theirs(inputs, their_state, dt)
            _, state = ours(inputs, state, torch.full((4, 1), dt))
        torch.testing.assert_close(state, to_ours(kind, wiring, their_state), rtol=0, atol=1e-6)


CASES = [
    *(("cfc", mode, True) for mode in ("default", "no_gate", "pure")),
    ("ltc", "default", True),
    ("ltc", "default", False),
]


@pytest.mark.parametrize("wiring", THEIR_WIRINGS)
@pytest.mark.parametrize(("kind", "mode", "constrained"), CASES)
def test_their_weights_give_their_states(kind, mode, constrained, wiring):
    theirs = their_cell(kind, wiring, mode, constrained)
    ours = our_cell(kind, theirs, mode, constrained)
    load_ncps(ours, theirs)
    assert_same(kind, wiring, ours, theirs)


@pytest.mark.parametrize("wiring", THEIR_WIRINGS)
@pytest.mark.parametrize(("kind", "mode", "constrained"), CASES)
def test_our_weights_load_into_theirs(kind, mode, constrained, wiring):
    theirs = their_cell(kind, wiring, mode, constrained)
    ours = our_cell(kind, theirs, mode, constrained)
    theirs.load_state_dict(ncps_state_dict(ours))
    assert_same(kind, wiring, ours, theirs)


@pytest.mark.parametrize("wiring", THEIR_WIRINGS)
@pytest.mark.parametrize(("kind", "mode", "constrained"), CASES)
def test_config_rebuilds_the_switch(kind, mode, constrained, wiring):
    cell = our_cell(kind, their_cell(kind, wiring, mode, constrained), mode, constrained)
    rebuilt = build_cell(cell.config(), torch.Generator().manual_seed(5))
    assert rebuilt.config() == cell.config()
    rebuilt.load_state_dict(cell.state_dict())
    for name, value in ncps_state_dict(cell).items():
        assert torch.equal(ncps_state_dict(rebuilt)[name], value)


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
def test_sequences_and_their_gradients_are_the_same(kind):
    """A whole ncps network against our sequence, kernel included."""
    network = {"cfc": ncps_torch.CfC, "ltc": ncps_torch.LTC}[kind]
    torch.manual_seed(0)
    theirs = network(INPUTS, THEIR_WIRINGS["ncp"]())
    ours = our_cell(kind, theirs.rnn_cell)
    load_ncps(ours, theirs)
    input_BTF = torch.randn(5, 12, INPUTS, generator=torch.Generator().manual_seed(1))
    given = [input_BTF.clone().requires_grad_() for _ in range(2)]
    their_output, _ = theirs(given[0])
    output, _ = run_sequence(ours, given[1], ours.initial_state(5), torch.ones(5, 12, 1))
    # their CfC has its motor neurons last and so has ours; their LTC numbers them first
    torch.testing.assert_close(output, their_output, rtol=0, atol=2e-6)
    for result in (their_output, output):
        result.square().sum().backward()
    torch.testing.assert_close(given[1].grad, given[0].grad, rtol=1e-4, atol=1e-5)


def our_mixed(kind, theirs, mode="default", constrained=True):
    rng = torch.Generator().manual_seed(1)
    return MixedMemory(our_cell(kind, theirs.rnn_cell, mode, constrained), rng=rng)


def assert_same_network(kind, wiring, ours, theirs):
    """Outputs of 50 steps, last state and memory; of 1 sample, as their dt is one for all."""
    rng = torch.Generator().manual_seed(3)
    input_BTF = torch.randn(1, 50, INPUTS, generator=rng)
    dt_BT1 = 0.2 + torch.rand(1, 50, 1, generator=rng)
    with torch.no_grad():
        their_output, their_states = theirs(input_BTF, timespans=dt_BT1[..., 0])
        output, state = run_sequence(ours, input_BTF, ours.initial_state(1), dt_BT1)
    torch.testing.assert_close(output, their_output[..., : ours.output_size], rtol=0, atol=1e-6)
    their_state = torch.cat([to_ours(kind, wiring, part) for part in their_states], dim=1)
    torch.testing.assert_close(state, their_state, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("wiring", THEIR_WIRINGS)
@pytest.mark.parametrize(("kind", "mode", "constrained"), CASES)
def test_mixed_memory_is_theirs_either_way(kind, mode, constrained, wiring):
    theirs = their_network(kind, wiring, mode, constrained, mixed=True)
    ours = our_mixed(kind, theirs, mode, constrained)
    rng = torch.Generator().manual_seed(2)
    for parameter in ours.parameters():  # some are the same for all neurons at the start
        parameter.data += 0.2 * torch.rand(parameter.shape, generator=rng)
    theirs.load_state_dict(ncps_state_dict(ours))
    assert_same_network(kind, wiring, ours, theirs)
    again = our_mixed(kind, theirs, mode, constrained)
    load_ncps(again, theirs)
    assert_same_network(kind, wiring, again, theirs)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wiring", ["fully_connected", "random"])
def test_their_cfc_of_one_layer_outputs_all_neurons(wiring):
    theirs = their_network("cfc", wiring)
    ours = our_cell("cfc", theirs.rnn_cell)
    load_ncps(ours, theirs)
    input_BTF = torch.randn(2, 9, INPUTS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        their_output, _ = theirs(input_BTF)
        output, _ = run_sequence(ours, input_BTF, ours.initial_state(2), torch.ones(2, 9, 1))
    assert their_output.shape == (2, 9, 9)
    torch.testing.assert_close(output, their_output[..., :3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
def test_the_weights_keep_the_dtype_of_our_cell(kind):
    theirs = their_network(kind, "ncp", mixed=True)
    ours = our_mixed(kind, theirs).double()
    load_ncps(ours, theirs)
    for weights in (ncps_state_dict(ours), ncps_state_dict(ours.cell)):
        assert {value.dtype for value in weights.values()} == {torch.float64}


@pytest.fixture
def other_networks(monkeypatch):
    """Function that gives the weights of a network of theirs that differs in some way."""
    monkeypatch.setitem(THEIR_WIRINGS, "seed 5", lambda: wirings.AutoNCP(24, 3, seed=5))
    monkeypatch.setitem(THEIR_WIRINGS, "20 units", lambda: wirings.AutoNCP(20, 3, seed=1))

    def weights(kind, difference):
        if difference == "nothing":
            return {}
        if difference == "projected":
            torch.manual_seed(0)
            network = ncps_torch.CfC(INPUTS, THEIR_WIRINGS["ncp"](), proj_size=2)
        elif difference == "mixed":
            network = their_network(kind, "ncp", mixed=True)
        elif difference == "pure":
            network = their_network(kind, "ncp", "pure")
        else:
            network = their_network(kind, difference)
        return network.state_dict()

    return weights


@pytest.mark.parametrize(
    ("kind", "difference", "message"),
    [
        ("cfc", "seed 5", "layer_0.sparsity_mask is that of another wiring"),
        ("ltc", "seed 5", "sensory_sparsity_mask is that of another wiring"),
        ("ltc", "seed 5", ", sparsity_mask is that of another wiring"),
        ("cfc", "20 units", r"layer_0.ff1.weight has shape (11, 18), expected (13, 20)"),
        ("ltc", "20 units", "gleak has shape (20,), expected (24,)"),
        ("cfc", "mixed", "lstm.input_map.weight is unexpected"),
        ("ltc", "mixed", "lstm.recurrent_map.weight is unexpected"),
        ("cfc", "projected", "fc.bias is unexpected"),
        ("cfc", "pure", "layer_2.time_b.bias is missing"),
        ("cfc", "pure", "layer_2.w_tau is unexpected"),
        ("cfc", "nothing", "layer_0.ff1.weight is missing"),
        ("ltc", "nothing", "gleak is missing"),
    ],
)
def test_weights_of_another_network_are_refused(kind, difference, message, other_networks):
    cell = our_cell(kind, their_cell(kind, "ncp"))
    before = ncps_state_dict(cell)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ncps(cell, other_networks(kind, difference), **ncps_settings(cell))
    for name, value in ncps_state_dict(cell).items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
def test_a_mixed_memory_needs_its_lstm(kind):
    theirs = their_network(kind, "ncp")
    with pytest.raises(ValueError, match=r"lstm.recurrent_map.weight is missing"):
        load_ncps(our_mixed(kind, theirs), theirs)


def test_wirings_that_no_cell_has_are_refused():
    with pytest.raises(ValueError, match="not built"):
        wiring_from_ncps(wirings.AutoNCP(24, 3, seed=1))
    bare = wirings.Wiring(9)
    bare.build(INPUTS)
    with pytest.raises(ValueError, match="output_dim None, expected the number of its motor"):
        wiring_from_ncps(bare)

    class TwoLayers(wirings.FullyConnected):
        num_layers = 2

    two = TwoLayers(9, 3)
    two.build(INPUTS)
    with pytest.raises(ValueError, match="num_layers 2, expected 3"):
        wiring_from_ncps(two)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"ode_unfolds": 4}, {}, "ode_unfolds is 4, expected 6"),
        ({}, {"unfolds": 4}, "ode_unfolds is 6, expected 4"),
        ({"epsilon": 0.1}, {}, "epsilon is 0.1, expected 1e-08"),
        ({"implicit_param_constraints": False}, {},
         "implicit_param_constraints is False, expected True"),
        ({"input_mapping": "linear"}, {}, "input_b is missing"),
        ({"output_mapping": None}, {}, "output_w is missing"),
        ({"output_mapping": None}, {"output_mapping": "linear"}, "output_w is missing"),
        ({}, {"input_mapping": "none"}, "input_w is unexpected"),
        ({"mode": "no_gate"}, {}, "mode is 'no_gate', expected 'default'"),
        ({"mode": "pure"}, {"mode": "no_gate"}, "layer_0.ff2.weight is missing"),
        ({"mixed_memory": True}, {}, "lstm.input_map.weight is unexpected"),
    ],
)  # fmt: skip
def test_a_network_that_computes_something_else_is_refused(theirs, ours, message):
    """Each setting that a state_dict does not tell, with its value and what was expected."""
    kind = "cfc" if {"mode", "mixed_memory"} & theirs.keys() else "ltc"
    network = {"cfc": ncps_torch.CfC, "ltc": ncps_torch.LTC}[kind]
    theirs = network(INPUTS, THEIR_WIRINGS["ncp"](), **theirs)
    config = {"kind": kind, "nominal_dt": 1.0, "compat": "ncps", **ours}
    config["wiring"] = wiring_from_ncps(theirs.rnn_cell._wiring).config()
    if kind == "cfc":
        config.setdefault("mode", "default")
    cell = build_cell(config, torch.Generator().manual_seed(0))
    before = ncps_state_dict(cell)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ncps(cell, theirs)
    for name, value in ncps_state_dict(cell).items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"activation": "relu"}, "activation is 'relu', expected 'lecun_tanh'"),
        ({"mode": "no_gate"}, "mode is 'no_gate', expected 'default'"),
        ({"backbone_layers": 2}, "backbone.2.weight is unexpected"),
        ({"backbone_units": 9}, r"backbone.0.weight has shape (9, 15), expected (128, 15)"),
        ({"proj_size": 2}, "fc.weight is unexpected"),
        ({"mixed_memory": True}, "lstm.input_map.weight is unexpected"),
    ],
)
def test_another_backbone_is_refused(theirs, message):
    cell = BackboneCfC(input_size=INPUTS, units=8, nominal_dt=1.0, rng=torch.Generator())
    with pytest.raises(ValueError, match=re.escape(message)):
        load_ncps(cell, ncps_torch.CfC(INPUTS, 8, **theirs))


def test_a_bent_module_of_their_own_is_refused():
    cell = BackboneCfC(input_size=INPUTS, units=8, nominal_dt=1.0, rng=torch.Generator())
    theirs = ncps_torch.CfC(INPUTS, 8)
    theirs.rnn_cell.backbone[1] = torch.nn.ELU()
    with pytest.raises(ValueError, match="activation is 'ELU', expected 'lecun_tanh'"):
        load_ncps(cell, theirs)


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
def test_a_state_dict_has_to_be_told_what_it_is_of(kind):
    theirs = their_network(kind, "ncp")
    ours = our_cell(kind, theirs.rnn_cell)
    untold = {"cfc": "mode", "ltc": "ode_unfolds, epsilon, implicit_param_constraints"}[kind]
    with pytest.raises(ValueError, match=f"does not tell {untold}: give the network itself"):
        load_ncps(ours, theirs.state_dict())
    load_ncps(ours, theirs.state_dict(), **ncps_settings(ours))
    other = {"cfc": {"mode": "no_gate"}, "ltc": {"ode_unfolds": 3}}[kind]
    ((name, value),) = other.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}, expected"):
        load_ncps(ours, theirs.state_dict(), **{**ncps_settings(ours), **other})
    with pytest.raises(ValueError, match=r"settings \['solver'\] of another network"):
        load_ncps(ours, theirs.state_dict(), **ncps_settings(ours), solver="rk4")
    with pytest.raises(ValueError, match="are read from it"):
        load_ncps(ours, theirs, **other)
    with pytest.raises(ValueError, match="theirs is a Linear, expected a CfC or LTC of ncps"):
        load_ncps(ours, torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    "settings",
    [
        {"ode_unfolds": 2},
        {"epsilon": 0.5},
        {"input_mapping": "linear", "output_mapping": None},
        {"input_mapping": None, "output_mapping": "linear"},
    ],
)
def test_what_an_ltc_is_set_to_is_computed(settings):
    """Each is honoured: the same states as theirs, which differ from those by default."""
    theirs = ncps_torch.LTC(INPUTS, THEIR_WIRINGS["ncp"](), **settings)
    ours = {"unfolds" if k == "ode_unfolds" else k: v or "none" for k, v in settings.items()}
    config = {"kind": "ltc", "nominal_dt": 1.0, "compat": "ncps", **ours}
    config["wiring"] = wiring_from_ncps(theirs.rnn_cell._wiring).config()
    cell = build_cell(config, torch.Generator().manual_seed(0))
    for parameter in theirs.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.rand_like(parameter)
    load_ncps(cell, theirs)
    assert_same("ltc", "ncp", cell, theirs.rnn_cell)
    again = ncps_torch.LTC(INPUTS, theirs._wiring, **ncps_settings(cell))
    assert {k: ncps_settings(cell)[k] for k in settings} == {
        k: v or "none" for k, v in settings.items()
    }
    assert set(again.rnn_cell.state_dict()) == set(ncps_state_dict(cell))
    rebuilt = build_cell(cell.config(), torch.Generator())
    assert rebuilt.config() == cell.config()
    assert rebuilt.parameter_count() == cell.parameter_count()


@torch.no_grad()
@pytest.mark.parametrize("settings", [{"epsilon": 0.5}, {"input_mapping": "none"}])
def test_the_bounds_of_an_ltc_hold_with_what_it_is_set_to(settings):
    theirs = their_cell("ltc", "ncp")
    wiring = wiring_from_ncps(theirs._wiring)
    rng = torch.Generator().manual_seed(0)
    cell = LTC(wiring, nominal_dt=1.0, compat="ncps", rng=rng, **settings)
    low, high = cell.state_bounds()
    state = low + (high - low) * torch.rand(8, 24, generator=rng)
    for _ in range(50):
        inputs = 1e3 * torch.randn(8, INPUTS, generator=rng)
        _, state = cell(inputs, state, 3.0 * torch.rand(8, 1, generator=rng))
        assert (state >= low - 1e-5).all()
        assert (state <= high + 1e-5).all()
    shortest, longest = cell.tau_bounds()
    assert (shortest <= longest).all()


@pytest.mark.parametrize("readout", ["own", "around", "around memory"])
def test_a_projection_is_a_readout_either_way(readout):
    mixed = readout == "around memory"
    theirs = ncps_torch.CfC(INPUTS, 8, proj_size=2, mixed_memory=mixed, backbone_units=9)
    config = {"kind": "cfc_backbone", "input_size": INPUTS, "units": 8, "nominal_dt": 1.0}
    config["backbone_units"] = 9
    if readout == "own":
        config["output_size"] = 2
    elif mixed:
        config = {"kind": "mixed_memory", "cell": config}
    if readout != "own":
        config = {"kind": "readout", "cell": config, "output_size": 2}
    first, cell = (build_cell(config, torch.Generator().manual_seed(k)) for k in (1, 2))
    theirs.load_state_dict(ncps_state_dict(first))
    load_ncps(cell, theirs)
    input_BTF = torch.randn(3, 9, INPUTS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, _ = theirs(input_BTF)
        output, _ = run_sequence(cell, input_BTF, cell.initial_state(3), torch.ones(3, 9, 1))
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("cell_class", [CfC, LTC])
def test_another_cell_has_no_ncps_form(cell_class):
    wiring = wiring_from_ncps(their_cell("cfc", "ncp")._wiring)
    sparse = cell_class(wiring, nominal_dt=1.0, rng=torch.Generator())
    with pytest.raises(ValueError, match="no compat='ncps'"):
        ncps_state_dict(sparse)
    with pytest.raises(ValueError, match="no compat='ncps'"):
        load_ncps(sparse, {})
    with pytest.raises(ValueError, match=f"{cell_class.__name__} has no compat='ncps'"):
        ncps_state_dict(MixedMemory(sparse, rng=torch.Generator()))


@pytest.mark.parametrize(
    ("cell_class", "arguments", "message"),
    [
        (CfC, {"compat": "tf"}, "compat is 'tf'"),
        (CfC, {"compat": "ncps", "mode": "closed"}, "mode is 'closed'"),
        (CfC, {"compat": "ncps", "mode": "pure", "polarity": "fixed"}, "polarity is 'fixed'"),
        (LTC, {"compat": "ncps", "solver": "rk4"}, "solver is 'rk4'"),
    ],
)
def test_what_ncps_does_not_have_is_refused(cell_class, arguments, message):
    wiring = wiring_from_ncps(their_cell("cfc", "ncp")._wiring)
    with pytest.raises(ValueError, match=message):
        cell_class(wiring, nominal_dt=1.0, rng=torch.Generator(), **arguments)
