"""The same numbers as the ncps package, with weights carried over in either direction."""

import pytest
import torch

from liquid_control.nn.cfc import CfC
from liquid_control.nn.compat import load_ncps, ncps_state_dict, wiring_from_ncps
from liquid_control.nn.ltc import LTC
from liquid_control.nn.sequence import run_sequence
from liquid_control.nn.zoo import build_cell

ncps_torch = pytest.importorskip("ncps.torch")
wirings = pytest.importorskip("ncps.wirings")

INPUTS = 7
THEIR_WIRINGS = {
    "ncp": lambda: wirings.AutoNCP(24, 3, seed=1),
    "fully_connected": lambda: wirings.FullyConnected(9, 3),
    "random": lambda: wirings.Random(9, 3, sparsity_level=0.5),
}


def their_cell(kind, wiring, mode="default", constrained=True):
    torch.manual_seed(0)  # their initialisation knows no generator
    built = THEIR_WIRINGS[wiring]()
    if kind == "cfc":
        return ncps_torch.CfC(INPUTS, built, mode=mode).rnn_cell
    return ncps_torch.LTC(INPUTS, built, implicit_param_constraints=constrained).rnn_cell


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


@pytest.mark.parametrize("cell_class", [CfC, LTC])
def test_another_cell_has_no_ncps_form(cell_class):
    wiring = wiring_from_ncps(their_cell("cfc", "ncp")._wiring)
    sparse = cell_class(wiring, nominal_dt=1.0, rng=torch.Generator())
    with pytest.raises(ValueError, match="no compat='ncps'"):
        ncps_state_dict(sparse)
    with pytest.raises(ValueError, match="no compat='ncps'"):
        load_ncps(sparse, {})


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
