import dataclasses
import json

import numpy as np
import pytest
from conftest import moved

from liquid_control.evaluation.columns import neuron_activity, position_error, tilt
from liquid_control.evaluation.metrics import flight_metrics


def _with_error(log, error):
    """The same flight with the position ``error (N, 3)`` off the setpoint."""
    return moved(log, pos_world=log.setpoint_pos_world - error)


def test_error_statistics_of_a_known_sine(log):
    t = log.time
    error = np.outer(np.sin(2 * np.pi * t / 0.5), [0.03, 0.04, 0.0])
    metrics = flight_metrics(_with_error(log, error), after=3.0)
    assert metrics.rmse_m == pytest.approx(0.05 / np.sqrt(2), rel=1e-2)
    assert metrics.max_error_m == pytest.approx(0.05, rel=1e-2)
    # |sin| is below sin(0.95 π/2) for 95 % of the time
    assert metrics.p95_error_m == pytest.approx(0.05 * np.sin(0.95 * np.pi / 2), rel=1e-2)


def test_only_the_time_after_the_start_counts(log):
    error = np.where(log.time[:, None] <= 3.0, 1.0, 0.01) * [1.0, 0, 0]
    assert flight_metrics(_with_error(log, error), after=3.0).max_error_m == pytest.approx(0.01)
    assert flight_metrics(_with_error(log, error), after=0.0).max_error_m == pytest.approx(1.0)


def test_settle_time_waits_for_the_error_to_stay_small(log):
    error = np.where((log.time < 1.5) | ((log.time > 2.0) & (log.time < 2.6)), 0.5, 0.02)
    metrics = flight_metrics(_with_error(log, error[:, None] * [0, 1.0, 0]))
    assert metrics.settle_time_s == pytest.approx(2.6, abs=0.011)


def test_time_after_jumps_of_the_setpoint(log):
    setpoint = np.where(log.time[:, None] >= 4.0, [0.0, 1.0, 1.0], [0.0, 0.0, 1.0])
    setpoint[log.time >= 6.0, 0] = 0.5
    since = np.select([log.time >= 6.0, log.time >= 4.0], [log.time - 6.0, log.time - 4.0], 9.0)
    error = np.where(since < np.where(log.time >= 6.0, 0.2, 0.6), 0.5, 0.01)
    flight = dataclasses.replace(log, setpoint_pos_world=setpoint)
    follows = flight_metrics(_with_error(flight, error[:, None] * [1.0, 0, 0]))
    assert follows.step_time_s == pytest.approx((0.6 + 0.2) / 2, abs=0.011)
    never = np.where(log.time >= 6.0, 0.5, error)
    assert flight_metrics(_with_error(flight, never[:, None] * [1.0, 0, 0])).step_time_s is None
    assert flight_metrics(log).step_time_s is None


def test_what_a_flight_cannot_give_is_null_in_strict_json(make_log):
    short = make_log(
        0.5,
        crashed=True,
        crash_reason="hit the ground",
        command=np.full((50, 4), np.nan),
        step_us=np.full(50, np.nan),
    )
    record = json.loads(json.dumps(flight_metrics(short).to_dict(), allow_nan=False))
    for key in ("rmse_m", "max_error_m", "settle_time_s", "thrust_rms_mps2", "step_us_p99"):
        assert record[key] is None, key
    assert record["crashed"] is True
    assert record["crash_reason"] == "hit the ground"


def test_fly_json_keys(log):
    keys = set(flight_metrics(log).to_dict())
    assert keys >= {
        *("crashed", "rmse_m", "max_error_m", "step_us_p50", "step_us_p99", "late_ticks"),
        *("seed", "world", "policy"),
    }


def test_effort_of_a_square_wave(log):
    thrust = np.where(np.arange(len(log.time)) % 2, 9.0, 11.0)
    rates = np.tile([3.0, 0.0, 4.0], (len(log.time), 1))
    sent = np.column_stack([thrust, rates])
    metrics = flight_metrics(dataclasses.replace(log, command=sent))
    assert metrics.thrust_rms_mps2 == pytest.approx(np.sqrt((81 + 121) / 2), rel=1e-3)
    assert metrics.thrust_variation_mps3 == pytest.approx(2 * log.control_rate, rel=1e-2)
    assert metrics.rate_rms_radps == pytest.approx(5.0)
    assert metrics.rate_variation_radps2 == 0


def test_time_in_modes_adds_up_to_the_flight(log):
    metrics = flight_metrics(log)
    assert metrics.mode_time_s["backup"] == pytest.approx(0.49, abs=0.011)
    assert sum(metrics.mode_time_s.values()) == pytest.approx(metrics.duration_s)


def test_upright_time_of_a_recovery(log):
    angle = np.maximum(np.deg2rad(60) * (1 - log.time / 1.0), 0)
    quat = np.stack([np.sin(angle / 2), 0 * angle, 0 * angle, np.cos(angle / 2)], 1)
    recovery = moved(log, quat_world_body=quat)
    assert flight_metrics(recovery).upright_time_s == pytest.approx(0.5, abs=0.02)
    assert np.allclose(tilt(recovery), angle, atol=1e-7)


def test_empty_log_is_refused(log):
    empty = dataclasses.replace(log, time=np.zeros(0))
    with pytest.raises(ValueError, match="empty"):
        flight_metrics(empty)


def test_position_error_is_the_distance(log):
    error = np.tile([0.3, 0.0, -0.4], (len(log.time), 1))
    assert np.allclose(position_error(_with_error(log, error)), 0.5)


def test_neuron_activity_is_the_deviation_from_rest(log):
    wave = np.sin(2 * np.pi * log.time)
    neurons = np.stack([0.9 + 0.1 * wave, 0.9 + 1e-6 * wave, -wave], axis=1)
    activity = neuron_activity(dataclasses.replace(log, neurons=neurons))
    assert np.allclose(activity[:, 0], wave, atol=0.01)
    assert np.abs(activity[:, 1]).max() < 0.001  # hardly moves
    assert np.allclose(activity[:, 2], -wave, atol=0.01)
    assert np.abs(activity).max() <= 1


def test_neuron_activity_is_that_of_the_steps_with_a_record(log):
    neurons = log.neurons.copy()
    neurons[:10] = np.nan
    activity = neuron_activity(dataclasses.replace(log, neurons=neurons))
    assert (activity[:10] == 0).all()
    np.testing.assert_allclose(activity[10:], neuron_activity(log)[10:], atol=0.1)
    assert np.abs(activity[10:]).max() == 1.0
