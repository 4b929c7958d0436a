"""A policy that steers by camera: each image is looked at once, and an old one ends its drive."""

import numpy as np
import pytest

from liquid_control.control.loop import ControlLoop
from liquid_control.control.supervisor import Mode
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.structs import STEERING, ImageSample, ImuSample, SensorFrame
from liquid_control.vehicles.catalogue import load_vehicle

CAR = load_vehicle("car")
PERIOD = 20_000_000  # ns


class Watcher:
    """Drives at 8 m/s and counts what it sees."""

    sees = True
    neurons = np.zeros(0)
    command_layout = STEERING.layout

    def __init__(self, rules):
        self.observation_layout = rules.observer.select(("image_age",)).layout
        self.looks, self.ages = [], []

    def reset(self):
        self.looks.append("reset")

    def warm_up(self):
        pass

    def look(self, image):
        if image.rgb.ndim != 3:
            raise ValueError(f"image: shape {image.rgb.shape}")
        self.looks.append(image.stamp // PERIOD)

    def step(self, observation, dt):
        self.ages.append(float(observation[0]))
        return np.array([8.0, 0.1])


@pytest.fixture
def loop():
    rules = make_rules(CAR, make_parameters(CAR))
    return ControlLoop(Watcher(rules), rules, make_parameters(CAR))


def step(loop, k, image_at, shape=(4, 6, 3)):
    """Step ``k`` with the image of step ``image_at``."""
    imu = ImuSample(k * PERIOD, np.zeros(3), np.array([0.0, 0.0, 9.8]))
    image = None
    if image_at is not None:
        image = ImageSample(image_at * PERIOD, np.zeros(shape, np.uint8))
    return loop.step(SensorFrame.at(k * PERIOD, imu, None, image), None, PERIOD / 1e9)


def test_each_image_is_looked_at_once(loop):
    loop.policy.looks.clear()
    for k in range(9):
        assert step(loop, k, 3 * (k // 3)).mode is Mode.POLICY
    assert [look for look in loop.policy.looks if look != "reset"] == [0, 3, 6]
    np.testing.assert_allclose(loop.policy.ages, [0.0, 0.02, 0.04] * 3)


def test_after_a_reset_it_looks_again(loop):
    step(loop, 0, 0)
    loop.reset()
    step(loop, 1, 0)
    assert loop.policy.looks[-2:] == ["reset", 0] or loop.policy.looks[-1] == 0


def test_before_the_first_image_nobody_drives(loop):
    answer = step(loop, 0, None)
    assert answer.mode is Mode.SILENT
    assert answer.command is None
    assert "image" in answer.reason


def test_an_old_image_means_brake_and_hold(loop):
    for k in range(200):
        step(loop, k, k)
    driven = step(loop, 200, 199)
    assert driven.mode is Mode.POLICY
    for k in range(201, 700):
        answer = step(loop, k, 199)
        if answer.mode is not Mode.POLICY:
            break
    assert answer.mode is Mode.HALT
    assert (k - 199) * 0.02 == pytest.approx(0.32)
    assert answer.reason == "image 320 ms old, limit 300 ms"
    for later in range(k + 1, 700):
        answer = step(loop, later, 199)
        assert answer.mode is Mode.HALT
    assert answer.command.values == (0.0, 0.0)


def test_an_image_that_can_not_be_seen_is_named_and_the_car_brakes(loop):
    for k in range(100):
        step(loop, k, k)
    answer = step(loop, 100, 100, shape=(4, 6))
    assert answer.mode is Mode.BACKUP
    assert answer.reason == "policy failed: image: shape (4, 6)"
    assert answer.command["speed"][0] < 8.0
