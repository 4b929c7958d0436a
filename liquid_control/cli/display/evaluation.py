"""The table at the end of a suite."""

from __future__ import annotations

from pathlib import Path

from rich.box import HEAVY_HEAD
from rich.markup import escape
from rich.table import Table

from liquid_control.cli.display import CONSOLE


def show_evaluation(summary, files: list[Path]) -> None:
    """Position error of each policy in each condition, limits that were missed, and the files."""
    from liquid_control.evaluation.suite.results import NOT_FLOWN, limit_texts
    from liquid_control.evaluation.suite.words import interval_text, verdicts

    wide = len(summary.policies) <= 4  # a terminal has room for intervals
    title = "position error, RMSE in cm" + (" [95 % interval]" if wide else "")
    table = Table(title=title, box=HEAVY_HEAD if wide else None)
    table.add_column("condition", no_wrap=True)
    for policy in summary.policies:
        table.add_column(policy, justify="right", overflow="fold", min_width=5)
    for condition in summary.conditions:
        cells = []
        for policy in summary.policies:
            interval = summary.mean(policy, condition, "rmse_m")
            events, flights = summary.crashes(policy, condition)
            cell = "-" if flights else NOT_FLOWN
            if interval.mean is not None:
                text = interval_text(interval, lambda metres: f"{100 * metres:.2f}")
                cell = escape(text) if wide else f"{100 * interval.mean:.2f}"
            cells.append(cell + (f" [red]{events}/{flights} crashed" if events else ""))
        table.add_row(condition, *cells)
    CONSOLE.print(table)
    for line in verdicts(summary):
        CONSOLE.print(f"  {escape(line)}", highlight=False)
    limits = summary.limits()
    for limit in (limit for limit in limits if not limit.met):
        name, largest, reached = limit_texts(limit)
        CONSOLE.print(
            f"  [red]missed[/] {limit.policy} in {limit.condition}: {name}: {escape(reached)}, "
            f"limit {largest}",
            highlight=False,
        )
    if limits:
        CONSOLE.print(f"  {sum(limit.met for limit in limits)} of {len(limits)} limits met")
    for policy, reason in summary.suite.absent.items():
        CONSOLE.print(f"  [yellow]not flown[/] {escape(policy)}: {escape(reason)}", highlight=False)
    for path in files:
        CONSOLE.print(f"  {path}", highlight=False)
