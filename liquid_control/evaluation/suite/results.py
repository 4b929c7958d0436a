"""The files of a suite's results: ``results.json``, ``results.csv``, ``results.md``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from liquid_control.evaluation.metrics import display_of
from liquid_control.evaluation.provenance import provenance
from liquid_control.evaluation.suite.margins import LEVEL
from liquid_control.evaluation.suite.success_curves import draw_curves
from liquid_control.evaluation.suite.summary import Limit, Summary
from liquid_control.evaluation.suite.words import (
    interval_text,
    not_flown_text,
    over_text,
    verdicts,
    what_is_clear,
)
from liquid_control.evaluation.views.training_curves import draw_training

POLICY_HEAD = ("policy", "network", "non-zero weights", "training seeds", "training time, s")
NOT_FLOWN = "not flown"
_FIGURES = ("mean", "low", "high", "iqm", "iqm_low", "iqm_high")


def write_results(summary: Summary, out: str | Path) -> list[Path]:
    """Write all results as JSON, one line a figure as CSV, and the tables as Markdown.

    Where training logs stand beside the artifacts, also a picture of error over training time.
    """
    out, results = Path(out), summary.to_dict()
    files = [out / f"results.{suffix}" for suffix in ("json", "csv", "md")]
    files[0].write_text(json.dumps(results, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    with files[1].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["condition", "policy", "metric", *_FIGURES])
        for metric, table in {**results["metrics"], "crash_rate": results["crashes"]}.items():
            for condition, entries in table.items():
                for policy, entry in entries.items():
                    figures = [entry.get(key) for key in _FIGURES]
                    writer.writerow([condition, policy, metric, *figures])
    files[2].write_text(markdown(summary), encoding="utf-8")
    if lines := summary.curves():
        files.append(out / "curves.png")
        draw_curves(lines, files[-1])
    if curves := summary.training_curves():
        files.append(out / "training.png")
        draw_training(curves, files[-1])
    return files


def markdown(summary: Summary) -> str:
    """The report as Markdown, as it stands in ``docs/results``."""
    parts = [f"# {summary.suite.config.description}", _origin(summary), _policies(summary)]
    if summary.suite.config.success:
        parts += ["## Success", _success(summary)]
    parts += ["## Position error", *verdicts(summary), _errors(summary)]
    if summary.baselines:
        parts.append(_tallies(summary))
    parts += ["## Interquartile mean", _interquartile(summary)]
    if limits := summary.limits():
        rows = [
            [
                limit.policy,
                limit.condition,
                *limit_texts(limit),
                "met" if limit.met else "**missed**",
            ]
            for limit in limits
        ]
        head = ["policy", "condition", "metric", "limit", "reached", ""]
        parts += ["## Limits", _table(head, rows, left=3)]
    if spread := _spread(summary):
        parts += ["## Training seeds", spread]
    return "\n\n".join(parts) + "\n"


def limit_texts(limit: Limit) -> tuple[str, str, str]:
    """What a limit is on, its value, and what was reached, for people."""
    show = display_of(limit.metric)
    reached = interval_text(limit.reached, lambda x: f"{show.factor * x:.{show.digits}f}")
    return f"{show.name}, {show.unit}", f"{show.factor * limit.largest:g}", reached


def tally_text(summary: Summary, policy: str, baseline: str) -> str:
    """Conditions with clearly smaller, clearly larger and not clearly different error."""
    if policy == baseline:
        return ""
    return " / ".join(map(str, summary.tally(policy, baseline)))


def policy_rows(summary: Summary) -> Iterable[list[str]]:
    """Name, network, non-zero weights, training seeds and training time of each policy."""
    for name in summary.policies:
        records = summary.records(name)
        networks = dict.fromkeys(record.get("network", "expert") for record in records)
        weights = [record["weights"] for record in records if "weights" in record]
        seconds = [record.get("training", {}).get("seconds") for record in records]
        known = [value for value in seconds if value is not None]
        yield [name, ", ".join(networks), _range(weights), str(len(records)), _range(known, ".0f")]


def _range(values: Sequence[float], form: str = "") -> str:
    texts = [f"{value:{form}}" for value in (min(values), max(values))] if values else ["–"]
    return " to ".join(dict.fromkeys(texts))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    marks = " --- |" * left + " ---: |" * (len(head) - left)
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], f"|{marks}", *lines[1:]])


def _origin(summary: Summary) -> str:
    origin = provenance()
    software = ", ".join(f"{key} {origin[key]}" for key in ("python", "pybullet", "onnxruntime"))
    command = f"Command: `{summary.command}`\n\n" if summary.command else ""
    return (
        f"{command}{origin['date']}; {origin['processor']}; liquid_control "
        f"{origin['liquid_control']}, {software}. {len(summary.rows)} flights."
        + (f"\n\n{missing}" if (missing := not_flown_text(summary)) else "")
    )


def _policies(summary: Summary) -> str:
    return _table(POLICY_HEAD, policy_rows(summary), left=2)


def _errors(summary: Summary) -> str:
    rows = [["*interval over*", *(over_text(summary, policy) for policy in summary.policies)]]
    for condition in summary.conditions:
        best = summary.best(condition, "rmse_m")
        cells = []
        for policy in summary.policies:
            if not summary.flown(policy, condition):
                cells.append(NOT_FLOWN)
                continue
            interval = summary.mean(policy, condition, "rmse_m")
            text = interval_text(interval, _centimetres, policy == best)
            cells.append(text + _crashed(summary, policy, condition))
        rows.append([condition, *cells])
    config = summary.suite.config
    return (
        f"RMSE in cm at t > {config.after:g} s, mean over {summary.suite.flights} flights of each "
        f"training seed [{100 * LEVEL:.0f} % interval]. Bold: clearly smaller than every other. "
        f"{what_is_clear(summary)} Flights that crashed are counted, not averaged.\n\n"
        + _table(["condition", *summary.policies], rows)
    )


def _crashed(summary: Summary, policy: str, condition: str) -> str:
    events, flights = summary.crashes(policy, condition)
    return f", {events} of {flights} crashed" if events else ""


def _success(summary: Summary) -> str:
    rows = []
    for condition in summary.conditions:
        cells = []
        for policy in summary.policies:
            if not summary.flown(policy, condition):
                cells.append(NOT_FLOWN)
                continue
            text = interval_text(summary.success(policy, condition), _percent)
            cells.append(text + _crashed(summary, policy, condition))
        rows.append([condition, summary.suite.config.conditions[condition].description, *cells])
    head = ["condition", "what it is", *summary.policies]
    return (
        f"Flights in % that met the limits of their world [{100 * LEVEL:.0f} % interval]."
        "\n\n" + _table(head, rows, left=2)
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _interquartile(summary: Summary) -> str:
    rows = []
    for condition in summary.conditions:
        cells = []
        for policy in summary.policies:
            middle = summary.interquartile(policy, condition, "rmse_m")
            flown = summary.flown(policy, condition)
            cells.append(interval_text(middle, _centimetres) if flown else NOT_FLOWN)
        rows.append([condition, *cells])
    return (
        "RMSE in cm as above, mean of the middle half: of the training seeds' means, a quarter cut "
        "off at either end; of the flights where there is one seed. A training that failed weighs "
        "on the mean, not on this.\n\n" + _table(["condition", *summary.policies], rows)
    )


def _tallies(summary: Summary) -> str:
    baselines = summary.baselines
    rows = [
        [p, *(tally_text(summary, p, baseline) for baseline in baselines)] for p in summary.policies
    ]
    return (
        "In how many conditions the RMSE is clearly smaller / clearly larger / not clearly "
        "different:\n\n"
        + _table(["policy", *(f"against {baseline}" for baseline in baselines)], rows)
    )


def _centimetres(metres: float) -> str:
    return f"{100 * metres:.2f}"


def _spread(summary: Summary) -> str:
    """How much the mean RMSE differs from training seed to training seed."""
    several = [p for p in summary.policies if len(summary.records(p)) > 1]
    if not several:
        return ""
    rows = []
    for condition in summary.conditions:
        cells = []
        for policy in several:
            means = summary.seed_means(policy, condition, "rmse_m")
            spread = f"{_centimetres(np.std(means, ddof=1))}, " if len(means) > 1 else ""
            ends = (
                f"{_centimetres(means.min())} to {_centimetres(means.max())}" if len(means) else "–"
            )
            cells.append(spread + ends)
        rows.append([condition, *cells])
    return (
        "Standard deviation, then the best to the worst training seed, of the mean RMSE in cm.\n\n"
        + _table(["condition", *several], rows)
    )
