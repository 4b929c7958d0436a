"""Error over training time, from the log that `liquid-control train` writes beside an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

TRAINING_LOG = "log.jsonl"
SPAN = 10  # rows of the log that a point is the mean of
TICKS_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600)
TICKS_CM = (5, 10, 20, 50, 100, 200)
Curve = tuple[np.ndarray, np.ndarray]  # seconds (N,), RMSE (N,) in m


def training_curve(artifact: str) -> Curve | None:
    """Seconds ``(N,)`` and RMSE ``(N,)`` in m; None without a log.

    In held-out episodes where the log has them, else the running mean of the training's own. The
    log bears the name of the artifact, or the one that `train` gives it.
    """
    path = Path(artifact)
    logs = (path.with_suffix(".jsonl"), path.with_name(TRAINING_LOG))
    log = next((log for log in logs if log.is_file()), None)
    if log is None:
        return None
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    held_out = [row for row in rows if row.get("held_out_m") is not None and row["seconds"] > 0]
    if len(held_out) > 1:
        return tuple(np.array([row[key] for row in held_out]) for key in ("seconds", "held_out_m"))
    rows = [row for row in rows if row["rmse_m"] is not None and row["seconds"] > 0]
    seconds = np.array([row["seconds"] for row in rows])
    error = np.array([row["rmse_m"] for row in rows])
    span = min(SPAN, len(rows))
    if not span:
        return None
    return seconds[span - 1 :], np.convolve(error, np.full(span, 1 / span), mode="valid")


def draw_training(
    curves: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]], path: Path
) -> None:
    """A PNG of named groups of curves, a thin line each and a thick one through their median."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(figsize=(8, 4.5))
    for name, group in curves.items():
        (line,) = axes.plot([], [], label=name, linewidth=2.2)
        for seconds, error in group:
            axes.plot(seconds, 100 * error, color=line.get_color(), linewidth=0.7, alpha=0.35)
        times, middle = _median(group)
        line.set_data(times, 100 * middle)
    axes.set(xscale="log", yscale="log", xlabel="training time, s", ylabel="RMSE, cm")
    axes.set_xticks(TICKS_SECONDS, map(str, TICKS_SECONDS))
    axes.set_yticks(TICKS_CM, map(str, TICKS_CM))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.relim()
    axes.autoscale_view()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _median(group: Sequence[Curve]) -> Curve:
    """Of the times that all curves of a group have."""
    first = max(seconds[0] for seconds, _ in group)
    last = min(seconds[-1] for seconds, _ in group)
    times = np.geomspace(first, max(first, last), 200)
    return times, np.median([np.interp(times, *curve) for curve in group], axis=0)
