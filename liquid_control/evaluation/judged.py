"""Worlds whose success can be judged: what `fly`, a suite and `worlds check` all read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError
from liquid_control.evaluation.metrics import limitable
from liquid_control.sim.scenario import WorldConfig, read_world


def read_judged_world(
    name: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    source: str | Path | None = None,
) -> WorldConfig:
    """As `scenario.read_world`, whose limits must be on numbers that a flight gives.

    Raises:
        ConfigError: as it does, and for a limit on no metric.
    """
    scenario = read_world(name, changes, source=source)
    known = limitable()
    unknown = [metric for metric in scenario.success.limits if metric not in known]
    if unknown:
        expected = f"expected a metric, one of {', '.join(sorted(known))}"
        details = [(f"success.limits.{metric}", expected) for metric in unknown]
        text = "; ".join(": ".join(detail) for detail in details)
        raise ConfigError(f"{source or name}: {text}", details)
    return scenario
