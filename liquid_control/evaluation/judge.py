"""Whether a flight met the limits of its world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liquid_control.config import ConfigError
from liquid_control.evaluation.metrics import SHARES, FlightMetrics, limitable


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
