"""From the rows of a suite to its results: intervals, paired differences, what is clear, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.evaluation.judge import judge, passed
from liquid_control.evaluation.metrics import SHARES, FlightMetrics, compared
from liquid_control.evaluation.provenance import provenance
from liquid_control.evaluation.suite.config import Suite, load_metadata
from liquid_control.evaluation.suite.estimates import Estimate
from liquid_control.evaluation.suite.family import Family
from liquid_control.evaluation.suite.margins import LEVEL
from liquid_control.evaluation.suite.statistics import UNKNOWN, Interval, as_interval, rate_interval
from liquid_control.evaluation.views.training_curves import Curve, training_curve
from liquid_control.vehicles.catalogue import kind_of


@dataclass(frozen=True)
class Limit:
    """A bar of the suite file and what was reached: a mean, or a share of flights."""

    policy: str
    condition: str
    metric: str
    largest: float
    reached: Interval
    met: bool


@dataclass(frozen=True)
class Compared(Interval):
    """A difference between two policies in one condition.

    Attributes:
        p: of it alone, as its interval has it.
        p_family: of it among all differences of the metric, see `family`.
        clear: -1 where it is clearly below zero, +1 where clearly above, by the family's level.
    """

    p: float | None
    p_family: float | None
    clear: int


class Summary:
    """Results of a suite by policy, condition and metric.

    What is called clear holds for all differences of a metric at once, see `family`.

    A flight that crashed gives no value to the means; crash rates stand beside them. A policy that
    has not flown a condition, with each of its training seeds, has no flights and unknown figures
    there; policies and conditions without any flight are left out.

    Args:
        suite: what there is to compare.
        rows: of the cells that were flown, as `run_suite` returns them.
        command: what the user typed, for the origin of the results.

    Attributes:
        policies, conditions, baselines: those that flew, in the order of the suite.
        metrics: that are compared.
    """

    def __init__(self, suite: Suite, rows: Sequence[Mapping[str, Any]], command: str = ""):
        self.suite, self.command = suite, command
        self._estimates: dict[str, dict[str, Estimate]] = {}
        self._families: dict[str, Family] = {}
        self._groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["seed"] in suite.seeds:
                self._groups.setdefault((row["policy"], row["condition"]), []).append(row)
        cells = Counter((cell.policy, cell.condition) for cell in suite.cells)
        for group, flown in tuple(self._groups.items()):
            if len(flown) != cells[group] * suite.flights:
                del self._groups[group]
        flown_rows = (row for row in rows if self.flown(row["policy"], row["condition"]))
        self.rows = [row for row in flown_rows if row["seed"] in suite.seeds]
        self.policies = [p for p in suite.config.policies if any(p == g[0] for g in self._groups)]
        flown = {condition for _, condition in self._groups}
        self.conditions = [c for c in dict.fromkeys(c for _, c in cells) if c in flown]
        self.baselines = [p for p in suite.config.baselines if p in self.policies]
        self._place = {condition: k for k, condition in enumerate(self.conditions)}
        settings = {c.condition: c.setting for c in suite.cells}
        self._settings = settings
        kinds = [kind_of(settings[c].vehicle).command for c in self.conditions]
        self.metrics = compared(kinds)

    @property
    def not_flown(self) -> dict[str, list[str]]:
        """Conditions of the suite that each policy has not flown, where there are any."""
        cells = dict.fromkeys((cell.policy, cell.condition) for cell in self.suite.cells)
        missing: dict[str, list[str]] = {}
        for policy, condition in cells:
            if not self.flown(policy, condition):
                missing.setdefault(policy, []).append(condition)
        return missing

    def flown(self, policy: str, condition: str) -> bool:
        """Whether a policy has flown a condition."""
        return (policy, condition) in self._groups

    def group(self, policy: str, condition: str) -> list[Mapping[str, Any]]:
        """Rows of one policy in one condition, training seed by training seed."""
        return self._groups.get((policy, condition), [])

    def values(self, policy: str, condition: str, metric: str) -> np.ndarray:
        """One metric ``(training seeds, flights)``; NaN where a flight crashed or has no value."""
        rows = self.group(policy, condition)
        found = (None if row["crashed"] else row.get(metric) for row in rows)
        flat = [np.nan if value is None else value for value in found]
        return np.array(flat, float).reshape(-1, self.suite.flights)

    def estimates(self, metric: str) -> dict[str, Estimate]:
        """Of each policy over `conditions`."""
        if metric not in self._estimates:
            self._estimates[metric] = {p: self._estimate(p, metric) for p in self.policies}
        return self._estimates[metric]

    def family(self, metric: str) -> Family:
        """All differences of a metric."""
        if metric not in self._families:
            self._families[metric] = Family(self.estimates(metric))
        return self._families[metric]

    def mean(self, policy: str, condition: str, metric: str) -> Interval:
        """Mean with its interval."""
        estimate, k = self.estimates(metric)[policy], self._place[condition]
        return as_interval(estimate.mean[k], *(end[k] for end in estimate.limits))

    def interquartile(self, policy: str, condition: str, metric: str) -> Interval:
        """Interquartile mean of the training seeds, of the flights where there is one seed."""
        estimate, k = self.estimates(metric)[policy], self._place[condition]
        return as_interval(estimate.trimmed[0][k], *(end[k] for end in estimate.trimmed_limits))

    def difference(self, policy: str, baseline: str, condition: str, metric: str) -> Compared:
        """Policy minus baseline, paired by flight; negative means less than the baseline."""
        k = self._place[condition]
        if policy == baseline:
            same = 0.0 if self.mean(policy, condition, metric).mean is not None else None
            return Compared(same, same, same, None, None, 0)
        found = self.family(metric).between(policy, baseline)
        interval = as_interval(found.mean[k], found.low[k], found.high[k])
        if interval.low is None:
            return Compared(interval.mean, None, None, None, None, 0)
        p, p_family = float(found.p[k]), float(found.p_family[k])
        return Compared(**asdict(interval), p=p, p_family=p_family, clear=int(found.clear[k]))

    def trainings(self, policy: str) -> int:
        """Training seeds of a policy; 0 of what is not trained, as far as is known."""
        files = {c.training: c.artifact for c in self.suite.cells if c.policy == policy}
        if len(files) == 1 and load_metadata(files[0]) is None:
            return 0
        return len(files)

    def best(self, condition: str, metric: str) -> str | None:
        """The policy with the smallest mean, if it is clearly smaller than every other one's."""
        means = {p: self.mean(p, condition, metric).mean for p in self.policies}
        known = {p: mean for p, mean in means.items() if mean is not None}
        if len(known) < 2:
            return None
        least = min(known, key=known.get)
        others = (p for p in known if p != least)
        clear = all(self.difference(least, p, condition, metric).clear < 0 for p in others)
        return least if clear else None

    def tally(self, policy: str, baseline: str) -> tuple[int, int, int]:
        """Conditions where the RMSE is clearly smaller, clearly larger, and neither.

        Those count that both have flown.
        """
        both = [c for c in self.conditions if self.flown(policy, c) and self.flown(baseline, c)]
        signs = [self.difference(policy, baseline, c, "rmse_m").clear for c in both]
        return signs.count(-1), signs.count(1), signs.count(0)

    def seed_means(self, policy: str, condition: str, metric: str) -> np.ndarray:
        """Mean over the flights of each training seed that has any, ``(S,)``."""
        values = self.values(policy, condition, metric)
        values = values[np.isfinite(values).any(axis=1)]
        return np.nanmean(values, axis=1)

    def crashes(self, policy: str, condition: str) -> tuple[int, int]:
        """Flights that crashed, and all flights."""
        rows = self.group(policy, condition)
        return sum(row["crashed"] for row in rows), len(rows)

    def rate(self, policy: str, condition: str, name: str) -> Interval:
        """One of `metrics.SHARES`, with its Wilson score interval."""
        rows, failed = self.group(policy, condition), SHARES[name].failed
        return rate_interval(sum(map(failed, rows)), len(rows)) if rows else UNKNOWN

    def success(self, policy: str, condition: str) -> Interval:
        """Share of the flights that met the limits of their world, and did not crash.

        Its interval is Wilson's where there is one training, else that of the mean over trainings
        and flights, as for any other figure.
        """
        good = self._succeeded(policy, condition)
        if not good.size:
            return UNKNOWN
        if len(good) == 1:
            return rate_interval(int(good.sum()), good.size)
        estimate = Estimate(good[None].astype(float))
        return as_interval(estimate.mean[0], *(end[0] for end in estimate.limits))

    def _succeeded(self, policy: str, condition: str) -> np.ndarray:
        """Whether each flight succeeded, (training seeds, flights)."""
        limits = self._settings[condition].scenario.success.limits
        flights = map(FlightMetrics, self.group(policy, condition))
        found = [passed(metrics, judge(metrics, limits)) for metrics in flights]
        return np.array(found, bool).reshape(-1, self.suite.flights)

    def departures_per_km(self, policy: str, condition: str) -> float | None:
        """Flights that crashed over the way travelled; None where rows don't keep the way."""
        ways = [row.get("path_length_m") for row in self.group(policy, condition)]
        if not ways or None in ways:
            return None
        return 1000 * self.crashes(policy, condition)[0] / max(sum(ways), 1e-9)

    def curves(self) -> dict[str, dict[str, list[tuple[float, Interval]]]]:
        """Success along each quantity of the suite: of each policy its values, in order."""
        found: dict[str, dict[str, list[tuple[float, Interval]]]] = {}
        for condition in self.conditions:
            for along in self.suite.config.conditions[condition].along:
                for policy in self.policies:
                    if self.flown(policy, condition):
                        line = found.setdefault(along.quantity, {}).setdefault(policy, [])
                        line.append((along.value, self.success(policy, condition)))
        for lines in found.values():
            for line in lines.values():
                line.sort(key=lambda point: point[0])
        return found

    def limits(self) -> list[Limit]:
        """The limits of the suite for the policies and conditions that flew, in its order."""
        found = []
        for policy, metrics in self.suite.config.limits.items():
            for metric, conditions in metrics.items():
                for condition, largest in conditions.items():
                    if (policy, condition) not in self._groups:
                        continue
                    value = self.rate if metric in SHARES else self.mean
                    reached = value(policy, condition, metric)
                    met = reached.mean is not None and reached.mean <= largest
                    found.append(Limit(policy, condition, metric, largest, reached, met))
        return found

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

    def training_curves(self) -> dict[str, list[Curve]]:
        """Seconds and RMSE in m of the training of each policy with logs, a curve a seed."""
        curves = {}
        for policy in self.policies:
            files = dict.fromkeys(c.artifact for c in self.suite.cells if c.policy == policy)
            found = [curve for curve in map(training_curve, files) if curve is not None]
            if found:
                curves[policy] = found
        return curves

    def challengers(self) -> list[str]:
        """Policies that are no baseline."""
        return [p for p in self.policies if p not in self.suite.config.baselines]

    def to_dict(self) -> dict[str, Any]:
        """All results, for strict JSON; what was not flown has no figures, and 0 flights."""
        config = self.suite.config
        return {
            "description": config.description,
            "flights": self.suite.flights,
            "first_seed": config.first_seed,
            "after_s": config.after,
            "statistics": f"{100 * LEVEL:.0f} % intervals over training seeds and flights, over "
            "flights alone of a policy with one; iqm: interquartile mean of the training seeds; "
            "clear: -1 or 1 where a difference is below or above zero, by the level of all "
            "differences of the metric (family); crash rates: Wilson score intervals",
            "training_seeds": {name: self.trainings(name) for name in self.policies},
            "family": {
                metric: {
                    "differences": self.family(metric).size,
                    "level": self.family(metric).level,
                }
                for metric in self.metrics
            },
            "command": self.command,
            "provenance": provenance(),
            "policies": {name: self.records(name) for name in self.policies},
            "conditions": {name: config.conditions[name].description for name in self.conditions},
            "limits": [asdict(limit) for limit in self.limits()],
            "success": self._table(lambda p, c: asdict(self.success(p, c))),
            "collisions": self._table(lambda p, c: self._collisions(p, c)),
            "departures_per_km": self._table(self.departures_per_km),
            "curves": {
                quantity: {
                    policy: [{"value": value, **asdict(found)} for value, found in line]
                    for policy, line in lines.items()
                }
                for quantity, lines in self.curves().items()
            },
            "crashes": self._table(lambda p, c: self._crash_entry(p, c)),
            "metrics": {
                metric: self._table(lambda p, c, m=metric: self._mean_entry(p, c, m))
                for metric in self.metrics
            },
            "differences": {
                baseline: {
                    metric: self._table(
                        lambda p, c, b=baseline, m=metric: asdict(self.difference(p, b, c, m))
                    )
                    for metric in self.metrics
                }
                for baseline in self.baselines
            },
        }

    def _estimate(self, policy: str, metric: str) -> Estimate:
        seeds = {cell.training for cell in self.suite.cells if cell.policy == policy}
        empty = np.full((len(seeds), self.suite.flights), np.nan)
        flown = (
            self.values(policy, c, metric) if self.flown(policy, c) else empty
            for c in self.conditions
        )
        return Estimate(np.array(list(flown)))

    def _mean_entry(self, policy: str, condition: str, metric: str) -> dict[str, Any]:
        middle = self.interquartile(policy, condition, metric)
        found = asdict(self.mean(policy, condition, metric))
        return found | {"iqm": middle.mean, "iqm_low": middle.low, "iqm_high": middle.high}

    def _collisions(self, policy: str, condition: str) -> int:
        """Flights that ended in what stood there, or on the ground."""
        reasons = [row["crash_reason"] or "" for row in self.group(policy, condition)]
        return sum(reason.startswith(("hit ", "touched ")) for reason in reasons)

    def _crash_entry(self, policy: str, condition: str) -> dict[str, Any]:
        events, flights = self.crashes(policy, condition)
        interval = self.rate(policy, condition, "crash_rate")
        return {"crashed": events, "flights": flights, **asdict(interval)}

    def _table(self, entry) -> dict[str, dict[str, Any]]:
        return {c: {p: entry(p, c) for p in self.policies} for c in self.conditions}
