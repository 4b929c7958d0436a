"""Imitation: the expert sees its own slots, and a flight without its word is no lesson."""

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")

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


def test_flights_that_are_too_short_are_an_error_too():
    with pytest.raises(ConfigError, match=r"longest has \d+ steps, expected dagger.length = 200$"):
        trainer("geometric", **{"dagger.length": 200}).step()


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
