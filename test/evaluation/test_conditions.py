"""Every condition of the shipped suite does what it says."""

import numpy as np
import pybullet
import pytest

from liquid_control.evaluation.suite.config import load_suite
from liquid_control.evaluation.suite.flights import fly_cell
from liquid_control.sim.world import World
from liquid_control.structs import RATES_THRUST

HOVER = RATES_THRUST.command(*RATES_THRUST.neutral)
MASS = 0.027  # kg


@pytest.fixture(scope="module")
def cells():
    """The cells of one policy, by condition."""
    return {cell.condition: cell for cell in load_suite("storm").cells if cell.policy == "liquid"}


@pytest.fixture
def world(cells):
    """Opens the world of a condition after some control periods of hover commands."""
    opened = []

    def make(condition, steps=1, seed=1):
        setting = cells[condition].setting
        opened.append(World(setting.scenario, setting.vehicle, seed))
        for _ in range(steps):
            opened[-1].step(HOVER)
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def _mass(world):
    engine = world.plant._engine
    return pybullet.getDynamicsInfo(engine.body, -1, physicsClientId=engine.client)[0]


def _winds(world, seconds):
    """Wind at the vehicle every control period."""
    return np.array(
        [world.step(HOVER) and world.wind_world for _ in range(round(seconds * world.control_rate))]
    )


@pytest.mark.parametrize(
    ("condition", "mass"),
    [
        ("moderate", MASS),
        ("mass_up_30", 1.3 * MASS),
        ("mass_up_50", 1.5 * MASS),
        ("mass_down_30", 0.7 * MASS),
        ("mass_down_50", 0.5 * MASS),
        ("payload", MASS + 0.008),
        ("hummingbird", 0.5),
        ("combined", 1.3 * MASS),
    ],
)
def test_mass(world, condition, mass):
    assert _mass(world(condition)) == pytest.approx(mass)


@pytest.mark.parametrize(
    ("condition", "efficiency"), [("motor_15", 0.85), ("motor_25", 0.75), ("combined", 0.85)]
)
def test_one_weak_rotor_turns_the_vehicle_over(world, condition, efficiency):
    weak, healthy = world(condition, 20), world("calm", 20)
    assert weak.plant._params.efficiency == (efficiency, 1.0, 1.0, 1.0)
    assert np.abs(weak.state.ang_vel_body).max() > 5 * np.abs(healthy.state.ang_vel_body).max()


def test_other_vehicles_differ(world):
    masses = [_mass(world("other_vehicles", seed=seed)) for seed in range(4)]
    assert np.std(masses) > 0.01 * MASS


@pytest.mark.parametrize(("condition", "factor"), [("noise_x3", 3), ("noise_x6", 6)])
def test_noise_of_every_sensor(world, condition, factor):
    def noise(name):
        """Standard deviations of position, velocity and gyro about the truth."""
        here, rows = world(name), []
        for _ in range(500):
            frame, truth = here.step(HOVER), here.state
            gyro = frame.imu.sample.ang_vel_body - truth.ang_vel_body
            rows.append([*(frame.odometry.sample.pos_world - truth.pos_world), *gyro])
            if np.linalg.norm(truth.pos_world) > 2:
                break
        return np.std(rows, axis=0)

    plain, noisy = noise("moderate"), noise(condition)
    np.testing.assert_allclose(noisy[:3] / plain[:3], factor, rtol=0.25)
    assert (noisy[3:] / plain[3:] > 0.5 * factor).all()


@pytest.mark.parametrize(
    ("condition", "periods"), [("moderate", 0), ("delay_20ms", 2), ("delay_40ms", 4)]
)
def test_odometry_is_late(world, condition, periods):
    here = world(condition, 10)
    frame = here.step(HOVER)
    assert frame.odometry.age == pytest.approx(periods * 0.01)


@pytest.mark.parametrize(("condition", "share"), [("dropout_30", 0.3), ("dropout_60", 0.6)])
def test_odometry_is_lost(world, condition, share):
    here = world(condition, 20)
    stamps = [here.step(HOVER).odometry.sample.stamp for _ in range(400)]
    assert np.mean(np.diff(stamps) == 0) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize(
    ("condition", "rate"), [("rate_200", 200), ("rate_50", 50), ("rate_33", 33), ("calm", 100)]
)
def test_rates_of_control(world, condition, rate):
    here = world(condition, rate)
    assert here.time_ns == 1_000_000_000
    ages = [here.step(HOVER).odometry.age for _ in range(2)]
    assert min(ages) == 0  # odometry comes at 100 Hz at most
    assert max(ages) == pytest.approx(0.005 if rate == 200 else 0.0)


def test_uneven_steps(cells):
    log = fly_cell(cells["rate_jittered"], 3)
    gaps = np.diff(log.time[np.isfinite(log.step_us)])
    values, counts = np.unique(np.round(gaps, 6), return_counts=True)
    np.testing.assert_allclose(values, [0.005, 0.010, 0.015])
    assert counts.min() > 0.25 * counts.sum()


def test_steady_wind_blows(world):
    np.testing.assert_allclose(np.linalg.norm(_winds(world("steady_4"), 0.5), axis=1), 4.0)
    assert not _winds(world("calm"), 0.5).any()


def test_one_gust_of_4_metres_a_second(world):
    for seed in range(3):
        speed = np.linalg.norm(_winds(world("gust", seed=seed), 10.0), axis=1)
        assert speed.max() == pytest.approx(4.0, abs=0.02)
        blowing = np.flatnonzero(speed > 0)
        assert 0.4 < len(blowing) * 0.01 < 1.6
        assert (np.diff(blowing) == 1).all()
        assert blowing[0] * 0.01 >= 3.4


def test_stronger_dryden_turbulence_is_stronger(world):
    names = ("dryden_light", "dryden_moderate", "dryden_severe")
    sizes = [
        np.mean([_winds(world(name, seed=seed), 3.0).std() for seed in range(3)]) for name in names
    ]
    np.testing.assert_allclose(np.array(sizes) / sizes[0], [1, 2, 3], rtol=0.1)


def test_severe_blows_harder_than_moderate(world):
    moderate, severe = (
        np.mean([np.linalg.norm(_winds(world(n, seed=s), 3.0), axis=1).mean() for s in range(3)])
        for n in ("moderate", "severe")
    )
    assert severe > 1.8 * moderate


def test_the_fan_is_crossed(cells):
    log = fly_cell(cells["fan"], 3)
    wind = np.linalg.norm(log.wind_world, axis=1)
    assert wind.max() > 4
    passes = np.count_nonzero(np.diff((wind > 2).astype(int)) == 1)
    assert passes == 4


@pytest.mark.parametrize(("condition", "tilt_deg"), [("recovery_60", 60), ("recovery_150", 150)])
def test_recovery_begins_tilted(world, condition, tilt_deg):
    x, y, _, _ = world(condition, steps=0).state.quat_world_body
    assert np.rad2deg(np.arccos(1 - 2 * (x * x + y * y))) == pytest.approx(tilt_deg)


@pytest.mark.parametrize(("condition", "jumps"), [("steps", 4), ("waypoints", 0)])
def test_setpoints_jump_or_glide(cells, condition, jumps):
    log = fly_cell(cells[condition], 3)
    moved = np.linalg.norm(np.diff(log.setpoint_pos_world, axis=0), axis=1)
    assert np.count_nonzero(moved > 0.1) == jumps
    assert np.ptp(log.setpoint_pos_world, axis=0).min() > 0.4
