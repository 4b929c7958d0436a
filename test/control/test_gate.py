"""The input gate drops what is not fit, and dead-reckons past missing odometry."""

import numpy as np
import pytest

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
    assert gate.update(SensorFrame(None, None), DT) is None
    assert gate.update(SensorFrame(imu(0), None), DT) is None
    estimate = gate.update(SensorFrame(imu(1), odometry(1)), DT)
    np.testing.assert_array_equal(estimate.pos_world, [0, 0, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["force", "rate"])
def test_an_imu_that_is_not_finite_is_dropped_and_ages(gate, bad, field):
    gate.update(SensorFrame(imu(0), odometry(0)), DT)
    broken = imu(1, **{field: (0.0, bad, 0.0)})
    estimate = gate.update(SensorFrame(broken, odometry(1)), DT)
    assert gate.faults == ("imu: not finite",)
    assert np.isfinite(estimate.specific_force_body).all()
    assert estimate.imu_age == pytest.approx(DT)
    assert estimate.odometry_age == 0


@pytest.mark.parametrize(
    ("sample", "fault"),
    [
        (odometry(5, pos=(np.nan, 0, 0)), "not finite"),
        (odometry(5, quat=(0, 0, 0, 0.9)), "norm 0.900"),
        (odometry(-5), "goes back"),
    ],
)
def test_bad_odometry_is_dropped_and_named(gate, sample, fault):
    gate.update(SensorFrame(imu(0), odometry(0)), DT)
    estimate = gate.update(SensorFrame(imu(5), sample), DT)
    assert fault in gate.faults[0]
    np.testing.assert_allclose(estimate.pos_world, [0, 0, 1])
    assert estimate.odometry_age == pytest.approx(DT)


def test_age_of_a_delayed_sample_is_the_one_given(gate):
    estimate = gate.update(SensorFrame(imu(0), odometry(0), odometry_age=0.04), DT)
    assert estimate.odometry_age == 0.04
    repeated = SensorFrame(imu(1), odometry(0), odometry_age=0.05)
    assert gate.update(repeated, DT).odometry_age == pytest.approx(0.05)


def test_dead_reckoning_follows_free_fall_and_rotation(gate):
    gate.update(SensorFrame(imu(0), odometry(0, vel=(1.0, 0.0, 0.0))), DT)
    for k in range(1, 101):
        falling = imu(k, force=(0.0, 0.0, 0.0), rate=(0.0, 0.0, 1.0))
        estimate = gate.update(SensorFrame(falling, None), DT)
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
        frame = SensorFrame(now, circle[k], odometry_age=late * DT)
        estimate = gate.update(frame, DT)
        if k > late:
            np.testing.assert_allclose(estimate.pos_world, pos, atol=2e-3)
            np.testing.assert_allclose(estimate.quat_world_body, quat, atol=1e-6)
            np.testing.assert_allclose(estimate.vel_body, [speed, 0, 0], atol=2e-2)
