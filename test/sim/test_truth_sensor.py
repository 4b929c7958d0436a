"""The sensor of the truth: exact, for the policy that asks, and nothing else changes."""

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.control.steps import LoopStep
from liquid_control.frames import rotate
from liquid_control.sim.flight import prepare
from liquid_control.sim.learning import WORLD
from liquid_control.sim.scenario import read_world
from liquid_control.sim.sensors.truth import TruthConfig
from liquid_control.structs import TRUTH
from liquid_control.vehicles.quadrotor.geometric import OBSERVER, GeometricController

NOTE = ("true_pos_error", "true_ang_vel", "true_specific_force", "true_wind")


class Geometric:
    """The geometric controller, which also looks at the truth if told to."""

    def __init__(self, rules):
        self.inner = GeometricController(rules.backup.controller.gains)
        self.seen = []

    def reset(self):
        self.inner.reset()
        self.seen.clear()

    def step(self, observation, dt):
        self.seen.append(observation[OBSERVER.layout.size :])
        return self.inner.step(observation[: OBSERVER.layout.size], dt)


class Plain(Geometric):
    observation = OBSERVER.layout.names


class Told(Geometric):
    observation = (*OBSERVER.layout.names, *NOTE)


def fly(policy, world="hover_gusts", **changes):
    scenario = read_world(world, {"duration": 4.0, **changes}, source="test")
    flight = prepare(scenario, policy)
    frames = []

    def keep(world, step: LoopStep):
        frames.append(world.plant.wind)

    with flight.world(5) as world:
        log = flight.fly(world, on_step=keep)
    return flight, log


def test_it_tells_what_is_true():
    ideal = {"imu": "imu_ideal", "vehicle": "hummingbird", "payload": {"mass": 0.05, "below": 0.1}}
    flight, log = fly(Told, **ideal)
    seen = np.array(flight.loop.policy._inner.seen).reshape(-1, 4, 3)
    truth = log.truth
    assert set(log.mode[1:]) == {"policy"}
    late, seen = slice(-250, None), seen[-250:]
    quat, error = truth.quat_world_body[late], (log.setpoint_pos_world - truth.pos_world)[late]
    for k in range(0, 250, 10):
        np.testing.assert_allclose(rotate(quat[k], seen[k, 0]), error[k], atol=1e-9)
        np.testing.assert_allclose(rotate(quat[k], seen[k, 3]), log.wind_world[late][k], atol=1e-9)
    np.testing.assert_allclose(seen[:, 1], truth.ang_vel_body[late], atol=1e-12)
    np.testing.assert_allclose(seen[:, 2], log.imu.specific_force_body[late], atol=1e-6)
    assert np.ptp(log.wind_world, axis=0).max() > 1.0


def test_flights_with_and_without_it_are_paired():
    """Same start, wind, vehicle and errors of the sensors, to the bit."""
    _, plain = fly(Plain)
    flight, told = fly(Told)
    assert TRUTH in flight.scenario.sensors
    np.testing.assert_array_equal(plain.truth.pos_world, told.truth.pos_world)
    np.testing.assert_array_equal(plain.command, told.command)
    np.testing.assert_array_equal(plain.imu.ang_vel_body, told.imu.ang_vel_body)


def test_only_who_asks_gets_it():
    assert TRUTH not in prepare(WORLD, Plain).scenario.sensors
    assert prepare(WORLD, Told).scenario.sensors == {TRUTH: TruthConfig()}


def test_a_late_or_blind_odometry_does_not_reach_it():
    odometry = {"extends": "mocap", "position_noise": 0.05, "delay": 0.1}
    flight, log = fly(Told, odometry=odometry)
    seen = np.array(flight.loop.policy._inner.seen).reshape(-1, 4, 3)[-100:]
    for k in range(0, 100, 10):
        np.testing.assert_allclose(
            rotate(log.truth.quat_world_body[-100 + k], seen[k, 0]),
            (log.setpoint_pos_world - log.truth.pos_world)[-100 + k],
            atol=1e-9,
        )


def test_another_sensor_of_its_name_is_refused():
    scenario = read_world("hover_calm", {}, source="test")
    scenario = scenario.model_copy(update={"sensors": {TRUTH: TruthConfig()}})
    with pytest.raises(ConfigError, match=r"hover_calm: sensors\.truth: the policy observes"):
        prepare(scenario, Told)
    prepare(scenario, Plain)


def test_environments_tell_it_to_who_asks():
    gymnasium = pytest.importorskip("gymnasium")
    import liquid_control.sim.gym_env  # noqa: F401

    def first(**options):
        with gymnasium.make("LiquidControl/QuadHover-v0", **options) as one:
            one.reset(seed=3)
            return one.step(np.zeros(4, np.float32))[0]

    slots = ["true_wind", "pos_error", "true_pos_error"]
    seen = first(slots=slots)
    assert np.linalg.norm(seen[:3]) > 0.3
    assert 0 < np.abs(seen[3:6] - seen[6:]).max() < 0.1
    np.testing.assert_array_equal(seen[3:6], first(slots=["pos_error"]))
    many = gymnasium.make_vec(
        "LiquidControl/QuadHover-v0", 4, vectorization_mode="vector_entry_point", slots=slots
    )
    many.reset(seed=3)
    seen = many.step(np.zeros((4, 4), np.float32))[0]
    assert (np.linalg.norm(seen[:, :3], axis=1) > 0.3).all()
    many.close()
