"""The report of a suite: one HTML file with tables, intervals, distributions, the worst flight."""

from __future__ import annotations

from pathlib import Path

from liquid_control.evaluation.metrics import SHARES, display_of
from liquid_control.evaluation.page import (
    Page,
    badge,
    columns,
    definition_table,
    details,
    escape,
    media,
    section,
    table,
)
from liquid_control.evaluation.provenance import provenance
from liquid_control.evaluation.suite import figures as suite_figures
from liquid_control.evaluation.suite.config import load_metadata
from liquid_control.evaluation.suite.flights import fly_cell
from liquid_control.evaluation.suite.margins import LEVEL
from liquid_control.evaluation.suite.results import (
    NOT_FLOWN,
    POLICY_HEAD,
    limit_texts,
    policy_rows,
    tally_text,
)
from liquid_control.evaluation.suite.statistics import Interval
from liquid_control.evaluation.suite.summary import Summary
from liquid_control.evaluation.suite.words import (
    not_flown_text,
    over_text,
    verdicts,
    what_is_clear,
)
from liquid_control.evaluation.views import activity, figures
from liquid_control.evaluation.views.circuit import layers
from liquid_control.evaluation.views.film import write_video
from liquid_control.evaluation.views.path import path_figure

_NOT_FLOWN = f"<small>{NOT_FLOWN}</small>"


def write_suite_report(summary: Summary, out: str | Path, *, film: bool = True) -> Path:
    """Write ``report.html`` and, with ``film``, ``worst.mp4`` into ``out``."""
    config, out = summary.suite.config, Path(out)
    page = Page(
        config.description,
        f"{len(summary.policies)} policies, {len(summary.conditions)} conditions, "
        f"{summary.suite.flights} flights a training seed: {len(summary.rows)} flights",
    )
    if config.success:
        _add_success(page, summary)
    page.add_section(
        "Position error, RMSE",
        *(f"<p><b>{escape(line)}</b></p>" for line in verdicts(summary)),
        _metric_table(summary, "rmse_m"),
        details("Interquartile mean, cm", _metric_table(summary, "rmse_m", middle=True)),
        page.figure("forest", suite_figures.intervals(summary)),
        note=f"cm, mean and {100 * LEVEL:.0f} % interval at t > {config.after:g} s; bold: clearly "
        f"smaller than every other. {what_is_clear(summary)} A flight that crashed is counted and "
        f"not averaged. {not_flown_text(summary)}".rstrip(),
    )
    if summary.limits():
        page.add_section("Limits", _limits(summary), note="Of the suite file, on the mean.")
    for baseline in summary.baselines:
        page.add_section(
            f"Against {baseline}",
            _difference_table(summary, baseline),
            note="RMSE minus that of the baseline in the same wind and noise, cm, with the "
            f"{100 * LEVEL:.0f} % interval of this difference alone. Coloured where it is clear "
            "among all differences; the last row counts conditions.",
        )
    page.add_section(
        "Distribution of flights",
        page.figure("distribution", suite_figures.distribution(summary)),
        note="RMSE of each flight; boxes hold the middle half, whiskers reach 1.5 times as far.",
    )
    page.add_section(
        "Error over time",
        page.figure("over-time", suite_figures.error_over_time(summary)),
        note="Mean over all flights of a policy that were still in the air.",
    )
    _add_worst(page, summary, out, film)
    others = [
        details(_title(metric), _metric_table(summary, metric))
        for metric in summary.metrics
        if metric != "rmse_m"
    ]
    others += [details(_title(share), _share_table(summary, share)) for share in SHARES]
    page.add_section("Other metrics", *others)
    page.add_section("Policies", _policies(summary))
    curves = suite_figures.learning_curves(summary)
    if curves is not None:
        page.add_section(
            "Error over training time",
            page.figure("training", curves),
            note="Position RMSE in training conditions, running mean, a line a training seed, from "
            "the log beside each artifact.",
        )
    page.add(_origin(summary))
    return page.write(out / "report.html")


def _add_success(page: Page, summary: Summary) -> None:
    rows = []
    for condition in summary.conditions:
        cells = []
        for policy in summary.policies:
            if not summary.flown(policy, condition):
                cells.append(_NOT_FLOWN)
                continue
            text = _format(summary.success(policy, condition), 100, _gap(summary))
            cells.append(text + _crashed(summary, policy, condition))
        rows.append([_condition_cell(summary, condition), *cells])
    head = ["condition", *map(escape, summary.policies)]
    parts = [table(head, rows, numbers=range(1, len(head)))]
    if summary.curves():
        parts.append(page.figure("curves", suite_figures.success_curves(summary)))
    page.add_section(
        "Success",
        *parts,
        note="Flights in % that met the limits of their world, with the "
        f"{100 * LEVEL:.0f} % interval.",
    )


def _title(metric: str) -> str:
    show = display_of(metric)
    return f"{show.name}, {show.unit}"


def _format(
    interval: Interval, factor: float, gap: str, *, signed: bool = False, bold: bool = False
) -> str:
    if interval.mean is None:
        return "–"
    sign = "+" if signed else ""
    mean = f"{factor * interval.mean:{sign}.2f}"
    mean = f"<b>{mean}</b>" if bold else mean
    if interval.low is None:
        return mean
    low, high = factor * interval.low, factor * interval.high
    return f"{mean}{gap}<small>[{low:{sign}.2f}, {high:{sign}.2f}]</small>"


def _gap(summary: Summary) -> str:
    """Between a mean and its interval: many columns have room for one below the other."""
    return " " if len(summary.policies) <= 5 else "<br>"


def _crashed(summary: Summary, policy: str, condition: str) -> str:
    """How many flights did, below a figure that is of the others; nothing if none did."""
    events, flights = summary.crashes(policy, condition)
    note = f'<br><small class="worse">{events} of {flights} crashed</small>'
    return note if events else ""


def _metric_table(summary: Summary, metric: str, *, middle: bool = False) -> str:
    """Means, or with ``middle`` interquartile means, which none is bold of."""
    factor, figure = display_of(metric).factor, summary.interquartile if middle else summary.mean
    over = (f"<small>{_two_lines(over_text(summary, p))}</small>" for p in summary.policies)
    rows = [["<small>interval over</small>", *over]]
    for condition in summary.conditions:
        means = {p: figure(p, condition, metric) for p in summary.policies}
        if all(interval.mean is None for interval in means.values()):
            continue
        best = None if middle else summary.best(condition, metric)
        cells = []
        for policy, interval in means.items():
            if not summary.flown(policy, condition):
                cells.append(_NOT_FLOWN)
                continue
            text = _format(interval, factor, _gap(summary), bold=policy == best)
            cells.append(text + _crashed(summary, policy, condition))
        rows.append([_condition_cell(summary, condition), *cells])
    head = ["condition", *map(escape, summary.policies)]
    return table(head, rows, numbers=range(1, len(head)))


def _two_lines(text: str) -> str:
    """No wider than the figures below it."""
    return escape(text).replace(" and ", "<br>and ").replace(", ", ",<br>")


def _share_table(summary: Summary, name: str) -> str:
    gap = _gap(summary)
    rows = [
        [
            _condition_cell(summary, condition),
            *(
                _format(summary.rate(policy, condition, name), 100, gap)
                if summary.flown(policy, condition)
                else _NOT_FLOWN
                for policy in summary.policies
            ),
        ]
        for condition in summary.conditions
    ]
    head = ["condition", *map(escape, summary.policies)]
    return table(head, rows, numbers=range(1, len(head)))


def _condition_cell(summary: Summary, condition: str) -> str:
    text = summary.suite.config.conditions[condition].description
    return f'<span title="{escape(text)}">{escape(condition)}</span>'


def _difference_table(summary: Summary, baseline: str) -> str:
    others = [p for p in summary.policies if p != baseline]
    rows = []
    for condition in summary.conditions:
        cells = []
        for policy in others:
            if not (summary.flown(policy, condition) and summary.flown(baseline, condition)):
                cells.append(_NOT_FLOWN)
                continue
            interval = summary.difference(policy, baseline, condition, "rmse_m")
            kind = {-1: "better", 1: "worse", 0: ""}[interval.clear]
            text = _format(interval, 100, _gap(summary), signed=True)
            cells.append(f'<span class="{kind}">{text}</span>')
        rows.append([_condition_cell(summary, condition), *cells])
    tallies = [tally_text(summary, policy, baseline) for policy in others]
    rows.append(
        ["<b>clearly smaller / larger / neither</b>", *(f"<b>{text}</b>" for text in tallies)]
    )
    head = ["condition", *map(escape, others)]
    return table(head, rows, numbers=range(1, len(head)))


def _limits(summary: Summary) -> str:
    rows = [
        [
            escape(limit.policy),
            _condition_cell(summary, limit.condition),
            *map(escape, limit_texts(limit)),
            badge(limit.met),
        ]
        for limit in summary.limits()
    ]
    return table(("policy", "condition", "", "limit", "reached", ""), rows, numbers=(3, 4))


def _add_worst(page: Page, summary: Summary, out: Path, film: bool) -> None:
    """The worst flight of the policies that are no baseline, flown again from its seed.

    A crash, else the largest error. Where the setpoint jumps and the vehicle follows each time,
    the largest error is only the jump.
    """
    challengers = summary.challengers() or summary.policies
    rows = [row for row in summary.rows if row["policy"] in challengers]
    followed = [row for row in rows if row["step_time_s"] is None] or rows
    worst = max(followed, key=lambda row: (row["crashed"], row["max_error_m"] or 0.0))
    cell = next(
        c
        for c in summary.suite.cells
        if (c.policy, c.training, c.condition)
        == (worst["policy"], worst["training"], worst["condition"])
    )
    log = fly_cell(cell, worst["seed"])
    metadata = load_metadata(cell.artifact)
    groups = layers(log, metadata)
    end = log.crash_reason or f"largest error {100 * (worst['max_error_m'] or 0):.1f} cm"
    whose = (
        "" if len(challengers) == len(summary.policies) else "Of the policies but the baselines: "
    )
    note = (
        f"{whose}{cell.policy} (training seed {cell.training}) in {cell.condition}, flight seed "
        f"{worst['seed']}: {end}."
    )
    cards = [section("Worst flight", page.figure("worst-path", path_figure(log)), note=note)]
    if film:
        vehicle = cell.setting.vehicle
        path = write_video(out / "worst.mp4", log, vehicle, layers=groups, fps=15, size=(960, 540))
        cards.append(section("Film of it", media(path, note)))
    page.add(columns(*cards))
    errors = page.figure("worst-error", figures.errors(log, summary.suite.config.after))
    page.add_section("Worst flight over time", errors)
    if groups:
        page.add_section(
            "Neurons in the worst flight",
            page.figure("worst-neurons", activity.activity_figure(log, groups)),
        )


def _policies(summary: Summary) -> str:
    """What flew, so that a reader can judge whether the comparison is fair."""
    rows = [list(map(escape, row)) for row in policy_rows(summary)]
    return table(POLICY_HEAD, rows, numbers=range(2, len(POLICY_HEAD)))


def _origin(summary: Summary) -> str:
    config = summary.suite.config
    descriptions = {name: config.conditions[name].description for name in summary.conditions}
    records = {name: summary.records(name) for name in summary.policies}
    return section(
        "Origin",
        definition_table({"command": summary.command or "–", **provenance()}),
        details("Conditions", descriptions),
        details("Training records", records),
        details("Suite", config.model_dump(mode="json")),
    )
