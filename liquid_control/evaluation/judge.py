"""Whether a flight met the limits of its world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from liquid_control.config import ConfigError
from liquid_control.control.supervisor import Mode
from liquid_control.evaluation.metrics import SHARES, FlightMetrics, flight_metrics, limitable
from liquid_control.flight_log import FlightLog
from liquid_control.sim.scenario import SuccessConfig


@dataclass(frozen=True)
class Check:
    """One success criterion and how the flight did."""

    metric: str  # its name, or that of a share
    value: float | bool | None
    limit: float  # largest allowed
    passed: bool


def judge(metrics: FlightMetrics, limits: Mapping[str, float]) -> tuple[Check, ...]:
    """Each limit in turn, ``metric: largest allowed value``; no crash is always the first.

    A share of flights, as ``unsettled_rate``, is 0 or 1 of one flight. What a flight could not give
    is not passed.

    Raises:
        ConfigError: for a limit on anything but `limitable`.
    """
    checks = [Check("crashed", metrics.crashed, 0.0, not metrics.crashed)]
    for name, limit in limits.items():
        if name not in limitable():
            raise ConfigError(f"success criterion {name!r}: expected one of {sorted(limitable())}")
        value = float(SHARES[name].failed(metrics)) if name in SHARES else getattr(metrics, name)
        checks.append(Check(name, value, limit, value is not None and value <= limit))
    return tuple(checks)


def passed(metrics: FlightMetrics, checks: Iterable[Check]) -> bool:
    """No crash, every criterion is met, and the policy flew at all."""
    flew = Mode.POLICY.value in metrics.mode_time_s
    return flew and not metrics.crashed and all(check.passed for check in checks)


def success(log: FlightLog, wanted: SuccessConfig) -> bool:
    """Whether a flight did what its world wants: use it where the metrics don't matter."""
    metrics = flight_metrics(log, after=wanted.settle_time)
    return passed(metrics, judge(metrics, wanted.limits))
