"""What a world finds wrong with a plant at its start, and in flight."""

import math

import pytest

from liquid_control.config import ConfigError
from liquid_control.sim import world as worlds
from liquid_control.sim.plants.plant import check_plant
from liquid_control.structs import OwnSample

STILL = (0.0, 0.0, 0.0)
LEVEL = (0.0, 0.0, 0.0, 1.0)


class Brick:
    """Falls nowhere; the rate of a flight is that of its world."""

    actuator_names = ("valve 1",)
    rotors = ()
    failsafe = False
    ground_height = 0.0

    def __init__(self, scenario=None, vehicle=None):
        self.steps = 0

    def start(self, start, rng):
        self.pose, self.twist, self.before = (STILL, LEVEL), (STILL, STILL), (LEVEL, STILL, STILL)
        self.pose = (tuple(start.pos.tolist()), LEVEL)
        self.rates_body = self.wind = STILL
        self.actuators = (0.0,)

    def accept(self, command):
        pass

    update = accept

    def advance(self, steps, wind):
        pass

    def touched(self):
        return ""

    def close(self):
        pass


@pytest.fixture
def make_brick_world(make_world, monkeypatch):
    def make(kind):
        monkeypatch.setattr(worlds, "make_plant", kind)
        return make_world()

    return make


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "pose",
            ((math.nan, 0.0, 0.0), LEVEL),
            "position in pose: expected a tuple of 3",
        ),
        ("pose", (STILL, (0.0,) * 4), "quaternion in pose: expected length 1, got 0"),
        ("pose", (STILL,), "pose: expected position and quaternion"),
        ("twist", ((0.0, math.inf, 0.0), STILL), "velocity in twist: expected a tuple of 3"),
        (
            "before",
            (LEVEL, STILL, (0.0,) * 2),
            "body rates in before: expected a tuple of 3",
        ),
        ("rates_body", None, "rates_body: expected a tuple of 3 finite numbers, got None"),
        ("actuators", (1.0, 2.0), "actuators: expected a tuple of 1 finite numbers, got"),
        ("actuators", ..., "has no actuators"),
        ("rotors", (1.0,) * 5, "rotors: expected 4 at most"),
        ("pose", ([0.0, 0.0, 1.0], LEVEL), "position in pose: expected a tuple of 3"),
        ("wind", [0.0, 0.0, 0.0], "wind: expected a tuple of 3"),
        ("accept", None, "has no method accept"),
    ],
)
def test_a_plant_that_gives_no_state_is_named_at_the_start(make_brick_world, name, value, reason):
    class Broken(Brick):
        def start(self, start, rng):
            super().start(start, rng)
            if value is ...:
                delattr(self, name)
            else:
                setattr(self, name, value)

    with pytest.raises(ConfigError, match=f"Broken: {reason}"):
        make_brick_world(Broken)


class Dazed:
    def __init__(self, stamp):
        self.stamp = stamp

    def measure(self, stamp, truth):
        if self.stamp is None:
            raise SystemExit("no battery")
        return OwnSample(self.stamp, {})


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [(None, "SystemExit: no battery"), ("0", "TypeError: expected a stamp")],
)
def test_a_sensor_of_ones_own_that_fails_is_named(make_world, stamp, reason):
    world = make_world()
    world._others = {"ranger": Dazed(stamp)}
    with pytest.raises(ConfigError, match=f"sensor ranger: {reason}"):
        world.step(None)


@pytest.mark.parametrize("twist", [((math.nan, 0.0, 0.0), STILL), (STILL, (0.0, 0.0, math.inf))])
def test_a_velocity_or_rate_that_is_no_number_is_a_crash(make_brick_world, twist):
    world = make_brick_world(Brick)
    world.step(None)
    assert not world.crashed
    world.plant.twist = twist
    world.step(None)
    assert world.crash_reason == "the state is not finite"


def test_the_quadrotor_is_a_whole_plant(make_world):
    check_plant(make_world().plant)
