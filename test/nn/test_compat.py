"""The same numbers as the ncps package, with weights carried over in either direction."""

import pytest
import torch

from liquid_control.nn.cfc import CfC
from liquid_control.nn.compat import (
    cfc_like_ncps,
    load_ncps,
    ltc_like_ncps,
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


def their_cell(kind, wiring, mode="default", constrained=True):
    torch.manual_seed(0)  # their initialisation knows no generator
    built = THEIR_WIRINGS[wiring]()
    if kind == "cfc":
        return ncps_torch.CfC(INPUTS, built, mode=mode).rnn_cell
    return ncps_torch.LTC(INPUTS, built, implicit_param_constraints=constrained).rnn_cell


def our_cell(kind, theirs, mode="default", constrained=True):
    rng = torch.Generator().manual_seed(0)
    wiring = wiring_from_ncps(theirs._wiring)
    if kind == "cfc":
        return cfc_like_ncps(wiring, mode, rng)
    positive = "softplus" if constrained else "identity"
    return ltc_like_ncps(wiring, rng, positive=positive)


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


def test_sparse_cfc_has_no_ncps_form():
    theirs = their_cell("cfc", "ncp")
    sparse = CfC(wiring_from_ncps(theirs._wiring), mode="default", nominal_dt=1.0,
                 rng=torch.Generator())  # fmt: skip
    with pytest.raises(ValueError, match="polarity is 'fixed'"):
        ncps_state_dict(sparse)
