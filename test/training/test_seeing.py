"""A policy that learns to see: first its eye, then what the teacher does with what it sees."""

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")

import torch

from liquid_control.config import ConfigError, share_dir
from liquid_control.nn.vision import Encoder
from liquid_control.runtime.policy import load_policy
from liquid_control.sim.scenario import load_world
from liquid_control.structs import ImageSample
from liquid_control.training.config import load_training
from liquid_control.training.imitation import SEEDS, ImitationTrainer
from liquid_control.training.run import train
from liquid_control.training.views import views_of
from liquid_control.vehicles.car.pursuit import SLOTS
from liquid_control.vehicles.catalogue import load_vehicle

CONFIG = share_dir() / "config/training/lane_liquid.yaml"
SMALL = {
    **{"views.updates": 4, "views.batch": 8, "dagger.rounds": 2, "dagger.flights": 2},
    **{"dagger.duration": 1.0, "dagger.updates": 3, "dagger.sequences": 2, "dagger.length": 16},
}


TARGET = share_dir() / "config/training/target_liquid.yaml"


def trainer(config=CONFIG, **changes):
    return ImitationTrainer(load_training(config, {**SMALL, **changes}))


def run(learner, updates):
    return [learner.step().loss for _ in range(updates)]


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_run_that_goes_on_ends_the_same(stop):
    """Whether it stopped while the eye learned, between, or in a round of flights."""
    whole = trainer()
    losses = run(whole, whole.updates)
    first = trainer()
    run(first, stop)
    second = trainer()
    second.load_state_dict(first.state_dict())
    assert run(second, second.updates - stop) == losses[stop:]
    for a, b in zip(whole.encoder.parameters(), second.encoder.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_flyer_that_goes_on_ends_the_same():
    """Its views are drawn by the camera of its world, its eye looks for points."""
    changes = {"views.batch": 4, "dagger.flights": 1}
    whole = trainer(TARGET, **changes)
    losses = run(whole, 6)
    assert np.isfinite(losses).all()
    first, second = trainer(TARGET, **changes), trainer(TARGET, **changes)
    run(first, 3)
    second.load_state_dict(first.state_dict())
    assert run(second, 3) == losses[3:]


def test_points_say_where_something_is():
    """An encoder that has to tell where a red dot is finds dots it never saw, to a pixel."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    def dots(count):
        places = rng.integers([2, 2], [38, 28], (count, 2))
        pictures = rng.integers(90, 110, (count, 30, 40, 3)).astype(np.uint8)
        for picture, (x, y) in zip(pictures, places, strict=True):
            picture[y - 1 : y + 2, x - 1 : x + 2] = (220, 40, 30)
        return torch.from_numpy(pictures), torch.from_numpy((places - 20) / 20.0).float()

    encoder, telling = Encoder(40, 30, 8, (8, 12, 16), points=4), torch.nn.Linear(8, 2)
    optimiser = torch.optim.Adam([*encoder.parameters(), *telling.parameters()], 0.005)
    for _ in range(120):
        pictures, places = dots(64)
        loss = (telling(encoder(pictures)) - places).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    encoder.eval()
    pictures, places = dots(256)
    with torch.no_grad():
        assert (telling(encoder(pictures)) - places).abs().mean() < 0.06


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("views.weights", r"views.weights: expected slots of target_direction, .*, got speed"),
        ("dagger.weights", r"dagger.weights: expected slots of velocity, yaw_rate, got speed"),
    ],
)
def test_a_weight_of_nothing_is_named(key, message):
    with pytest.raises(ConfigError, match=message):
        trainer(TARGET, **{key: {"speed": 2.0}})


def test_too_few_convolutions_to_look_for_points_are_named():
    with pytest.raises(ValueError, match="points: expected 2 convolutions or more"):
        Encoder(40, 30, 8, (8,), 4)


def test_the_eye_stays_as_it_is_once_it_has_learned():
    learner = trainer()
    run(learner, 4)
    before = [part.clone() for part in learner.encoder.state_dict().values()]
    run(learner, 4)
    after = learner.encoder.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_run_ends_in_a_policy_that_sees(tmp_path):
    policy = load_policy(train(CONFIG, tmp_path / "run", changes=SMALL))
    eye = policy.metadata.eye
    camera = load_world("lane_keeping").camera
    assert (eye.width, eye.height) == (camera.width, camera.height)
    assert eye.focal_length == camera.focal_length
    assert policy.observation_layout.names == ("ang_vel", "image_age")
    policy.look(ImageSample(0, np.zeros((32, 64, 3), np.uint8)))
    assert np.isfinite(policy.step(np.zeros(4), 0.02)).all()


def test_what_is_taught_is_never_asked():
    """No suite's flight has a seed of the training's, and so none of its roads."""
    assert SEEDS[0] > 1_000_000


def test_views_tell_where_they_were_taken():
    world, vehicle = load_world("lane_training"), load_vehicle("car")
    views = views_of(world, vehicle, SLOTS, np.random.default_rng(0))
    pictures, depths, told = views.draw(64)
    assert pictures.shape == (64, 32, 64, 3)
    assert depths.shape == (64, 32, 64)
    assert told.shape == (64, 12)
    assert not told[:, -1].any()  # a picture shows no speed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"views": None}, "eye and views: expected both"),
        ({"eye": None}, "eye and views: expected both"),
        ({"dagger.weights": {"thrust": 2.0}}, "dagger.weights: expected slots of speed, yaw_rate"),
        ({"worlds": ["lane_training", "hover_gusts"]}, "eye: expected worlds with the same camera"),
    ],
)
def test_what_does_not_fit_is_named(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        trainer(**changes)


def test_only_imitation_teaches_to_see():
    with pytest.raises(ConfigError, match="eye: expected method imitation, got 'gradient'"):
        load_training("hover_liquid", {"eye": {"features": 4}})
