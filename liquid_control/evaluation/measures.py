"""The functions behind the metrics, each of a `FlightLog`; ``None`` where it can't say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from liquid_control.evaluation.columns import position_error, tilt
from liquid_control.flight_log import FlightLog

SETTLE_RADIUS = 0.1  # m
SETTLE_HOLD = 1.0  # s
STEP_SIZE = 0.1  # m, a setpoint that moves so far between two rows has jumped
STEP_HOLD = 0.5  # s
UPRIGHT_TILT = np.deg2rad(30)  # rad
UPRIGHT_HOLD = 0.5  # s


def duration(log: FlightLog) -> float:
    """From the first step to the end of the last, s."""
    return round(_duration(log), 9)


def _duration(log: FlightLog) -> float:
    return float(log.time[-1] - log.time[0] + 1 / log.control_rate)


def of_late_errors(
    statistic: Callable[[np.ndarray], float],
) -> Callable[[FlightLog, float], float | None]:
    """A statistic of the position error at ``t > after``, m.

    Without a truth, only of the steps where estimate and setpoint are known.
    """

    def measure(log: FlightLog, after: float) -> float | None:
        window = position_error(log)[log.time > after]
        if log.truth is None:
            window = window[np.isfinite(window)]
        value = statistic(window) if len(window) else np.nan
        return float(value) if np.isfinite(value) else None

    return measure


def path_length(log: FlightLog) -> float | None:
    """Of the way that was truly travelled, m; None where the truth is not known."""
    if log.truth is None:
        return None
    return float(np.linalg.norm(np.diff(log.truth.pos_world, axis=0), axis=1).sum())


def settle_time(log: FlightLog) -> float | None:
    """Until the error is below 0.1 m for 1 s."""
    return _first_hold(log.time, position_error(log) < SETTLE_RADIUS, SETTLE_HOLD)


def upright_time(log: FlightLog) -> float | None:
    """Until the tilt is below 30 degrees for 0.5 s."""
    return _first_hold(log.time, tilt(log) < UPRIGHT_TILT, UPRIGHT_HOLD)


def step_time(log: FlightLog) -> float | None:
    """Mean settling time (0.1 m, 0.5 s) over the jumps of the setpoint.

    None without one, or if one was never followed.
    """
    error = position_error(log)
    moved = np.linalg.norm(np.diff(log.setpoint_pos_world, axis=0), axis=1)
    jumps = (np.flatnonzero(moved > STEP_SIZE) + 1).tolist()
    times = [
        _first_hold(log.time[start:stop], error[start:stop] < SETTLE_RADIUS, STEP_HOLD)
        for start, stop in pairwise([*jumps, len(error)])
    ]
    return None if not times or None in times else float(np.mean(times))


def _first_hold(time: np.ndarray, good: np.ndarray, hold: float) -> float | None:
    """First time from which ``good`` lasts for ``hold`` seconds; None if it never does."""
    edges = np.flatnonzero(np.diff(good.astype(int), prepend=0, append=0))
    for start, stop in edges.reshape(-1, 2):
        if time[stop - 1] - time[start] >= hold - 1e-9:
            return float(time[start] - time[0])
    return None


def _sent(log: FlightLog, slot: str) -> np.ndarray:
    sent = log.command[np.isfinite(log.command).all(axis=1)]
    return sent[:, log.kind.layout[slot]]


def rms(log: FlightLog, slot: str) -> float | None:
    """Of the norm of a slot of the command, where one was sent."""
    part = _sent(log, slot)
    return float(np.sqrt(np.mean(np.sum(part**2, axis=1)))) if len(part) else None


def variation(log: FlightLog, slot: str) -> float | None:
    """Sum of the sizes of the changes of a slot of the command, over the duration."""
    part = _sent(log, slot)
    if not len(part):
        return None
    return float(np.linalg.norm(np.diff(part, axis=0), axis=1).sum() / _duration(log))


def latency(log: FlightLog, percentile: float) -> float | None:
    """Of the policy alone, µs."""
    ran = log.step_us[np.isfinite(log.step_us)]
    return float(np.percentile(ran, percentile)) if len(ran) else None


def mode_times(log: FlightLog) -> dict[str, float]:
    """Seconds of each supervisor mode that occurred."""
    modes, counts = np.unique(log.mode, return_counts=True)
    return {str(mode): float(count / log.control_rate) for mode, count in zip(modes, counts)}
