"""The pose source: noise, rate, delay, dropouts, drift."""

import numpy as np
import pytest

from liquid_control.config import load_yaml, share_dir
from liquid_control.frames import quat_conjugate, quat_multiply
from liquid_control.sim.sensors.odometry import Odometry, OdometryConfig
from liquid_control.structs import RATES_THRUST

RATE = 100
POS, VEL, RATES = (1.0, 2.0, 3.0), (0.0, 2.0, 0.0), (0.1, 0.2, 0.3)
HEADING_NORTH = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))


def run(steps, **changes):
    config = load_yaml(share_dir() / "sim_worlds/sensors/odometry_ideal.yaml", OdometryConfig)
    source = Odometry(config.model_copy(update=changes), np.random.default_rng(5), RATE)
    return [source.measure(k * 10_000_000, POS, HEADING_NORTH, VEL, RATES) for k in range(steps)]


def test_ideal_is_the_truth_with_the_twist_in_the_body_frame():
    (sample,) = run(1)
    np.testing.assert_allclose(sample.pos_world, POS)
    np.testing.assert_allclose(sample.vel_body, [2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(sample.ang_vel_body, RATES)


def test_noise_has_the_sizes_of_the_yaml():
    sizes = {
        "position_noise": 0.5,
        "altitude_noise": 0.8,
        "velocity_noise": 0.1,
        "attitude_noise": 0.02,
        "ang_vel_noise": 0.03,
    }
    samples = run(4000, **sizes)
    pos = np.std([s.pos_world for s in samples], axis=0)
    np.testing.assert_allclose(pos, [0.5, 0.5, 0.8], rtol=0.06)
    np.testing.assert_allclose(np.std([s.vel_body for s in samples], axis=0), 0.1, rtol=0.06)
    np.testing.assert_allclose(np.std([s.ang_vel_body for s in samples], axis=0), 0.03, rtol=0.06)
    truth = quat_conjugate(np.array(HEADING_NORTH))
    angles = [2 * quat_multiply(truth, s.quat_world_body)[:3] for s in samples]
    np.testing.assert_allclose(np.std(angles, axis=0), 0.02, rtol=0.06)


def test_rate_and_delay():
    stamps = [
        None if s is None else s.stamp // 10_000_000 for s in run(12, update_rate=25, delay=0.03)
    ]
    assert stamps == [None, None, None, 0, 0, 0, 0, 4, 4, 4, 4, 8]


def test_dropouts():
    samples = run(4000, dropout=0.3)
    stamps = [s.stamp for s in samples if s is not None]
    fresh = np.mean(np.diff(stamps) > 0)
    assert fresh == pytest.approx(0.7, abs=0.03)


def test_drift_is_slow_and_bounded():
    samples = np.array([s.pos_world for s in run(20000, drift=1.0, drift_time=2.0)]) - POS
    assert np.abs(samples[0]).max() < 0.3  # the frame has its origin where the vehicle started
    np.testing.assert_allclose(samples.std(axis=0), 1.0, rtol=0.25)
    # increments of a Gauss–Markov process over one period
    np.testing.assert_allclose(np.diff(samples, axis=0).std(axis=0), 0.1, rtol=0.05)


def test_the_altitude_may_drift_otherwise():
    rows = run(20000, drift=1.0, altitude_drift=0.2, drift_time=2.0)
    samples = np.array([s.pos_world for s in rows])
    np.testing.assert_allclose(samples.std(axis=0), [1.0, 1.0, 0.2], rtol=0.25)


def test_gps_is_late_and_slow(make_world):
    world = make_world(odometry="gps")
    frames = [world.step(RATES_THRUST.command(*RATES_THRUST.neutral)) for _ in range(60)]
    assert frames[10].odometry is None
    ages = [f.imu.sample.stamp - f.odometry.sample.stamp for f in frames[20:]]
    assert min(ages) == 120_000_000
    assert max(ages) >= 210_000_000
    assert len({f.odometry.sample.stamp for f in frames[20:]}) <= 5
