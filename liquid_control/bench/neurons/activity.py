"""What neurons do over manoeuvres: principal components and time constants.

T: rows of all flights, N: neurons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liquid_control.control.supervisor import Mode
from liquid_control.flight_log import FlightLog

MANOEUVRES = ("straight", "left", "right")


@dataclass(frozen=True)
class Activity:
    """The neurons in flight, after the world's settling time and where the policy flew."""

    states: np.ndarray  # (T, N)
    rates: np.ndarray  # (T, N) k, 1/s: the state goes to its target with exp(-k dt)
    yaw_rate: np.ndarray  # (T,) rad/s, true
    manoeuvre: np.ndarray  # (T,) index into MANOEUVRES


def activity(logs: list[FlightLog], *, turn: float, after: float) -> Activity:
    """Of flights of `Circuit.whole`.

    turn: rad/s, the yaw rate from which on it is a turn. after: s.
    """
    rows, yaw_rates = [], []
    for log in logs:
        keep = (log.time > after) & (log.mode == Mode.POLICY.value)
        rows.append(log.neurons[keep])
        yaw_rates.append(log.truth.ang_vel_body[keep, 2])
    states, decays = np.split(np.concatenate(rows), 2, axis=1)
    yaw_rate = np.concatenate(yaw_rates)
    manoeuvre = np.where(yaw_rate >= turn, 1, np.where(yaw_rate <= -turn, 2, 0))
    return Activity(states, -decays, yaw_rate, manoeuvre)


@dataclass(frozen=True)
class Components:
    """Principal components of the states, which are centred and not scaled; largest first."""

    share: np.ndarray  # (N,) of the variance
    scores: np.ndarray  # (T, N)
    directions: np.ndarray  # (N, N), a row each
    with_yaw_rate: np.ndarray  # (N,) correlation of the scores with the true yaw rate

    def needed(self, share: float) -> int:
        """How many hold this share of the variance."""
        return int(np.searchsorted(np.cumsum(self.share), share) + 1)


def components(seen: Activity) -> Components:
    """Of all rows together; a component's sign is such that its scores rise with the yaw rate."""
    centred = seen.states - seen.states.mean(axis=0)
    variance, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    variance, directions = np.clip(variance[::-1], 0, None), vectors.T[::-1]
    scores = centred @ directions.T
    turning = seen.yaw_rate - seen.yaw_rate.mean()
    spread = scores.std(axis=0) * turning.std()
    product = (scores * turning[:, None]).mean(axis=0)
    correlation = np.divide(product, spread, out=np.zeros_like(product), where=spread > 1e-12)
    sign = np.where(correlation < 0, -1.0, 1.0)
    return Components(
        variance / max(variance.sum(), 1e-12),
        scores * sign,
        directions * sign[:, None],
        np.abs(correlation),
    )


def time_constants(seen: Activity) -> dict[str, np.ndarray]:
    """1/k of each neuron in s, ``(3, N)``: 10th, 50th and 90th percentile over each manoeuvre.

    NaN over one that was not flown.
    """
    found = {}
    for index, name in enumerate(MANOEUVRES):
        rates = seen.rates[seen.manoeuvre == index]
        shape = (3, seen.rates.shape[1])
        found[name] = (
            np.percentile(1 / rates, (10, 50, 90), 0) if len(rates) else np.full(shape, np.nan)
        )
    return found
