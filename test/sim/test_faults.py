"""Faults on the timeline of a world."""

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.sim.scenario import read_world
from liquid_control.sim.world import World
from liquid_control.structs import GRAVITY, RATES_THRUST
from liquid_control.vehicles.catalogue import load_vehicle

HOVER = RATES_THRUST.command(*RATES_THRUST.neutral)


def fly(world, steps):
    return [world.step(HOVER) for _ in range(steps)]


def test_motor_fault_begins_and_ends(make_world):
    fault = {"kind": "motor", "at": 0.2, "until": 0.3, "rotor": 0, "efficiency": 0.5}
    world = make_world(faults=[fault])
    frames = fly(world, 40)
    force = np.array([f.imu.sample.specific_force_body[2] for f in frames])
    np.testing.assert_allclose(force[:20], GRAVITY, rtol=0.01)
    assert np.all(force[21:30] < 0.95 * GRAVITY)
    assert force[39] > 0.97 * GRAVITY
    assert frames[25].imu.sample.ang_vel_body[0] < 0  # rolls towards the weak front left rotor


def test_a_dropped_load_lifts_the_vehicle(make_world):
    """The autopilot knows the nominal mass only."""
    world = make_world(faults=[{"kind": "mass", "at": 0.1, "until": None, "factor": 0.8}])
    frames = fly(world, 30)
    assert frames[5].imu.sample.specific_force_body[2] == pytest.approx(GRAVITY, rel=0.01)
    assert frames[29].imu.sample.specific_force_body[2] == pytest.approx(GRAVITY / 0.8, rel=0.03)


def test_a_gust_on_the_timeline(make_world):
    world = make_world(faults=[{"kind": "gust", "at": 0.1, "until": 0.2, "velocity": [0, 3, 0]}])
    fly(world, 9)
    np.testing.assert_array_equal(world.wind_world, 0)
    fly(world, 5)
    np.testing.assert_array_equal(world.wind_world, [0, 3, 0])
    fly(world, 10)
    np.testing.assert_array_equal(world.wind_world, 0)


def imu_after(make_world, steps, **fault):
    world = make_world(imu="imu_bmi088", faults=[{"at": 0.1, "until": 0.2, **fault}])
    return [frame.imu.sample for frame in fly(world, steps)]


def test_sensor_dropout_leaves_the_last_sample(make_world):
    imu = imu_after(make_world, 30, kind="sensor_dropout", sensor="imu")
    stamps = [sample.stamp // 10_000_000 for sample in imu]
    assert stamps == [*range(1, 10), *[9] * 10, *range(20, 31)]


def test_sensor_freeze_has_new_stamps_on_old_values(make_world):
    imu = imu_after(make_world, 30, kind="sensor_freeze", sensor="imu")
    assert [sample.stamp // 10_000_000 for sample in imu] == list(range(1, 31))
    frozen = np.array([sample.ang_vel_body for sample in imu[8:19]])
    np.testing.assert_array_equal(frozen, frozen[:1].repeat(11, axis=0))
    assert np.all(imu[19].ang_vel_body != frozen[0])


def test_sensor_nan(make_world):
    imu = imu_after(make_world, 30, kind="sensor_nan", sensor="imu")
    finite = [bool(np.isfinite(s.ang_vel_body).all()) for s in imu]
    assert finite == [True] * 9 + [False] * 10 + [True] * 11


def test_sensor_delay(make_world):
    imu = imu_after(make_world, 30, kind="sensor_delay", sensor="imu", seconds=0.05)
    stamps = [sample.stamp // 10_000_000 for sample in imu]
    assert stamps == [*range(1, 10), *range(5, 15), *range(20, 31)]


def test_sensor_bias_jump(make_world):
    faults = [
        {
            "kind": "sensor_bias",
            "at": 0.1,
            "until": None,
            "sensor": "odometry",
            "quantity": "pos_world",
            "offset": [1, 0, 0],
        }
    ]
    world = make_world(faults=faults)
    frames = fly(world, 20)
    errors = frames[-1].odometry.sample.pos_world - world.state.pos_world
    np.testing.assert_allclose(errors, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(frames[5].odometry.sample.pos_world[0], 0, atol=1e-3)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "motor", "at": 1.0, "rotor": 4, "efficiency": 0.5}, "rotor"),
        ({"kind": "mass", "at": 2.0, "until": 1.0, "factor": 2.0}, "until must come after at"),
        (
            {
                "kind": "sensor_bias",
                "at": 0.0,
                "sensor": "imu",
                "quantity": "pos_world",
                "offset": [0, 0, 0],
            },
            "quantity must be one of",
        ),
    ],
)
def test_mistakes_are_named(make_world, fault, message):
    with pytest.raises(ConfigError, match=message):
        make_world(faults=[fault])


def test_spread_payload_and_battery_reach_the_vehicle(make_world):
    def lift(**changes):
        world = make_world(start={"pos": [0, 0, 9.0]}, **changes)
        return fly(world, 60)[-1].imu.sample.specific_force_body[2]

    assert lift() == pytest.approx(GRAVITY, rel=0.01)
    assert lift(payload={"mass": 0.003, "below": 0.02}) == pytest.approx(GRAVITY * 0.9, rel=0.02)
    full, low = lift(battery_charge=1.0), lift(battery_charge=0.2)
    assert low < 0.9 * full
    assert abs(lift(vehicle_spread=1.0) / GRAVITY - 1) > 0.01


def test_an_obstacle_is_a_crash(make_world):
    wall = {
        "shape": "box",
        "pos": [1.0, 0.0, 1.0],
        "size": [0.1, 2.0, 2.0],
        "yaw_deg": 0.0,
        "color": [1, 0, 0],
    }
    wind = [{"kind": "steady", "speed": 8.0, "toward_deg": 0.0}]
    world = make_world(obstacles=[wall], wind=wind)
    while not world.crashed and world.time_ns < 5e9:
        world.step(HOVER)
    assert world.crash_reason == "hit an obstacle"
    assert world.state.pos_world[0] == pytest.approx(0.9, abs=0.05)


def test_the_seed_picks_what_a_fault_leaves_open(make_world):
    """Each fault has a stream of its own, so that another one changes none of the others."""
    motor = {"kind": "motor", "at": {"uniform": [0.05, 0.15]}, "rotor": 0, "efficiency": 0.0}
    gust = {"kind": "gust", "at": 0.0, "velocity": [0, {"uniform": [1.0, 5.0]}, 0]}

    def flight(seed, *faults):
        world = make_world(faults=list(faults), seed=seed)
        roll_rates = [f.imu.sample.ang_vel_body[0] for f in fly(world, 20)]
        return world.wind_world[1], np.array(roll_rates)

    first, again, other = flight(1, motor, gust), flight(1, motor, gust), flight(2, motor, gust)
    assert first[0] == again[0]
    assert 1.0 <= first[0] <= 5.0
    assert first[0] != other[0]
    np.testing.assert_array_equal(first[1], again[1])
    begins = [int(np.argmax(flight(seed, motor)[1] < -0.5)) for seed in range(1, 6)]
    assert len(set(begins)) > 2
    assert all(4 <= begin <= 17 for begin in begins)
    assert begins[0] == int(np.argmax(first[1] < -0.5))


def test_an_end_that_may_come_before_the_begin_is_named(make_world):
    fault = {"kind": "mass", "at": {"uniform": [1.0, 3.0]}, "until": 2.0, "factor": 2.0}
    with pytest.raises(ConfigError, match=r"until must come after at \(3 s\), got 2 s"):
        make_world(faults=[fault])


def test_a_constant_force_accelerates_as_newton_has_it(make_world):
    force = {"kind": "force", "at": 0.0, "until": 0.2, "force": [0.0, 0.027, 0.0]}
    world = make_world(faults=[force], start={"pos": [0, 0, 5.0]})
    start = world.state
    frames = fly(world, 20)
    np.testing.assert_allclose(world.state.vel_world[1], 0.2, rtol=0.05)  # 0.027 N / 0.027 kg
    np.testing.assert_allclose(world.state.pos_world[1] - start.pos_world[1], 0.02, rtol=0.05)
    assert frames[10].imu.sample.specific_force_body[1] == pytest.approx(1.0, abs=0.05)
    fly(world, 5)
    assert abs(world.state.vel_world[1] - 0.2) < 0.01


def roll_after(make_world, steps, **fault):
    """Body rate about x after ``steps`` of a commanded 2 rad/s."""
    world = make_world(faults=[{"at": 0.0, **fault}] if fault else [], start={"pos": [0, 0, 5.0]})
    for _ in range(steps):
        frame = world.step(RATES_THRUST.command(GRAVITY, 2.0, 0.0, 0.0))
    return frame.imu.sample.ang_vel_body[0]


def test_rate_loop_and_motors_may_be_slower_or_faster(make_world):
    usual = roll_after(make_world, 8)
    assert roll_after(make_world, 8, kind="rate_loop", factor=0.3) < 0.6 * usual
    assert roll_after(make_world, 4, kind="motor_lag", factor=0.0) > 1.5 * roll_after(make_world, 4)
    assert roll_after(make_world, 8, kind="motor_lag", factor=1.0) == usual
    assert roll_after(make_world, 8, kind="rate_loop", factor=1.0) == usual


def test_rotors_may_have_less_thrust(make_world):
    def climb(**fault):
        world = make_world(faults=[{"at": 0.0, **fault}] if fault else [])
        for _ in range(40):
            frame = world.step(RATES_THRUST.command(21.0, 0.0, 0.0, 0.0))
        return frame.imu.sample.specific_force_body[2]

    assert climb(kind="max_thrust", factor=1.0) == climb()
    assert climb(kind="max_thrust", factor=0.7) / climb() == pytest.approx(0.74, abs=0.04)


def test_a_sensor_may_read_zero(make_world):
    zero = {"kind": "sensor_zero", "at": 0.0, "sensor": "imu", "quantity": "specific_force_body"}
    frame = fly(make_world(faults=[zero]), 3)[-1]
    np.testing.assert_array_equal(frame.imu.sample.specific_force_body, 0)
    with pytest.raises(ConfigError, match="quantity must be one of"):
        make_world(faults=[{**zero, "sensor": "odometry"}])


def test_an_attitude_may_be_off(make_world):
    error = {"kind": "attitude_error", "at": 0.0, "rotation_deg": [5.0, 0.0, 0.0]}
    frame = fly(make_world(faults=[error]), 3)[-1]
    x, y, z, _ = frame.odometry.sample.quat_world_body
    assert np.degrees(2 * np.arcsin(x)) == pytest.approx(5.0, abs=0.01)
    np.testing.assert_allclose([y, z], 0, atol=1e-3)


def drive(faults, steps=100):
    """What a parked camera shows at each step of 20 ms."""
    scenario = read_world("lane_keeping", {"faults": faults})
    with World(scenario, load_vehicle("car"), 1) as world:
        return [world.step(None).image.sample for _ in range(steps)]


def test_a_camera_freezes_and_goes_on():
    seen = drive([{"kind": "sensor_freeze", "sensor": "image", "at": 0.5, "until": 1.0}])
    healthy = drive([])
    for k, (image, other) in enumerate(zip(seen, healthy, strict=True)):
        assert image.stamp == other.stamp
        frozen = 25 <= k + 1 < 50
        np.testing.assert_array_equal(image.rgb, healthy[23].rgb if frozen else other.rgb)


@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_camera_shows_one_grey(level):
    seen = drive([{"kind": "image_blank", "at": 0.2, "level": level}], 20)
    assert (seen[-1].rgb == level).all()
    assert np.ptp(seen[2].rgb) > 50


@pytest.mark.parametrize("shift", ["bright", "dark", "patches", "noise"])
def test_a_camera_that_sees_otherwise_is_the_same_twice(shift):
    fault = {"kind": "image_shift", "at": 0.0, "shift": shift, "strength": 0.7}
    first, second = drive([fault], 8), drive([fault], 8)
    for a, b, healthy in zip(first, second, drive([], 8), strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)
        assert np.abs(a.rgb.astype(int) - healthy.rgb).mean() > 3


def test_how_far_things_are_is_not_known_to_a_fault():
    with pytest.raises(ConfigError, match="shift"):
        drive([{"kind": "image_shift", "at": 0.0, "shift": "fog", "strength": 0.7}])
