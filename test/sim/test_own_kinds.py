"""A wind source, a fault, a task segment, an obstacle and a sensor that the package knows not."""

from typing import Literal

import numpy as np
import pybullet
import pytest

from liquid_control.config import ConfigError, StrictModel, parse
from liquid_control.sim.check import world_schema
from liquid_control.sim.faults import FAULTS, Fault
from liquid_control.sim.reference import world_keys
from liquid_control.sim.scenario import WorldConfig, read_world
from liquid_control.sim.scenery.config import SCENE_OBJECTS
from liquid_control.sim.sensors import SENSORS, Truth
from liquid_control.sim.streams import Streams
from liquid_control.sim.task import SEGMENTS
from liquid_control.sim.wind.sources import WIND_SOURCES, Source


class Thermal(StrictModel):
    """Air that rises above a place."""

    kind: Literal["toy_thermal"]
    speed: float

    def build(self, rng, duration):
        return Source(lambda time, pos: (0.0, 0.0, self.speed if pos[0] < 5 else 0.0))


class Ice(Fault):
    """The vehicle gets heavier while it lasts."""

    kind: Literal["toy_ice"]
    factor: float

    def apply(self, params):
        return params._replace(mass=params.mass * self.factor)


class Shout(Fault):
    """The IMU hears it."""

    kind: Literal["toy_shout"]
    sensor: str = "imu"
    memory: float = 0.0

    def disturb(self, now):
        now.sample.specific_force_body[:] += 100.0
        return now.sample


class Puff(Fault):
    """A breath from the south."""

    kind: Literal["toy_puff"]

    def build(self, rng, duration):
        return Source(lambda time, pos: (0.0, 1.0 if self.active(time) else 0.0, 0.0))


class Sway(StrictModel):
    """To the north, at a steady pace."""

    kind: Literal["toy_sway"]
    duration: float

    def end(self, start):
        return start + np.array([0.0, self.duration, 0.0])

    def path(self, start, time):
        return start + np.array([0.0, time, 0.0]), np.array([0.0, 1.0, 0.0]), np.zeros(3)


class Arch(StrictModel):
    """Two balls above each other."""

    shape: Literal["toy_arch"]
    pos: tuple[float, float, float]
    yaw_deg: float = 0.0
    color: tuple[float, float, float] = (1.0, 0.0, 0.0)

    def collision(self):
        ball = {"shapeType": pybullet.GEOM_SPHERE, "radius": 0.2}
        return [{**ball, "collisionFramePosition": [0, 0, z]} for z in (-0.5, 0.5)]

    def visuals(self, texture_period):
        ball = {"shapeType": pybullet.GEOM_SPHERE, "radius": 0.2}
        return [{**ball, "visualFramePosition": [0, 0, z]} for z in (-0.5, 0.5)]


class Altimeter(StrictModel):
    """A height with noise."""

    kind: Literal["toy_altimeter"]
    noise: float

    def build(self, rng, control_rate):
        return _Altimeter(self.noise, rng)


class _Altimeter:
    def __init__(self, noise, rng):
        self._noise, self._rng = noise, rng

    def measure(self, stamp_ns, truth):
        return stamp_ns, truth.pos[2] + self._noise * self._rng.standard_normal()


TOYS = [
    *[(WIND_SOURCES, Thermal), (FAULTS, Ice), (FAULTS, Shout), (FAULTS, Puff)],
    *[(SEGMENTS, Sway), (SCENE_OBJECTS, Arch), (SENSORS, Altimeter)],
]


@pytest.fixture
def toys():
    for kinds, model in TOYS:
        kinds.register(model)
    yield
    for kinds, model in TOYS:
        kinds.unregister(model)


def fly(world, steps):
    return [world.step(None) for _ in range(steps)]


def test_a_wind_source(toys, make_world):
    world = make_world(wind=[{"kind": "toy_thermal", "speed": 2.0}])
    fly(world, 5)
    np.testing.assert_array_equal(world.wind_world, [0, 0, 2])


def test_faults_of_vehicle_sensor_and_wind(toys, make_world):
    faults = [
        {"kind": "toy_ice", "at": 0.1, "factor": 2.0},
        {"kind": "toy_shout", "at": 0.1, "until": 0.2},
        {"kind": "toy_puff", "at": 0.1, "until": 0.2},
    ]
    world = make_world(faults=faults)
    healthy = fly(world, 10)[-2].imu.sample.specific_force_body[2]
    loud = fly(world, 5)[-1].imu.sample.specific_force_body[2]
    np.testing.assert_array_equal(world.wind_world, [0, 1, 0])
    heavy = fly(world, 8)[-1].imu.sample.specific_force_body[2]
    assert loud > 100
    assert heavy == pytest.approx(healthy / 2, rel=0.05)
    np.testing.assert_array_equal(world.wind_world, 0)


def test_a_task_segment(toys, make_world):
    task = [{"kind": "toy_sway", "duration": 0.1}, {"kind": "hover", "duration": 4.0}]
    world = make_world(task=task)
    assert parse({"task": task}, WorldConfig, "test").duration == pytest.approx(4.1)
    fly(world, 5)
    np.testing.assert_allclose(world.setpoint().pos_world, [0, 0.05, 1.0], atol=1e-9)
    fly(world, 10)
    np.testing.assert_allclose(world.setpoint().pos_world, [0, 0.1, 1.0], atol=1e-9)


def test_a_scene_object_is_hit_and_seen(toys, make_world):
    arch = {"shape": "toy_arch", "pos": [1.2, 0.0, 1.0]}
    camera = {"extends": "camera_64x48", "appearance": {"noise": 0.0}}
    image = make_world(obstacles=[arch], camera=camera).image.rgb.astype(int)
    rows = np.flatnonzero((image[..., 0] > 2 * image[..., 1]).any(axis=1))
    assert np.diff(rows).max() > 10  # between the balls
    wind = [{"kind": "steady", "speed": 8.0, "toward_deg": 0.0}]
    world = make_world(obstacles=[{**arch, "pos": [1.2, 0.0, 1.5]}], wind=wind)
    fly(world, 200)
    assert world.crash_reason == "hit an obstacle"


def test_a_further_sensor(toys):
    sensors = {"top": {"kind": "toy_altimeter", "noise": 0.1}}
    scenario = read_world("hover_calm", {"sensors": sensors})
    truth = Truth((0.0, 0.0, 3.0), (0.0, 0.0, 0.0, 1.0), (0.0,) * 3, (0.0,) * 3)
    samples = []
    for _ in range(2):
        rng = Streams(4).sensor("top")
        samples.append(scenario.sensors["top"].build(rng, 100.0).measure(10, truth))
    assert samples[0] == samples[1]
    assert samples[0][1] == pytest.approx(3.0, abs=0.5)


def test_a_sensor_has_a_name_that_a_topic_can_have(toys, make_world):
    def named(name):
        return {"sensors": {name: {"kind": "toy_altimeter", "noise": 0.1}}}

    for name in ("a b", "1x", "a__b", "a/b", "x_", "é", ""):
        with pytest.raises(ConfigError, match="sensors: the name of a sensor is that of its topic"):
            read_world("hover_calm", named(name))
    for name in ("sonar_2", "_s"):
        assert name in read_world("hover_calm", named(name)).sensors


def test_schema_and_reference_know_them_while_they_are_there(toys):
    text = str(world_schema())
    for kind in ("toy_thermal", "toy_ice", "toy_sway", "toy_arch", "toy_altimeter"):
        assert kind in text
        assert kind in world_keys()


def test_they_are_gone_afterwards():
    with pytest.raises(ConfigError, match=r"expected one of 'steady', .*, got 'toy_thermal'"):
        read_world("hover_calm", {"wind": [{"kind": "toy_thermal", "speed": 2.0}]})
    with pytest.raises(ConfigError, match="expected one of none that is registered, got 'toy_al"):
        read_world("hover_calm", {"sensors": {"top": {"kind": "toy_altimeter"}}})
    assert "toy" not in str(world_schema())
