"""One run as a list shows it, and its course, thinned to what a screen can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 600  # of a curve, about half as many as a wide page has pixels
_DIGITS = 5


@dataclass(frozen=True)
class Curve:
    """One quantity over the course of a run.

    Attributes:
        group: what is shown or hidden with it.
        title: with its unit; curves of one title share a plot.
        values: (N,), NaN where there is none.
        target: (N,) what was to be reached; ``None`` for most.
        raw: (N,) what the values are a running mean of; ``None`` for most.
        logarithmic: whether its axis may be.
    """

    group: str
    title: str
    values: np.ndarray
    target: np.ndarray | None = None
    raw: np.ndarray | None = None
    logarithmic: bool = False


@dataclass(frozen=True)
class Run:
    """A run that was found in a folder: use it to list runs, and to lay them over each other.

    Attributes:
        kind: flight, training or suite.
        name: its folder, as seen from where was looked.
        date: ``2026-01-31 12:00 UTC``.
        policy: what flew, or the configuration that was trained.
        setting: the world, or the way of training.
        error_m: RMSE of the position, m; of a training in held-out episodes, else the mean of the
            last rows of its log.
        count: updates of a training, flights of a suite.
        planned: updates, where they are not all made.
        seconds: simulated ones of a flight, those of the log of a training.
        verdict: whether a flight met its criteria and a training is done; ``None``: nobody knows.
        files: what there is to open, by a word for it.
        axes: (N,) what the curves can be drawn over, by its title.
        curves: empty for a run that can't be laid over another.
    """

    kind: str
    name: str
    date: str
    policy: str
    setting: str = ""
    vehicle: str = ""
    seed: int | None = None
    error_m: float | None = None
    count: int | None = None
    planned: int | None = None
    seconds: float | None = None
    verdict: bool | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    axes: Mapping[str, np.ndarray] = field(default_factory=dict)
    curves: Sequence[Curve] = ()

    def facts(self) -> dict[str, Any]:
        """All but the curves, as plain values for JSON."""
        values = {key: value for key, value in vars(self).items() if key not in ("axes", "curves")}
        return values | {"files": {word: str(path) for word, path in self.files.items()}}

    def course(self) -> dict[str, Any]:
        """Axes and curves as plain values, ``None`` for NaN, rounded to five digits."""
        rows = []
        for curve in self.curves:
            row = {"group": curve.group, "title": curve.title, "y": plain(curve.values)}
            for name in ("target", "raw"):
                if (values := getattr(curve, name)) is not None:
                    row[name] = plain(values)
            if curve.logarithmic:
                row["log"] = True
            rows.append(row)
        return {"x": {title: plain(axis) for title, axis in self.axes.items()}, "rows": rows}


def plain(values: np.ndarray) -> list[float | None]:
    """Numbers for JSON, with no more digits than a plot shows."""
    return [
        float(f"{value:.{_DIGITS}g}") if known else None
        for value, known in zip(values.tolist(), np.isfinite(values).tolist(), strict=True)
    ]


def thinned(values: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Indices of about ``points`` of all values, those of the largest among them.

    Of each of ``points / 2`` stretches they are the first one and the largest, so that no peak of
    this curve is lost; other columns are read at the same rows.
    """
    count = len(values)
    if count <= points:
        return np.arange(count)
    edges = np.linspace(0, count, points // 2 + 1).astype(int)
    known = np.where(np.isfinite(values), values, -np.inf)
    peaks = [low + int(np.argmax(known[low:high])) for low, high in pairwise(edges)]
    return np.unique(np.concatenate([edges[:-1], peaks, [count - 1]]))


def changed(path: Path) -> str:
    """When a file was written last, for runs that don't say when they were."""
    time = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    return time.strftime("%Y-%m-%d %H:%M UTC")


def present(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """The files of a folder that are there, by a word for each."""
    return {word: folder / name for word, name in names.items() if (folder / name).is_file()}
