"""The picture of one training run: error, loss, learning rate and speed over its updates."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.evaluation.views.training_curves import SPAN
from liquid_control.whole_file import write_whole

BLUE, ORANGE = "#3b8fd9", "#e08a1e"  # as in the pages of plots

TRAINING_PICTURE = "training.png"
_ROWS = (  # column of the log, factor, what stands at its axis, whether it is noisy: tall, averaged
    ("rmse_m", 100, "error, cm", True),
    ("held_out_m", 100, "held out, cm", False),
    ("loss", 1, "loss", True),
    ("learning_rate", 1, "learning rate", False),
    ("env_steps_per_s", 1e-3, "1000 steps/s", False),
)
_WIDE = 5  # times the smallest value: from there on an axis is logarithmic


def draw_run(rows: Sequence[Mapping[str, Any]], path: Path, name: str) -> Path:
    """Write a PNG of the log's rows, whole or not at all: use it while the run goes on.

    A thin line is the log, a thick one the running mean of `training_curves.SPAN` rows; a dotted
    line stands where the run went back to an earlier policy.

    Args:
        rows: of the log, at least one; what a row lacks, or has as ``None``, is left out.
        path: of the picture.
        name: its title.

    Raises:
        OSError: if it can't be written.
    """
    # no pyplot: the backend of a program that trains is its own
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    known = [row for row in _ROWS if any(line.get(row[0]) is not None for line in rows)]
    heights = [2 if noisy else 1 for *_, noisy in known]
    figure = Figure(figsize=(8, 0.8 + 1.05 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(known), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (column, factor, label, noisy) in zip(axes, known, strict=True):
        found = [(r["update"], factor * r[column]) for r in rows if r.get(column) is not None]
        update, value = np.array(found, float).T
        averaged = noisy and len(value) >= 2 * SPAN
        ax.plot(update, value, color=BLUE, linewidth=0.8 if averaged else 1.6, marker=_mark(value))
        if averaged:
            mean = np.convolve(value, np.full(SPAN, 1 / SPAN), mode="valid")
            ax.plot(update[SPAN - 1 :], mean, color=ORANGE, linewidth=2.2)
        if noisy and value.min() > 0 and value.max() > _WIDE * value.min():
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        for back in _went_back(rows):
            ax.axvline(back, color="#d1495b", linewidth=1, linestyle=":")
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
    last = rows[-1]
    axes[0].set_title(f"{name}, after {last['update']} updates and {last['seconds']:.0f} s")
    axes[-1].set_xlabel("update")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return write_whole(path, picture.getbuffer())


def _mark(value: np.ndarray) -> str:
    """A lonely value is a dot, not a line."""
    return "." if len(value) == 1 else ""


def _went_back(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Updates at which the count of rollbacks had grown."""
    counts = [row.get("rollbacks") or 0 for row in rows]
    return [
        row["update"]
        for row, before, now in zip(rows[1:], counts, counts[1:], strict=False)
        if now > before
    ]
