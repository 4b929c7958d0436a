"""Weights go only into a cell of their own wiring."""

import copy
import warnings

import pytest
import torch
from networks import make_cell, random_inputs

from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.policy import Policy


def rebuilt(cell, **changes):
    return build_cell({**cell.config(), **changes}, torch.Generator().manual_seed(1))


def crossed(cell):
    """The wiring with the first two inputs changed for one another: as many weights everywhere."""
    wiring = copy.deepcopy(cell.config()["wiring"])
    change = {0: 1, 1: 0}
    wiring["synapses"] = sorted([change.get(s, s), *rest] for s, *rest in wiring["synapses"])
    return wiring


def turned(cell):
    """The wiring with the sign of one synapse the other."""
    wiring = copy.deepcopy(cell.config()["wiring"])
    wiring["synapses"][0][2] *= -1
    return wiring


@pytest.mark.parametrize("name", ["cfc-closed", "cfc-default", "ltc-fused"])
@pytest.mark.parametrize("change", [crossed, turned])
def test_weights_of_another_wiring_are_refused(name, change):
    cell = make_cell(name)
    other = rebuilt(cell, wiring=change(cell))
    shapes = [{key: value.shape for key, value in c.named_parameters()} for c in (cell, other)]
    assert shapes[0] == shapes[1]
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="of another wiring, expected those of this one"):
        other.load_state_dict(cell.state_dict())
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())


@pytest.mark.parametrize(
    ("name", "changes", "thing"),
    [
        ("cfc-closed", {"polarity": "initial"}, "polarity"),
        ("cfc-default", {"mode": "no_gate"}, "mode"),
        ("cfc-ctrnn", {"mode": "leaky"}, "mode"),
        ("cfc-default", {"compat": "ncps", "polarity": "initial"}, "polarity and compat"),
        ("ltc-fused", {"polarity": "initial"}, "polarity"),
        ("ltc-fused", {"positive": "identity"}, "positive"),
    ],
)
def test_weights_that_are_read_otherwise_are_refused(name, changes, thing):
    cell = make_cell(name, "fully_connected")
    with pytest.raises(ValueError, match=f"of another {thing}, expected those of this one"):
        rebuilt(cell, **changes).load_state_dict(cell.state_dict())


def test_what_only_shapes_the_start_or_the_solver_may_differ():
    cfc, ltc = make_cell("cfc-closed"), make_cell("ltc-fused")
    rebuilt(cfc, tau_range=[1.0, 9.0], motor_gain=0.5).load_state_dict(cfc.state_dict())
    rebuilt(ltc, solver="rk4", unfolds=3).load_state_dict(ltc.state_dict())
    renamed = {**cfc.config()["wiring"], "kind": "random"}
    rebuilt(cfc, wiring=renamed).load_state_dict(cfc.state_dict())


@pytest.mark.parametrize("name", ["mixed-closed", "timeless-closed"])
def test_a_cell_inside_another_is_told_apart_too(name):
    cell = make_cell(name)
    config = cell.config()
    config["cell"] = {**config["cell"], "wiring": crossed(cell.cell)}
    other = build_cell(config, torch.Generator())
    with pytest.raises(ValueError, match="weights of a CfC of another wiring"):
        other.load_state_dict(cell.state_dict())
    policies = [
        Policy(c, observation_offset=torch.zeros(5), observation_scale=torch.ones(5),
               command_offset=torch.zeros(4), command_scale=torch.ones(4))
        for c in (cell, other)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="weights of a CfC of another wiring"):
        policies[1].load_state_dict(policies[0].state_dict())


def test_weights_from_before_there_was_a_digest_load_with_a_warning(tmp_path):
    cell, other = make_cell("cfc-closed"), make_cell("cfc-closed", seed=0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    given = {key: value for key, value in cell.state_dict().items() if key != "told_apart"}
    with pytest.warns(UserWarning, match="weights of a CfC do not say of which wiring they are"):
        other.load_state_dict(given)
    inputs = random_inputs(cell, batch=2, steps=3)
    assert torch.equal(run_sequence(cell, *inputs)[0], run_sequence(other, *inputs)[0])
    assert "told_apart" not in given
    torch.save(other.double().state_dict(), tmp_path / "weights.pt")
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_cell("cfc-closed").load_state_dict(saved)
