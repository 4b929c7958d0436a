"""The input gate drops what is not fit, and dead-reckons past missing odometry."""

import numpy as np
import pytest
from readings import sensor_frame

from liquid_control.control.gate import InputGate
from liquid_control.parameters import InputGateParameters
from liquid_control.structs import GRAVITY, ImuSample, OdometrySample, SensorFrame

LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
DT = 0.01


def imu(stamp, force=(0.0, 0.0, GRAVITY), rate=(0.0, 0.0, 0.0)):
    return ImuSample(stamp, np.array(rate), np.array(force))


def odometry(stamp, pos=(0.0, 0.0, 1.0), quat=LEVEL, vel=(0.0, 0.0, 0.0)):
    return OdometrySample(stamp, np.array(pos), np.array(quat), np.array(vel), np.zeros(3))


@pytest.fixture
def gate():
    return InputGate(InputGateParameters())


def test_nothing_is_believed_before_both_sensors_came(gate):
    assert gate.update(sensor_frame(None, None), DT) is None
    assert gate.update(sensor_frame(imu(0), None), DT) is None
    estimate = gate.update(sensor_frame(imu(1), odometry(1)), DT)
    np.testing.assert_array_equal(estimate.pos_world, [0, 0, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["force", "rate"])
def test_an_imu_that_is_not_finite_is_dropped_and_ages(gate, bad, field):
    gate.update(sensor_frame(imu(0), odometry(0)), DT)
    broken = imu(1, **{field: (0.0, bad, 0.0)})
    estimate = gate.update(sensor_frame(broken, odometry(1)), DT)
    assert gate.faults == ("imu: not finite",)
    assert np.isfinite(estimate.specific_force_body).all()
    assert estimate.ages["imu"] == pytest.approx(DT)
    assert estimate.ages["odometry"] == 0


@pytest.mark.parametrize(
    ("sample", "fault"),
    [
        (odometry(5, pos=(np.nan, 0, 0)), "not finite"),
        (odometry(5, quat=(0, 0, 0, 0.9)), "norm 0.900"),
        (odometry(-5), "goes back"),
    ],
)
def test_bad_odometry_is_dropped_and_named(gate, sample, fault):
    gate.update(sensor_frame(imu(0), odometry(0)), DT)
    estimate = gate.update(sensor_frame(imu(5), sample), DT)
    assert fault in gate.faults[0]
    np.testing.assert_allclose(estimate.pos_world, [0, 0, 1])
    assert estimate.ages["odometry"] == pytest.approx(DT)


def test_age_of_a_delayed_sample_is_the_one_given(gate):
    estimate = gate.update(sensor_frame(imu(0), odometry(0), odometry_age=0.04), DT)
    assert estimate.ages["odometry"] == 0.04
    repeated = sensor_frame(imu(1), odometry(0), odometry_age=0.05)
    assert gate.update(repeated, DT).ages["odometry"] == pytest.approx(0.05)


def test_dead_reckoning_follows_free_fall_and_rotation(gate):
    gate.update(sensor_frame(imu(0), odometry(0, vel=(1.0, 0.0, 0.0))), DT)
    for k in range(1, 101):
        falling = imu(k, force=(0.0, 0.0, 0.0), rate=(0.0, 0.0, 1.0))
        estimate = gate.update(sensor_frame(falling, None), DT)
    from liquid_control.frames import rotate, yaw_from_quat

    assert yaw_from_quat(estimate.quat_world_body) == pytest.approx(0.99, abs=0.02)
    vel_world = rotate(estimate.quat_world_body, estimate.vel_body)
    np.testing.assert_allclose(vel_world, [1.0, 0.0, -GRAVITY], atol=0.12)
    np.testing.assert_allclose(estimate.pos_world, [1.0, 0.0, 1 - GRAVITY / 2], atol=0.12)


def test_late_odometry_is_brought_up_to_now():
    """A circle at constant speed and turn rate, seen 40 ms late."""
    gate, late, speed, turn = InputGate(InputGateParameters()), 4, 2.0, 1.5
    circle = [odometry(0)] * late
    for k in range(60):
        yaw = turn * k * DT
        pos = speed / turn * np.array([np.sin(yaw), 1 - np.cos(yaw), 0.0])
        quat = (0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))
        circle.append(odometry(k + 1, pos=pos, quat=quat, vel=(speed, 0.0, 0.0)))
        force = (0.0, speed * turn, GRAVITY)
        now = imu(k, force=force, rate=(0.0, 0.0, turn))
        frame = sensor_frame(now, circle[k], odometry_age=late * DT)
        estimate = gate.update(frame, DT)
        if k > late:
            np.testing.assert_allclose(estimate.pos_world, pos, atol=2e-3)
            np.testing.assert_allclose(estimate.quat_world_body, quat, atol=1e-6)
            np.testing.assert_allclose(estimate.vel_body, [speed, 0, 0], atol=2e-2)


@pytest.mark.parametrize("huge", [1e5, 1e308])
def test_measurements_beyond_reason_are_dropped_and_named(gate, huge):
    gate.update(sensor_frame(imu(0), odometry(0)), DT)
    bad = sensor_frame(imu(1, rate=(huge, 0, 0)), odometry(1, vel=(0, huge, 0)))
    estimate = gate.update(bad, DT)
    assert gate.faults == (
        f"imu: body rate of {huge:.3g} rad/s, limit 1000 rad/s",
        f"odometry: velocity of {huge:.3g} m/s, limit 1000 m/s",
    )
    np.testing.assert_allclose(estimate.pos_world, [0, 0, 1])


def test_estimate_that_was_reckoned_to_nonsense_is_given_up(gate):
    gate.update(sensor_frame(imu(0), odometry(0, vel=(1.0, 0.0, 0.0))), DT)
    spun = [
        gate.update(sensor_frame(imu(k, force=(9e3, 0, 0), rate=(0, 0, 900.0)), None), 1.0)
        for k in range(1, 400)
    ]
    assert spun[-1] is None
    assert gate.update(sensor_frame(imu(400), odometry(400)), DT) is not None


# Stamps. A control step is 10 ms.

STEP = 10_000_000  # ns


def feed(gate, imu_stamp, odometry_stamp):
    """A step with samples of these stamps that have just come; gives what was refused."""
    gate.update(sensor_frame(imu(imu_stamp), odometry(odometry_stamp)), DT)
    return gate.faults


@pytest.mark.parametrize("jump", [1.0, 1e6, -1.0, -1e6])
@pytest.mark.parametrize("sensor", [0, 1])
@pytest.mark.parametrize("samples", [1, 3])
def test_stamps_far_off_are_refused_and_the_next_good_one_is_taken(gate, jump, sensor, samples):
    start = 2_000_000 * 1_000_000_000
    for k in range(10 + samples):
        stamps = [start + k * STEP] * 2
        off = 5 <= k < 5 + samples
        if off:
            stamps[sensor] += round(jump * 1e9)
        faults = feed(gate, *stamps)
        assert len(faults) == off
        if off:
            assert ("imu: ", "odometry: ")[sensor] in faults[0]
            assert ("goes ahead" if jump > 0 else "goes back") in faults[0]
    assert gate.clocks == ()


def test_stamp_ahead_of_the_clock_of_the_ages_is_refused(gate):
    """In lockstep the age is against the clock of the stamps: no sample is from the future."""
    gate.update(SensorFrame.at(0, imu(0), odometry(0)), DT)
    gate.update(SensorFrame.at(STEP, imu(STEP + 1_000_000), odometry(STEP)), DT)
    assert gate.faults == ("imu: -0.001 s old, expected 0 or more",)


@pytest.mark.parametrize("shift", [-3600.0, -0.2, 7.0, 1e6])
def test_clock_that_was_set_is_followed_after_some_samples_that_agree(gate, shift):
    start = 4_000 * 1_000_000_000
    for k in range(5):
        assert feed(gate, start + k * STEP, start + k * STEP) == ()
    moved = start + round(shift * 1e9)
    needed = gate.parameters.new_clock_samples
    for k in range(5, 5 + needed - 1):
        assert len(feed(gate, moved + k * STEP, moved + k * STEP)) == 2
        assert gate.clocks == ()
    k = 5 + needed - 1
    assert feed(gate, moved + k * STEP, moved + k * STEP) == ()
    assert gate.clocks == (
        f"imu: clock moved by {shift:+.3f} s",
        f"odometry: clock moved by {shift:+.3f} s",
    )
    assert feed(gate, moved + (k + 1) * STEP, moved + (k + 1) * STEP) == ()
    assert gate.clocks == ()


def test_refused_stamps_that_do_not_agree_are_never_a_clock(gate):
    rng = np.random.default_rng(3)
    feed(gate, 0, 0)
    for k in range(1, 200):
        stray = round(rng.uniform(1e3, 1e6) * 1e9)
        assert len(feed(gate, stray, k * STEP)) == 1
        assert gate.clocks == ()
    assert feed(gate, 200 * STEP, 200 * STEP) == ()


def test_stuck_or_repeated_stamps_are_never_a_clock(gate):
    feed(gate, 10**12, 10**12)
    for _ in range(50):
        feed(gate, 5, 5)
        assert gate.clocks == ()


def test_samples_that_became_late_are_not_a_new_clock(gate):
    """A delay of 0.3 s begins: older stamps come, and their age says that they are late."""
    for k in range(100):
        now = k * STEP
        late = now if k < 50 else now - 30 * STEP
        gate.update(SensorFrame.at(now, imu(now), odometry(late)), DT)
        assert gate.clocks == ()
        assert bool(gate.faults) == (50 <= k < 79)


def test_sensor_that_was_away_is_taken_at_once(gate):
    feed(gate, 0, 0)
    for _ in range(500):
        gate.update(sensor_frame(None, None), DT)
    assert feed(gate, 501 * STEP, 501 * STEP) == ()


def test_first_stamp_from_the_future_does_not_shut_the_good_ones_out(gate):
    feed(gate, 10**15, 10**15)
    refused = [bool(feed(gate, k * STEP, k * STEP)) for k in range(10)]
    assert refused == [True] * 4 + [False] * 6
