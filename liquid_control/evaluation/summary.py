"""From the rows of a suite to its results: intervals, paired differences, tables in files."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.evaluation.compare import (
    LEVEL,
    RESAMPLES,
    Interval,
    difference_interval,
    mean_interval,
    rate_interval,
)
from liquid_control.evaluation.provenance import provenance
from liquid_control.evaluation.suite import Suite, load_metadata

COMPARED = (
    *("rmse_m", "p95_error_m", "max_error_m", "settle_time_s", "upright_time_s"),
    *("rate_rms_radps", "rate_variation_radps2", "thrust_variation_mps3"),
)


class Summary:
    """Results of a suite by policy, condition and metric.

    A flight that crashed gives no value to the means; crash rates stand beside them.
    """

    def __init__(self, suite: Suite, rows: Sequence[Mapping[str, Any]]):
        self.suite, self.rows = suite, rows
        self.policies = list(dict.fromkeys(row["policy"] for row in rows))
        self.conditions = list(dict.fromkeys(row["condition"] for row in rows))
        self._groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in rows:
            self._groups.setdefault((row["policy"], row["condition"]), []).append(row)

    def group(self, policy: str, condition: str) -> list[Mapping[str, Any]]:
        """Rows of one policy in one condition, training seed by training seed."""
        return self._groups[policy, condition]

    def values(self, policy: str, condition: str, metric: str) -> np.ndarray:
        """One metric ``(training seeds, flights)``; NaN where a flight crashed or has no value."""
        rows = self.group(policy, condition)
        flat = [np.nan if row["crashed"] or row[metric] is None else row[metric] for row in rows]
        return np.array(flat, float).reshape(-1, self.suite.flights)

    def mean(self, policy: str, condition: str, metric: str) -> Interval:
        """Mean with its interval."""
        values = self.values(policy, condition, metric)
        return mean_interval(values, _rng(policy, condition, metric))

    def difference(self, policy: str, baseline: str, condition: str, metric: str) -> Interval:
        """Policy minus baseline, paired by flight; negative means less than the baseline."""
        return difference_interval(
            self.values(policy, condition, metric),
            self.values(baseline, condition, metric),
            _rng(policy, baseline, condition, metric),
        )

    def crashes(self, policy: str, condition: str) -> tuple[int, int]:
        """Flights that crashed, and all flights."""
        rows = self.group(policy, condition)
        return sum(row["crashed"] for row in rows), len(rows)

    def records(self, policy: str) -> list[dict[str, Any]]:
        """What flew: file, network, non-zero weights and training record of each training seed."""
        files = dict.fromkeys(cell.artifact for cell in self.suite.cells if cell.policy == policy)
        found = []
        for file in files:
            metadata = load_metadata(file)
            record = {"artifact": Path(file).name}
            if metadata is not None:
                record |= metadata.model_dump(include={"network", "weights", "training"})
            found.append(record)
        return found

    def challengers(self) -> list[str]:
        """Policies that are no baseline."""
        return [p for p in self.policies if p not in self.suite.config.baselines]

    def to_dict(self) -> dict[str, Any]:
        """All results, for strict JSON."""
        config = self.suite.config
        return {
            "description": config.description,
            "flights": self.suite.flights,
            "first_seed": config.first_seed,
            "after_s": config.after,
            "statistics": f"{100 * LEVEL:.0f} % percentile intervals, {RESAMPLES} resamples over "
            "training seeds and flights; crash rates: Wilson score intervals",
            "provenance": provenance(),
            "policies": {name: self.records(name) for name in self.policies},
            "conditions": {name: config.conditions[name].description for name in self.conditions},
            "crashes": self._table(lambda p, c: self._crash_entry(p, c)),
            "metrics": {
                metric: self._table(lambda p, c, m=metric: asdict(self.mean(p, c, m)))
                for metric in COMPARED
            },
            "differences": {
                baseline: {
                    metric: self._table(
                        lambda p, c, b=baseline, m=metric: asdict(self.difference(p, b, c, m))
                    )
                    for metric in COMPARED
                }
                for baseline in config.baselines
            },
        }

    def _crash_entry(self, policy: str, condition: str) -> dict[str, Any]:
        events, flights = self.crashes(policy, condition)
        return {"crashed": events, "flights": flights, **asdict(rate_interval(events, flights))}

    def _table(self, entry) -> dict[str, dict[str, Any]]:
        return {c: {p: entry(p, c) for p in self.policies} for c in self.conditions}


def _rng(*names: str) -> np.random.Generator:
    """A generator of its own for each figure, so that none depends on what else is computed."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def write_results(summary: Summary, out: str | Path) -> list[Path]:
    """Write ``results.json``, ``results.csv`` (one line a figure) and ``results.md``."""
    out, results = Path(out), summary.to_dict()
    files = [out / f"results.{suffix}" for suffix in ("json", "csv", "md")]
    files[0].write_text(json.dumps(results, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    with files[1].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["condition", "policy", "metric", "mean", "low", "high"])
        for metric, table in {**results["metrics"], "crash_rate": results["crashes"]}.items():
            for condition, entries in table.items():
                for policy, entry in entries.items():
                    figures = [entry[key] for key in ("mean", "low", "high")]
                    writer.writerow([condition, policy, metric, *figures])
    files[2].write_text(markdown(summary), encoding="utf-8")
    return files


def markdown(summary: Summary) -> str:
    """The table of RMSE in cm with intervals and crashes, as Markdown; the best is bold."""
    head = ["condition", *summary.policies]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' + ' ---: |' * len(summary.policies)}"]
    for condition in summary.conditions:
        means = {p: summary.mean(p, condition, "rmse_m") for p in summary.policies}
        best = best_policy(means)
        cells = []
        for policy, interval in means.items():
            events, _ = summary.crashes(policy, condition)
            figure = "–"
            if interval.mean is not None:
                mean = f"{100 * interval.mean:.2f}"
                mean = f"**{mean}**" if policy == best else mean
                figure = f"{mean} [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"
            cells.append(figure + (f", {events} crashed" if events else ""))
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    flights = summary.suite.flights
    lines.append(
        f"\nPosition RMSE in cm at t > {summary.suite.config.after:g} s, mean of {flights} flights "
        f"a training seed with {100 * LEVEL:.0f} % bootstrap intervals; flights that crashed are "
        "counted, not averaged.\n"
    )
    return "\n".join(lines)


def best_policy(means: Mapping[str, Interval]) -> str | None:
    """The policy with the smallest mean."""
    known = {name: interval.mean for name, interval in means.items() if interval.mean is not None}
    return min(known, key=known.get) if known else None
