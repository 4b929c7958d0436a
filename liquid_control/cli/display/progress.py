"""Bars while something flies, trains or is evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from liquid_control.cli.display import CONSOLE


@contextmanager
def _progress(text: str) -> Iterator[Progress]:
    """A bar that its first update shows, so that an early error stands alone."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(text),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=CONSOLE,
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
                CONSOLE.print("The step is not compiled: this takes many times longer.")
            elif getattr(trainer, "compiled_by", "").endswith("torch"):
                CONSOLE.print("torch compiles the step: a minute or two before the first update.")
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
