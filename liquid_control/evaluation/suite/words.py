"""What a suite's results say in words, the same in its files, its page and its documentation."""

from __future__ import annotations

from collections.abc import Callable

from liquid_control.evaluation.suite.margins import LEVEL
from liquid_control.evaluation.suite.statistics import Interval
from liquid_control.evaluation.suite.summary import Summary

_UNBOUNDED = 1000  # times the mean: an interval of 95 % that ends there knows nothing
_NAMED = 4  # conditions that are worth their names


def verdicts(summary: Summary) -> list[str]:
    """A line for each policy that is no baseline: where it is clearly better, and worse.

    Empty where there is nothing to compare.
    """
    lines = []
    for policy in summary.challengers():
        against, said = [], 0
        for baseline in summary.baselines:
            smaller, larger, neither = summary.tally(policy, baseline)
            count = smaller + larger + neither
            if count == 0:
                continue
            conditions = f" of {count} condition{'s' if count > 1 else ''}"
            whole = f"{smaller}{conditions} and clearly worse in {larger}"
            short = f"{smaller} and {larger}"
            against.append(f"than {baseline} in {short if count == said else whole}")
            said = count
        if against:
            lines.append(f"{policy} is clearly better {', '.join(against)}.")
    return lines


def what_is_clear(summary: Summary) -> str:
    """What the word means here, with the level that it takes."""
    family = summary.family("rmse_m")
    if family.size == 0:
        return ""
    level = 100 * family.level
    return (
        f"Clearly: the chance that any of the {family.size} differences between two policies in a "
        f"condition is called so without being there is {100 * (1 - LEVEL):.0f} %; each takes an "
        f"interval of {level:.{2 if level < 99.9 else 3}f} % that leaves zero out."
    )


def over_text(summary: Summary, policy: str) -> str:
    """What the intervals of a policy are over."""
    seeds = summary.trainings(policy)
    if seeds > 1:
        return f"{seeds} training seeds and flights"
    return "flights only, one training seed" if seeds else "flights, not trained"


def not_flown_text(summary: Summary) -> str:
    """What of the suite has not been flown yet; "" where all has."""
    missing = summary.not_flown
    whole = list(dict.fromkeys(cell.condition for cell in summary.suite.cells))
    nowhere = [name for name in whole if name not in summary.conditions]
    parts = [f"{_some(nowhere, whole)} by any policy"] if nowhere else []
    for policy in summary.suite.config.policies:
        if policy not in summary.policies:
            reason = summary.suite.absent.get(policy)
            parts.append(f"anything by {policy}" + (f" ({reason})" if reason else ""))
        elif lacking := [name for name in missing.get(policy, []) if name not in nowhere]:
            parts.append(f"{_some(lacking, whole)} by {policy}")
    return f"Not flown: {'; '.join(parts)}." if parts else ""


def interval_text(interval: Interval, form: Callable[[float], str], bold: bool = False) -> str:
    """A mean with its interval, for Markdown.

    Of very few flights it may reach beyond all that is physical; then it says ∞.
    """
    if interval.mean is None:
        return "–"
    mean = f"**{form(interval.mean)}**" if bold else form(interval.mean)
    if interval.low is None:
        return mean
    unbounded = interval.high > _UNBOUNDED * interval.mean > 0
    high = "∞" if unbounded else form(interval.high)
    return f"{mean} [{form(interval.low)}, {high}]"


def _some(names: list[str], whole: list[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{len(names)} of {len(whole)} conditions"
