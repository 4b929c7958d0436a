"""What the terminal shows: progress bars and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from liquid_control.runtime.artifact import PolicyMetadata, load_artifact

_CONSOLE = Console()


@contextmanager
def _progress(text: str) -> Iterator[Progress]:
    """A bar that its first update shows, so that an early error stands alone."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(text),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=_CONSOLE,
    )
    try:
        yield bar
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def flight_progress() -> Iterator:
    """A bar over simulated time; yields the function to call with time, duration and error."""
    with _progress(
        "{task.completed:5.1f} of {task.total:.1f} s  error {task.fields[cm]:5.1f} cm"
    ) as bar:
        task = bar.add_task("flying", total=0.0, cm=0.0)

        def on_progress(time: float, duration: float, error: float) -> None:
            bar.start()
            bar.update(task, total=duration, completed=time, cm=100 * error)

        yield on_progress


@contextmanager
def training_progress() -> Iterator:
    """A bar over updates; yields the functions to call at the start and after each update."""
    text = (
        "{task.completed:.0f} of {task.total:.0f}  "
        "loss {task.fields[loss]}  error {task.fields[cm]}"
    )
    with _progress(text) as bar:
        task = bar.add_task("starting", total=1, loss="-", cm="-")

        def on_start(trainer) -> None:
            if not trainer.compiled:
                _CONSOLE.print("The step is not compiled: this takes about ten times longer.")
            bar.start()
            bar.update(task, total=trainer.updates, completed=trainer.update)

        def on_progress(progress) -> None:
            error = "-" if math.isnan(progress.error) else f"{100 * progress.error:.1f} cm"
            bar.update(
                task,
                description="training",
                completed=progress.update,
                loss=f"{progress.loss:.3f}",
                cm=error,
            )

        yield on_start, on_progress


@contextmanager
def count_progress(what: str, things: str) -> Iterator:
    """A bar over flights or runs; yields the function to call with those done and in total."""
    with _progress(f"{{task.completed:.0f}} of {{task.total:.0f}} {things}") as bar:
        task = bar.add_task(what, total=0)

        def on_progress(done: int, total: int) -> None:
            bar.start()
            bar.update(task, total=total, completed=done)

        yield on_progress


def show_evaluation(summary, files: list[Path]) -> None:
    """Position error of each policy in each condition, limits that were missed, and the files."""
    from liquid_control.evaluation.suite.results import limit_texts

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
            cell = "-"
            if interval.mean is not None:
                mean, low, high = (100 * v for v in (interval.mean, interval.low, interval.high))
                cell = f"{mean:.2f}" + (f" \\[{low:.2f}, {high:.2f}]" if wide else "")
            cells.append(cell + (f" [red]{events}/{flights} crashed" if events else ""))
        table.add_row(condition, *cells)
    _CONSOLE.print(table)
    limits = summary.limits()
    for limit in (limit for limit in limits if not limit.met):
        name, largest, reached = limit_texts(limit)
        _CONSOLE.print(
            f"  [red]missed[/] {limit.policy} in {limit.condition}: {name}: {escape(reached)}, "
            f"limit {largest}",
            highlight=False,
        )
    if limits:
        _CONSOLE.print(f"  {sum(limit.met for limit in limits)} of {len(limits)} limits met")
    for path in files:
        _CONSOLE.print(f"  {path}", highlight=False)


def show_flight(result) -> None:
    """The table at the end of a flight."""
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
    row("policy step, median (µs)", _number(metrics.step_us_p50, 1))
    row("policy step, 99th percentile (µs)", _number(metrics.step_us_p99, 1))
    row("late control ticks", str(metrics.late_ticks))
    for mode, seconds in metrics.mode_time_s.items():
        row(f"flown by {mode} (s)", f"{seconds:.2f}")
    _CONSOLE.print(table)
    for path in result.files:
        _CONSOLE.print(f"  {path}", highlight=False)
    verdict = "[green]The flight met its criteria." if result.passed else "[red]The flight failed."
    _CONSOLE.print(verdict)


def _number(value: float | None, factor: float) -> str:
    return "-" if value is None else f"{value * factor:.2f}"


def show_trained(result: Path) -> None:
    """What a training run made: a policy, or a file of gains."""
    if result.suffix == ".onnx":
        show_policy(result, load_artifact(result).metadata)
    else:
        _CONSOLE.print(f"{result}\n{result.read_text()}", highlight=False)


def show_policy(path: Path, metadata: PolicyMetadata) -> None:
    """What a policy file holds."""
    table = Table(title=str(path), show_header=False)
    layers = metadata.wiring.layers if metadata.wiring else {}
    circuit = ", ".join(f"{len(ids)} {name}" for name, ids in layers.items())
    for name, value in (
        ("network", metadata.network),
        ("neurons", circuit or str(len(metadata.neuron_names))),
        ("weights", str(metadata.weights)),
        ("vehicle", metadata.vehicle),
        ("control period", f"{metadata.control_period * 1e3:g} ms"),
        ("observation", ", ".join(slot.name for slot in metadata.observation)),
        ("command", ", ".join(slot.name for slot in metadata.command)),
        ("training", _training(metadata.training)),
    ):
        table.add_row(name, value)
    _CONSOLE.print(table)


def _training(record: dict) -> str:
    error = record.get("training_rmse_m")
    settled = "" if error is None else f", error {100 * error:.1f} cm in training conditions"
    return f"{record.get('updates', '?')} updates in {record.get('seconds', '?')} s{settled}"
