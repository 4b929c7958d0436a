import dataclasses
import json

import numpy as np
import pytest
from made_up import moved

from liquid_control.evaluation import metrics
from liquid_control.evaluation.columns import neuron_activity, position_error, tilt
from liquid_control.evaluation.judge import judge
from liquid_control.evaluation.metrics import (
    Display,
    Metric,
    compared,
    display_of,
    flight_metrics,
    kept,
    limitable,
    metrics_of,
    register_metric,
)
from liquid_control.structs import RATES_THRUST, CommandKind, Layout, Slot

STEERING = CommandKind(
    "test_steering",
    Layout((Slot("speed", 1, "m/s", "body"), Slot("turn_rate", 1, "rad/s", "body"))),
    neutral=(0.0, 0.0),
    twist=("linear.x", "angular.z"),
)


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


def test_the_metrics_of_a_quadrotor_are_these(log):
    """Whoever reads the results or ``fly --json`` relies on the names."""
    compared_keys = {
        *("rmse_m", "p95_error_m", "max_error_m", "settle_time_s", "step_time_s"),
        *("upright_time_s", "rate_rms_radps", "rate_variation_radps2", "thrust_variation_mps3"),
    }
    numbers = compared_keys | {"thrust_rms_mps2", "step_us_p50", "step_us_p99", "late_ticks"}
    rest = {"duration_s", "control_rate_hz", "crashed", "crash_reason", "mode_time_s"}
    not_kept = {"world", "policy", "vehicle", "seed", "fault"}
    kinds = [RATES_THRUST]
    assert set(flight_metrics(log)) == numbers | rest | not_kept
    assert set(compared(kinds)) == compared_keys
    assert set(kept(RATES_THRUST)) == numbers | rest
    shown = {name for name, metric in metrics_of(kinds).items() if metric.display}
    assert shown == numbers | {"duration_s"}
    limited = {name for name, metric in metrics_of(kinds).items() if metric.limited}
    assert limited == numbers
    assert {*limited, "crash_rate", "unsettled_rate"} <= set(limitable())


def test_a_vehicle_has_the_efforts_of_its_own_command(log):
    command = np.column_stack([np.full(len(log.time), 2.0), np.sin(log.time)])
    metrics = flight_metrics(dataclasses.replace(log, command=command, kind=STEERING))
    assert metrics.speed_rms_mps == pytest.approx(2.0)
    assert metrics.speed_variation_mps2 == 0
    assert metrics.turn_rate_rms_radps == pytest.approx(
        np.sqrt(np.mean(np.sin(log.time) ** 2)), rel=1e-6
    )
    assert "turn_rate_variation_radps2" in metrics
    assert "thrust_rms_mps2" not in metrics
    assert metrics.thrust_rms_mps2 is None  # other vehicles have it
    with pytest.raises(AttributeError, match="no metric 'thrust'"):
        _ = metrics.thrust
    assert metrics_of([STEERING])["speed_rms_mps"].display.name == "speed, RMS"


def test_a_metric_of_your_own_is_one_row(log, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    top = Metric(
        "top_speed_mps",
        lambda log, after: float(np.linalg.norm(log.motion.vel_world, axis=1).max()),
        Display("top speed", 3.6, "km/h", 1),
        compared=True,
        limited=True,
    )
    register_metric(top)
    flown = flight_metrics(log)
    assert flown.top_speed_mps > 0
    assert "top_speed_mps" in compared()
    assert "top_speed_mps" in kept(RATES_THRUST)
    assert not judge(flown, {"top_speed_mps": 0.0})[1].passed
    assert display_of("top_speed_mps").number(10.0) == "36.0"
    with pytest.raises(ValueError, match="there is a metric 'top_speed_mps' already"):
        register_metric(dataclasses.replace(top, compared=False))


def test_a_metric_that_is_not_finite_is_none(log, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    register_metric(Metric("unknown_m", lambda log, after: float("nan"), limited=True))
    flown = flight_metrics(log)
    assert flown["unknown_m"] is None
    assert not judge(flown, {"unknown_m": 1.0})[1].passed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2.0), 2.0),
        (np.float32("nan"), None),
        (np.float64("inf"), None),
        (None, None),
    ],
)
def test_numbers_of_numpy_become_plain_ones(log, monkeypatch, given, expected):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    register_metric(Metric("own", lambda log, after: given, limited=True))
    register_metric(Metric("parts", lambda log, after: {"a": given, "b": np.str_("text")}))
    flown = flight_metrics(log)
    assert type(flown["own"]) is type(expected)
    assert flown["own"] == expected
    values = json.loads(json.dumps(flown.to_dict(), allow_nan=False))
    assert values["parts"] == {"a": expected, "b": "text"}
    judge(flown, {"own": 1.0})


@pytest.mark.parametrize("given", [np.zeros(3), np.zeros(1), [1.0], "text", 1j, {"a": 1.0}])
def test_a_number_that_is_none_names_its_metric(log, monkeypatch, given):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    register_metric(Metric("own_m", lambda log, after: given, compared=True))
    with pytest.raises(ValueError, match=r"metric 'own_m' gives .*, expected a number"):
        flight_metrics(log)


def test_a_metric_that_fails_is_named(log, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    register_metric(Metric("own_m", lambda log, after: log.nothing))
    with pytest.raises(ValueError, match=r"metric 'own_m' failed: AttributeError: .*nothing"):
        flight_metrics(log)
    monkeypatch.setattr(metrics, "METRICS", {})
    register_metric(Metric("list_m", lambda log, after: [1.0]))
    with pytest.raises(ValueError, match=r"metric 'list_m' gives \[1.0\], expected"):
        flight_metrics(log)


def test_a_share_of_flights_is_a_limit_too(make_log):
    flown = make_log(4.0)
    never = dataclasses.replace(flown, setpoint_pos_world=flown.truth.pos_world + 1.0)
    limits = {"unsettled_rate": 0.0, "crash_rate": 0.0}
    assert [c.passed for c in judge(flight_metrics(flown), limits)] == [True, True, True]
    assert [c.passed for c in judge(flight_metrics(never), limits)] == [True, False, True]
    checks = judge(flight_metrics(dataclasses.replace(never, crashed=True)), limits)
    assert [c.value for c in checks] == [True, 1.0, 1.0]


def test_metrics_of_a_real_flight_are_of_what_was_estimated(real_log):
    late = real_log.estimate.pos_world.copy()
    late[:400] = np.nan  # no odometry before
    estimate = dataclasses.replace(real_log.estimate, pos_world=late)
    metrics = flight_metrics(dataclasses.replace(real_log, estimate=estimate))
    error = np.linalg.norm(late - real_log.setpoint_pos_world, axis=1)[400:]
    assert metrics.rmse_m == pytest.approx(np.sqrt(np.mean(error**2)))
    assert (metrics.world, metrics.seed, metrics.crashed) == ("", None, False)
    json.dumps(metrics.to_dict(), allow_nan=False)
