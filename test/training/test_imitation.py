"""Imitation: the expert sees its own slots, and a flight without its word is no lesson."""

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")

import torch

from liquid_control.config import ConfigError, share_dir
from liquid_control.structs import RATES_THRUST, Layout, Slot
from liquid_control.training import imitation
from liquid_control.training.config import load_training
from liquid_control.training.imitation import ImitationTrainer

CONFIG = share_dir() / "config" / "training" / "hover_imitation.yaml"
SMALL = {
    **{"dagger.rounds": 1, "dagger.flights": 1, "dagger.duration": 1.0, "dagger.updates": 1},
    **{"dagger.sequences": 4, "dagger.length": 16},
}
EXPERT = """
import numpy as np


class Expert:
    observation = ("up", "ang_vel", "heading")

    def step(self, observation, dt):
        return {command}
"""


def write(path, command):
    path.write_text(EXPERT.format(command=command))
    return f"{path}:Expert"


def trainer(expert, **changes):
    return ImitationTrainer(load_training(CONFIG, {**SMALL, "expert": expert, **changes}))


def test_the_expert_sees_the_slots_that_it_asks_for(tmp_path):
    """Its labels are its slots as they are in the whole observation, in its order."""
    expert = write(tmp_path / "asks.py", "[9.80665, *observation[[2, 3, 8]]]")
    learner = trainer(expert, **{"dagger.expert_share": 1.0})
    learner.step()
    (flight,) = learner.flights
    label = flight[:, -4:].numpy()
    row = dict(zip(learner.layout.component_names, flight.numpy().T, strict=False))
    np.testing.assert_array_equal(label[:, 1], row["up.z"])
    np.testing.assert_array_equal(label[:, 2], row["ang_vel.x"])
    np.testing.assert_array_equal(label[:, 3], row["heading.z"])


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("np.full(4, np.nan)", "it commands .*nan.*, expected 4 finite values"),
        ("np.zeros(3)", "it commands .*, expected 4 finite values"),
    ],
)
def test_an_expert_that_fails_in_flight_is_named(tmp_path, command, reason):
    learner = trainer(write(tmp_path / "fails.py", command))
    with pytest.raises(ConfigError, match=f"no usable flight: .*the expert failed: .*{reason}"):
        learner.step()


def test_a_flight_that_is_shorter_than_a_sequence_counts_for_its_own_steps():
    learner = trainer("geometric", **{"dagger.length": 200})
    learner.step()
    (flight,) = learner.flights
    rows, states, counted = learner._batch()
    assert rows.shape[1] == counted.shape[1] == 200
    assert counted.sum(dim=1).tolist() == [len(flight)] * 4
    # what stands behind its end changes nothing
    kept = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    losses = []
    for filler in (1.0, 100.0):
        learner.policy.load_state_dict(kept)
        changed = torch.where(counted[..., None], rows, torch.full_like(rows, filler))
        learner._batch = lambda changed=changed: (changed, states.clone(), counted)
        losses.append(float(learner._follow().detach()))
    assert losses[0] == losses[1]


def test_what_is_older_than_a_sequence_is_drawn_and_not_counted():
    learner = trainer("geometric", **{"dagger.forget": 5, "dagger.sequences": 32})
    learner.step()
    _, states, counted = learner._batch()
    drawn = states.abs().sum(dim=1) > 0
    assert drawn.any()
    assert states.abs().max() <= 1
    assert (counted[drawn].sum(dim=1) == 16 - 5).all()
    assert not counted[drawn][:, :5].any()
    assert counted[~drawn].all()


def test_an_expert_of_another_vehicle_is_refused(monkeypatch):
    class Other:
        observation_layout = Layout((Slot("depth", 1, "m", "body"),))
        command_layout = Layout((Slot("push", 1, "m/s^2", "world"),))

    monkeypatch.setattr(imitation, "make_controller", lambda *_: (Other, None))
    with pytest.raises(ConfigError, match=r"expert geometric: it commands .*push"):
        trainer("geometric")
    Other.command_layout = RATES_THRUST.layout
    with pytest.raises(ConfigError, match=r"expert geometric: .*depth"):
        trainer("geometric")
