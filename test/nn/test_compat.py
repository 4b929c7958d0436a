"""The same numbers as the ncps package, with weights carried over in either direction."""

import re

import pytest
import torch

from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wrappers import MixedMemory
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.compat import load_ncps, ncps_state_dict, wiring_from_ncps

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
    load_ncps(ours, theirs.state_dict())
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
    load_ncps(ours, theirs.state_dict())
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
    load_ncps(again, theirs.state_dict())
    assert_same_network(kind, wiring, again, theirs)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wiring", ["fully_connected", "random"])
def test_their_cfc_of_one_layer_outputs_all_neurons(wiring):
    theirs = their_network("cfc", wiring)
    ours = our_cell("cfc", theirs.rnn_cell)
    load_ncps(ours, theirs.state_dict())
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
    load_ncps(ours, theirs.state_dict())
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
        load_ncps(cell, other_networks(kind, difference))
    for name, value in ncps_state_dict(cell).items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("kind", ["cfc", "ltc"])
def test_a_mixed_memory_needs_its_lstm(kind):
    theirs = their_network(kind, "ncp")
    with pytest.raises(ValueError, match=r"lstm.recurrent_map.weight is missing"):
        load_ncps(our_mixed(kind, theirs), theirs.state_dict())


def test_a_wiring_without_inputs_is_refused():
    with pytest.raises(ValueError, match="not built"):
        wiring_from_ncps(wirings.AutoNCP(24, 3, seed=1))


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
