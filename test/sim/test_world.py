"""The PyBullet world against the batched dynamics, and its contract."""

import numpy as np
import pytest

from liquid_control.config import ConfigError, read_yaml, share_dir
from liquid_control.frames import quat_from_yaw
from liquid_control.sim.compiled import compile_kernel
from liquid_control.sim.scenario import read_world
from liquid_control.structs import GRAVITY, RATES_THRUST
from liquid_control.vehicles.quadrotor import step
from liquid_control.vehicles.quadrotor.autopilot import rotor_speed_command
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState, advance
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

HOVER = RATES_THRUST.command(*RATES_THRUST.neutral)
STEADY = [{"kind": "steady", "speed": 3.0, "toward_deg": 200.0}]


def random_commands(rng, steps):
    """Band-limited thrust and rates, an upright flight most of the time."""
    thrust = GRAVITY + np.cumsum(rng.normal(size=steps)) * 0.1
    rates = rng.normal(size=(steps // 10 + 1, 3)).repeat(10, axis=0) * [2, 2, 1]
    return [RATES_THRUST.command(float(t), *r) for t, r in zip(thrust, rates, strict=False)]


def test_world_agrees_with_the_batched_dynamics(make_world, vehicle, rng):
    """5 s of random flight in wind, equal step: within 1 cm (field: semi-implicit Euler)."""
    params, loop = QuadrotorParams.from_vehicle(vehicle), RateLoopParams.from_vehicle(vehicle)
    world = make_world(wind=STEADY, start={"pos": [0.0, 0.0, 500.0]})
    state = QuadrotorState(*world.state, np.array(world.plant.actuators))
    wind = world.wind_world
    dt = 1 / world.scenario.physics_rate
    for command in random_commands(rng, 500):
        frame = world.step(command)
        for _ in range(world.scenario.substeps):
            speeds = rotor_speed_command(
                command["thrust"][0], np.array(command["ang_vel"]), state.ang_vel_body, loop
            )
            state, force = advance(state, speeds, wind, params, dt)
        np.testing.assert_allclose(frame.imu.sample.specific_force_body, force, atol=1e-3)
    assert np.ptp(state.pos_world) > 1
    np.testing.assert_allclose(world.state.pos_world, state.pos_world, atol=1e-4)
    np.testing.assert_allclose(world.state.quat_world_body, state.quat_world_body, atol=1e-4)
    np.testing.assert_allclose(world.plant.actuators, state.rotor_speed, rtol=1e-4)


def test_packing_keeps_every_parameter(vehicle):
    params, loop = QuadrotorParams.from_vehicle(vehicle), RateLoopParams.from_vehicle(vehicle)
    assert step.unpack(step.pack(params, loop)) == (params, loop)


def test_compiled_kernel_is_the_plain_one(vehicle, rng):
    pytest.importorskip("numba")
    params, loop = QuadrotorParams.from_vehicle(vehicle), RateLoopParams.from_vehicle(vehicle)
    for _ in range(50):
        quat = rng.normal(size=4)
        numbers = (
            tuple(rng.uniform(0, 2, 3)),
            tuple(quat / np.linalg.norm(quat)),
            *(tuple(3 * rng.normal(size=3)) for _ in range(3)),
            tuple(rng.normal(size=4) * [5, 4, 4, 2] + [10, 0, 0, 0]),
            1.0,
            tuple(rng.uniform(0, 2200, 4)),
            0.95,
            0.9,
            0.002,
            step.pack(params, loop),
        )
        fast = compile_kernel(step.vehicle_wrench)(*numbers)
        plain = step.vehicle_wrench(*numbers)
        for a, b in zip(fast, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_seed_is_a_flight(make_world):
    def flight(world):
        world.reset()
        frames = [world.step(HOVER) for _ in range(100)]
        odometry = np.concatenate([f.odometry.sample.pos_world for f in frames])
        imu = np.concatenate([f.imu.sample.specific_force_body for f in frames])
        return np.concatenate([odometry, imu, world.state.pos_world, world.wind_world])

    noisy = {
        "imu": "imu_bmi088",
        "odometry": "mocap",
        "wind": [*STEADY, {"kind": "turbulence", "sigma": [1, 1, 1], "length": [2, 2, 2]}],
        "start": {"pos_spread": 0.1},
    }
    first, same = make_world(seed=0, **noisy), make_world(seed=0, **noisy)
    reference = flight(first)
    np.testing.assert_array_equal(flight(same), reference)
    np.testing.assert_array_equal(flight(first), reference)  # reset, after a flight
    other = flight(make_world(seed=1, **noisy))
    assert not np.any(other == reference)


def test_time_is_exact(make_world):
    sensors = {
        key: {**read_yaml(share_dir() / f"sim_worlds/sensors/{key}_ideal.yaml"), "update_rate": 300}
        for key in ("imu", "odometry")
    }
    world = make_world(control_rate=300, physics_rate=900, **sensors)
    for _ in range(300):
        frame = world.step(HOVER)
    assert world.time_ns == 1_000_000_000
    assert frame.imu.sample.stamp == world.time_ns


@pytest.mark.parametrize("yaw_deg", [0.0, 135.0])
def test_a_north_wind_pushes_south_in_the_world_too(make_world, yaw_deg):
    wind = [{"kind": "steady", "speed": 5.0, "toward_deg": -90.0}]
    world = make_world(wind=wind, start={"yaw_deg": yaw_deg})
    np.testing.assert_allclose(world.state.quat_world_body, quat_from_yaw(np.deg2rad(yaw_deg)))
    for _ in range(50):
        world.step(HOVER)
    east, north, _ = world.state.pos_world
    assert north < -0.05
    assert abs(east) < 1e-3


def test_rest_on_the_ground(make_world, vehicle):
    world = make_world(
        start={"place": "ground", "pos": [0, 0, 0]},
        task=[{"kind": "takeoff", "height": 1.0, "duration": 9.0}],
    )
    for _ in range(100):
        frame = world.step(None)
    assert not world.crashed
    np.testing.assert_allclose(frame.imu.sample.specific_force_body, [0, 0, GRAVITY], atol=1e-2)
    np.testing.assert_allclose(frame.imu.sample.ang_vel_body, 0, atol=1e-3)
    np.testing.assert_allclose(world.state.pos_world[2], vehicle.collision_size[2] / 2, atol=1e-3)
    np.testing.assert_array_equal(world.plant.actuators, 0)


def test_lost_commands_end_in_a_gentle_landing(make_world):
    world = make_world(duration=30.0)
    world.step(RATES_THRUST.command(GRAVITY, 1.0, 0.5, 0.0))
    held = [world.step(None) for _ in range(20)]
    assert not world.plant.failsafe
    np.testing.assert_allclose(held[-1].imu.sample.ang_vel_body[:2], [1.0, 0.5], atol=0.15)
    for _ in range(1200):
        world.step(None)
    assert world.plant.failsafe
    assert not world.crashed
    assert world.state.pos_world[2] < 0.03
    np.testing.assert_allclose(world.plant.actuators, 0, atol=1)


@pytest.mark.parametrize(
    ("thrust", "arena", "reason"),
    [
        (0.0, {}, "hit the ground at"),
        (
            2 * GRAVITY,
            {"max_distance": 2.0},
            "from the setpoint",
        ),
        (
            0.93 * GRAVITY,
            {"max_impact_speed": 9.0},
            "touched the ground",
        ),
    ],
)
def test_crashes_are_named(make_world, thrust, arena, reason):
    world = make_world(arena=arena)
    for _ in range(400):
        world.step(RATES_THRUST.command(thrust, 0.0, 0.0, 0.0))
        if world.crashed:
            break
    assert world.crashed
    assert reason in world.crash_reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control_rate": 120}, "control_rate must divide physics_rate, got 120 Hz and 500 Hz"),
        ({"physics_rate": 200}, "physics_rate"),
        ({"wnid": []}, "wnid: unknown key"),
        ({"start": {"place": "moon"}}, "start.place"),
        ({"wind": [{"kind": "steady", "speed": 1.0}]}, "toward_deg: missing key"),
        ({"wind": [{"kind": "storm"}]}, "storm"),
        ({"imu": "imu_of_gold"}, "imu_of_gold"),
    ],
)
def test_mistakes_are_named(make_world, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_world(**changes)


def test_an_unknown_vehicle_is_named():
    with pytest.raises(ConfigError, match=r"hover_calm\.yaml: vehicle.*zeppelin"):
        read_world("hover_calm", {"vehicle": "zeppelin"})
