"""What a flight was worth: one number per question, from a `FlightLog`.

Position error is |setpoint − position|, both true. Figures that a flight can't give are ``None``
(JSON null): a flight that crashed before `after` has no RMSE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.structs import RATES_THRUST, FlightLog

SETTLE_RADIUS = 0.1  # m
SETTLE_HOLD = 1.0  # s
STEP_SIZE = 0.1  # m, a setpoint that moves so far between two rows has jumped
STEP_HOLD = 0.5  # s
UPRIGHT_TILT = np.deg2rad(30)  # rad
UPRIGHT_HOLD = 0.5  # s
LEAST_SIDE = 0.4  # of the box around a path, as a share of its longest side


@dataclass(frozen=True)
class FlightMetrics:
    """Figures of one flight; names end in their unit."""

    world: str
    policy: str
    vehicle: str
    seed: int
    duration_s: float
    control_rate_hz: float
    crashed: bool
    crash_reason: str  # "" if none
    rmse_m: float | None  # of the position error at t > after
    p95_error_m: float | None  # 95th percentile, at t > after
    max_error_m: float | None  # at t > after
    settle_time_s: float | None  # until the error is below 0.1 m for 1 s
    step_time_s: float | None  # mean over jumps of the setpoint: error below 0.1 m for 0.5 s
    upright_time_s: float | None  # until the tilt is below 30 degrees for 0.5 s
    thrust_rms_mps2: float | None  # of the thrust / mass as sent
    thrust_variation_mps3: float | None  # sum of |changes| over the duration
    rate_rms_radps: float | None  # of the norm of the body rates as sent
    rate_variation_radps2: float | None
    step_us_p50: float | None  # latency of the policy alone
    step_us_p99: float | None
    late_ticks: int
    mode_time_s: dict[str, float]  # of each supervisor mode that occurred

    def to_dict(self) -> dict:
        """Plain values for strict JSON: no NaN, None where undefined."""
        return asdict(self)


@dataclass(frozen=True)
class Display:
    """How a metric is shown to a person."""

    name: str
    factor: float  # from the metric's unit to `unit`
    unit: str
    digits: int

    def number(self, value: float | None) -> str:
        """The value without its unit; a dash where it is undefined."""
        return "–" if value is None else f"{self.factor * value:.{self.digits}f}"


DISPLAY = {
    "rmse_m": Display("position error, RMSE", 100, "cm", 2),
    "p95_error_m": Display("position error, 95th percentile", 100, "cm", 2),
    "max_error_m": Display("position error, largest", 100, "cm", 2),
    "settle_time_s": Display("settled within 10 cm", 1, "s", 2),
    "step_time_s": Display("within 10 cm after a jump", 1, "s", 2),
    "upright_time_s": Display("upright within 30°", 1, "s", 2),
    "thrust_rms_mps2": Display("thrust / mass, RMS", 1, "m/s²", 2),
    "thrust_variation_mps3": Display("thrust / mass, variation", 1, "m/s³", 1),
    "rate_rms_radps": Display("body rates, RMS", 1, "rad/s", 2),
    "rate_variation_radps2": Display("body rates, variation", 1, "rad/s²", 1),
    "step_us_p50": Display("policy step, median", 1, "µs", 1),
    "step_us_p99": Display("policy step, 99th percentile", 1, "µs", 1),
    "late_ticks": Display("late control ticks", 1, "", 0),
    "duration_s": Display("duration", 1, "s", 2),
}
COMPARED = (  # what a suite compares
    *("rmse_m", "p95_error_m", "max_error_m", "settle_time_s", "step_time_s", "upright_time_s"),
    *("rate_rms_radps", "rate_variation_radps2", "thrust_variation_mps3"),
)
# shares of flights: that crashed; that crashed or never settled
RATES = ("crash_rate", "unsettled_rate")
LIMITABLE = tuple(f.name for f in fields(FlightMetrics) if f.type in ("float | None", "int"))


def position_error(log: FlightLog) -> np.ndarray:
    """Distance to the setpoint ``(N,)`` in m."""
    return np.linalg.norm(log.setpoint_pos_world - log.pos_world, axis=1)


def flight_box(log: FlightLog) -> tuple[np.ndarray, np.ndarray]:
    """Middle and sides ``(3,)`` in m of a box around the path that is no needle."""
    low, high = log.pos_world.min(axis=0), log.pos_world.max(axis=0)
    sides = high - low
    return (low + high) / 2, np.maximum(sides, max(LEAST_SIDE * sides.max(), 1e-3))


def tilt(log: FlightLog) -> np.ndarray:
    """Angle ``(N,)`` in rad between body z and up."""
    x, y, _, _ = log.quat_world_body.T
    return np.arccos(np.clip(1 - 2 * (x * x + y * y), -1, 1))


def neuron_activity(log: FlightLog) -> np.ndarray:
    """How far each neuron is from its median, ``(N, M)`` in [-1, 1] of its usual largest.

    Neurons that hardly move in this flight stay near zero, and steps without a record (NaN) are 0.
    """
    if not np.isfinite(log.neurons).any():
        return np.zeros(log.neurons.shape)
    deviation = log.neurons - np.nanmedian(log.neurons, axis=0)
    largest = np.nanpercentile(np.abs(deviation), 99, axis=0)
    usual = np.maximum(largest, max(0.05 * largest.max(), 1e-9))
    return np.nan_to_num(np.clip(deviation / usual, -1, 1))


def flight_metrics(log: FlightLog, *, after: float = 3.0) -> FlightMetrics:
    """All metrics of a flight.

    Args:
        log: at least one control step.
        after: the error statistics are over ``time > after`` seconds, past the transient of the
            start.

    Raises:
        ValueError: for an empty log.
    """
    if not len(log.time):
        raise ValueError("the flight log is empty, expected at least one control step")
    period = 1 / log.control_rate
    duration = float(log.time[-1] - log.time[0] + period)
    error = position_error(log)
    window = error[log.time > after]
    thrust, rates = _effort(log, duration)
    modes, counts = np.unique(log.mode, return_counts=True)
    return FlightMetrics(
        world=log.world,
        policy=log.policy,
        vehicle=log.vehicle,
        seed=log.seed,
        duration_s=round(duration, 9),
        control_rate_hz=log.control_rate,
        crashed=log.crashed,
        crash_reason=log.crash_reason,
        rmse_m=_finite(np.sqrt(np.mean(window**2))) if len(window) else None,
        p95_error_m=_finite(np.percentile(window, 95)) if len(window) else None,
        max_error_m=_finite(window.max()) if len(window) else None,
        settle_time_s=_first_hold(log.time, error < SETTLE_RADIUS, SETTLE_HOLD),
        step_time_s=_step_time(log, error),
        upright_time_s=_first_hold(log.time, tilt(log) < UPRIGHT_TILT, UPRIGHT_HOLD),
        thrust_rms_mps2=thrust[0],
        thrust_variation_mps3=thrust[1],
        rate_rms_radps=rates[0],
        rate_variation_radps2=rates[1],
        step_us_p50=_latency(log, 50),
        step_us_p99=_latency(log, 99),
        late_ticks=log.late_ticks,
        mode_time_s={
            str(mode): float(count / log.control_rate) for mode, count in zip(modes, counts)
        },
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _first_hold(time: np.ndarray, good: np.ndarray, hold: float) -> float | None:
    """First time from which ``good`` lasts for ``hold`` seconds; None if it never does."""
    edges = np.flatnonzero(np.diff(good.astype(int), prepend=0, append=0))
    for start, stop in edges.reshape(-1, 2):
        if time[stop - 1] - time[start] >= hold - 1e-9:
            return float(time[start] - time[0])
    return None


def _step_time(log: FlightLog, error: np.ndarray) -> float | None:
    """Mean settling time over the jumps of the setpoint; None without one, or if one never did."""
    moved = np.linalg.norm(np.diff(log.setpoint_pos_world, axis=0), axis=1)
    jumps = (np.flatnonzero(moved > STEP_SIZE) + 1).tolist()
    times = [
        _first_hold(log.time[start:stop], error[start:stop] < SETTLE_RADIUS, STEP_HOLD)
        for start, stop in pairwise([*jumps, len(error)])
    ]
    return None if not times or None in times else float(np.mean(times))


def _effort(
    log: FlightLog, duration: float
) -> tuple[tuple[float | None, float | None], tuple[float | None, float | None]]:
    """(RMS, variation per second) of thrust and of body rates, where a command was sent."""
    sent = log.command[np.isfinite(log.command).all(axis=1)]
    if not len(sent):
        return (None, None), (None, None)
    results = []
    for name in RATES_THRUST.layout.names:
        part = sent[:, RATES_THRUST.layout[name]]
        rms = np.sqrt(np.mean(np.sum(part**2, axis=1)))
        variation = np.linalg.norm(np.diff(part, axis=0), axis=1).sum() / duration
        results.append((float(rms), float(variation)))
    return results[0], results[1]


def _latency(log: FlightLog, percentile: float) -> float | None:
    ran = log.step_us[np.isfinite(log.step_us)]
    return float(np.percentile(ran, percentile)) if len(ran) else None


@dataclass(frozen=True)
class Check:
    """One success criterion and how the flight did."""

    metric: str  # a field of FlightMetrics
    value: float | bool | None
    limit: float  # largest allowed
    passed: bool


def judge(metrics: FlightMetrics, criteria: Mapping[str, float]) -> tuple[Check, ...]:
    """Each criterion in turn, ``metric: largest allowed value``; no crash is always the first.

    What a flight could not give is not passed.

    Raises:
        ConfigError: for a criterion that is no number of `FlightMetrics`.
    """
    checks = [Check("crashed", metrics.crashed, 0.0, not metrics.crashed)]
    for name, limit in criteria.items():
        if name not in LIMITABLE:
            raise ConfigError(f"success criterion {name!r}: expected one of {sorted(LIMITABLE)}")
        value = getattr(metrics, name)
        checks.append(Check(name, value, limit, value is not None and value <= limit))
    return tuple(checks)
