"""Velocities as a command: the autopilot's loop, its rules, its backup, and the flight."""

import math

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.frames import quat_from_rotation_vector, quat_from_yaw, quat_multiply
from liquid_control.runtime.catalogue import check_topic, make_loop, make_parameters, make_rules
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.sim.world import World
from liquid_control.structs import GRAVITY, VELOCITY
from liquid_control.vehicles.quadrotor.velocity_loop import VelocityLoop

RATES = {
    "control_rate": 50,
    "physics_rate": 400,
    "imu": {"update_rate": 200.0},
    "odometry": {"update_rate": 50.0},
    "arena": {"max_distance": 100.0},
}


def exact(vehicle, **changes):
    """Its velocity loop, on a velocity that is known without error."""
    config = vehicle.autopilot.velocity.model_copy(update={"error": 0.0, **changes})
    return VelocityLoop(config, np.random.default_rng(0))


class Steers:
    """Always the same velocity."""

    observation = ("ang_vel", "specific_force", "image_age")
    command_kind = "velocity"
    wanted = (0.0, 0.0, 0.0, 0.0)

    def step(self, observation, dt):
        return self.wanted


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_at_the_wanted_velocity_it_hovers_on(vehicle, yaw):
    loop = exact(vehicle)
    loop.wanted = (1.0, -0.5, 0.2, 0.3)
    vel = (
        math.cos(yaw) + 0.5 * math.sin(yaw),
        math.sin(yaw) - 0.5 * math.cos(yaw),
        0.2,
    )
    quat = tuple(quat_from_yaw(np.float64(yaw)).tolist())
    assert loop.step(quat, vel, (0.0, 0.0, 0.3), 0.005) == pytest.approx((GRAVITY, 0, 0, 0.3))


def test_it_turns_towards_the_wanted_force(vehicle, rng):
    """Each rotation that the rates begin brings thrust nearer to where the velocity is missing."""
    for _ in range(50):
        loop = exact(vehicle, integral_gain=0.0, climb_integral_gain=0.0)
        vel = rng.uniform(-1, 1, 3)
        quat = quat_multiply(
            quat_from_yaw(rng.uniform(-3, 3)), quat_from_rotation_vector(rng.uniform(-0.5, 0.5, 3))
        )
        thrust, *rates = loop.step(tuple(quat), tuple(vel), (0.0, 0.0, 0.0), 0.005)
        config = vehicle.autopilot.velocity
        wanted = -np.array([config.gain, config.gain, config.climb_gain]) * vel + [0, 0, GRAVITY]

        def axis(q):
            x, y, z, w = q
            return np.array([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)])

        assert thrust == pytest.approx(wanted @ axis(quat))
        later = quat_multiply(quat, quat_from_rotation_vector(0.02 * np.array(rates)))
        assert wanted @ axis(later) > wanted @ axis(quat)


def test_its_tilt_is_limited(vehicle):
    loop = exact(vehicle)
    loop.wanted = (3.0, 3.0, 0.0, 0.0)
    tilt = vehicle.autopilot.velocity.max_tilt
    _, roll, pitch, _ = loop.step((0.0, 0.0, 0.0, 1.0), (0.0,) * 3, (0.0,) * 3, 0.005)
    assert math.hypot(roll, pitch) == pytest.approx(vehicle.autopilot.velocity.tilt_gain * tilt)


def test_the_error_of_its_estimate_is_what_the_file_says(vehicle):
    """Standing still it is told to stand still; what it asks for is gain times the error."""
    config = vehicle.autopilot.velocity.model_copy(
        update={"integral_gain": 0.0, "climb_integral_gain": 0.0}
    )
    loop = VelocityLoop(config, np.random.default_rng(3))
    up = [
        (loop.step((0.0, 0.0, 0.0, 1.0), (0.0,) * 3, (0.0,) * 3, 0.1)[0] - GRAVITY)
        / -config.climb_gain
        for _ in range(20_000)
    ]
    assert np.std(up) == pytest.approx(config.error, rel=0.05)
    later = np.mean(np.array(up[10:]) * up[:-10]) / np.var(up)
    assert later == pytest.approx(math.exp(-1.0 / config.error_time), abs=0.06)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_flies_as_told_in_gusts(vehicle, seed):
    """Forward at 1 m/s, then turning on the spot; rotors differ, and the wind blows."""
    world = read_world("hover_gusts", {**RATES, "vehicle_spread": 1.0})
    with World(world, vehicle, seed) as flown:
        yaw, ahead = [], []
        for k in range(600):
            told = (1.0, 0.0, 0.0, 0.0) if k < 300 else (0.0, 0.0, 0.0, 0.5)
            flown.step(VELOCITY.command(*told))
            _, (x, y, z, w), vel, _ = flown.state
            yaw.append(math.atan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z)))
            ahead.append(vel[0] * math.cos(yaw[-1]) + vel[1] * math.sin(yaw[-1]))
    assert not flown.crashed
    assert np.mean(ahead[50:300]) == pytest.approx(1.0, abs=0.25)
    assert np.unwrap(yaw)[599] - np.unwrap(yaw)[349] == pytest.approx(2.5, abs=0.6)


def test_without_images_it_brakes_and_holds():
    """A policy that flies on at 1 m/s loses its camera after 3 s."""

    class Flies(Steers):
        wanted = (1.0, 0.0, 0.0, 0.0)

    fault = {"kind": "sensor_dropout", "sensor": "image", "at": 3.0, "until": 100.0}
    world = read_world(
        "hover_calm", {**RATES, "camera": "forward_camera", "duration": 8.0, "faults": [fault]}
    )
    flight = prepare(world, Flies)
    with flight.world(1) as flown:
        log = flight.fly(flown)
    modes = {mode: log.time[log.mode == mode] for mode in set(log.mode)}
    assert modes["halt"].min() == pytest.approx(3.3, abs=0.1)
    vel = np.linalg.norm(log.truth.vel_world, axis=1)
    assert vel[(log.time > 2.5) & (log.time < 3)].mean() == pytest.approx(1.0, abs=0.2)
    assert vel[log.time > 5].max() < 0.4
    assert not log.crashed


def test_what_its_autopilot_can_not_take_is_named(vehicle):
    autopilot = vehicle.autopilot.model_copy(update={"velocity": None})
    without = vehicle.model_copy(update={"autopilot": autopilot})
    with pytest.raises(ConfigError, match=r"autopilot\.velocity: expected the velocity loop"):
        make_rules(without, make_parameters(without), command="velocity")


def test_a_topic_carries_it(vehicle):
    flight = prepare(read_world("hover_calm", {**RATES, "camera": "forward_camera"}), Steers)
    check_topic(make_loop(flight.loop.policy, vehicle, make_parameters(vehicle)))
