"""The table at the end of a flight."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from liquid_control.cli.display import CONSOLE


def show_flight(result) -> None:
    """The table at the end of a flight: what matters most, and whatever has a limit."""
    from liquid_control.evaluation.metrics import display_of

    metrics = result.metrics
    limits = {check.metric: check for check in result.checks}
    table = Table(title=f"{metrics.policy} in {metrics.world}, seed {metrics.seed}")
    for heading in ("", "value", "limit", ""):
        table.add_column(heading, justify="left" if not heading else "right")

    def row(name: str, value: str, metric: str = "", factor: float = 1.0) -> None:
        check = limits.get(metric)
        limit = "" if check is None else f"{check.limit * factor:g}"
        verdict = "" if check is None else ("[green]met" if check.passed else "[red]missed")
        table.add_row(name, value, limit, verdict)

    after = "position error"
    row("crashed", f"[red]yes: {metrics.crash_reason}" if metrics.crashed else "no")
    row(f"{after}, RMSE (cm)", _number(metrics.rmse_m, 100), "rmse_m", 100)
    row(f"{after}, largest (cm)", _number(metrics.max_error_m, 100), "max_error_m", 100)
    for check in result.checks[1:]:
        if check.metric not in ("rmse_m", "max_error_m"):
            show = display_of(check.metric)
            name = f"{show.name} ({show.unit})" if show.unit else show.name
            row(name, _number(check.value, show.factor), check.metric, show.factor)
    row("policy step, median (µs)", _number(metrics.step_us_p50, 1))
    row("policy step, 99th percentile (µs)", _number(metrics.step_us_p99, 1))
    row("late control ticks", str(metrics.late_ticks))
    for mode, seconds in metrics.mode_time_s.items():
        row(f"flown by {mode} (s)", f"{seconds:.2f}")
    if metrics.fault:
        row("the policy gave up", f"[red]{escape(metrics.fault)}")
    CONSOLE.print(table)
    for words in result.outside_training:
        CONSOLE.print(f"[yellow]Outside its training:[/] {escape(words)}", highlight=False)
    for path in result.files:
        CONSOLE.print(f"  {path}", highlight=False)
    verdict = "[green]The flight met its criteria." if result.passed else "[red]The flight failed."
    CONSOLE.print(verdict)


def _number(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{value * factor:.2f}"
