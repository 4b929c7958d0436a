"""A grid of one setting: which value trains best, and whether the best lies inside the grid.

Use it for the learning rate before networks are compared, with the same values for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_control.runtime.artifact import load_artifact
from liquid_control.training.run import TrainingJob, train_all


@dataclass(frozen=True)
class Tried:
    """One configuration with one value of the setting."""

    config: str
    value: float
    # m, of each run at its end in held-out episodes (a short one: RMSE in training); infinite: it
    # diverged, NaN: it ended too early
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """Mean over the seeds, m."""
        return sum(self.errors) / len(self.errors)


def train_grid(
    runs: Mapping[tuple[str, float], Sequence[TrainingJob]], **workers: Any
) -> list[Tried]:
    """Train all runs, given by configuration and value; one that diverges ends only itself.

    ``workers``: of `train_all`.
    """
    jobs = [job for group in runs.values() for job in group]
    results = iter(train_all(jobs, **workers))
    return [
        Tried(config, value, tuple(_error(next(results)) for _ in group))
        for (config, value), group in runs.items()
    ]


def _error(result: Path | FloatingPointError) -> float:
    if isinstance(result, FloatingPointError):
        return math.inf
    record = load_artifact(result).metadata.training
    error = record.get("held_out_m") or record["training_rmse_m"]
    return math.nan if error is None else error


def grid_table(setting: str, tried: Sequence[Tried]) -> str:
    """Markdown: a row for each configuration, a column for each value, errors in cm.

    The best of a row is bold; the last column says whether it lies inside the grid.
    """
    values = sorted({t.value for t in tried})
    lines = [
        f"| error in cm at {setting} | " + " | ".join(f"{v:g}" for v in values) + " | the best |",
        "|---|" + "---|" * (len(values) + 1),
    ]
    for config in dict.fromkeys(t.config for t in tried):
        row = {t.value: t for t in tried if t.config == config}
        measured = [value for value in row if math.isfinite(row[value].error)]
        best = min(measured, key=lambda value: row[value].error, default=None)
        cells = []
        for value in values:
            error = row[value].error
            text = "diverged" if math.isinf(error) else f"{100 * error:.1f}"
            cells.append(f"**{text}**" if value == best else text)
        if best is None:
            cells.append("none")
        elif values[0] < best < values[-1]:
            cells.append("inside")
        else:
            cells.append("at the edge: widen the grid")
        lines.append(f"| {config} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
