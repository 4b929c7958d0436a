"""Success along what makes flights harder: wind, frame rate, delay, strength of a shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from liquid_control.evaluation.suite.statistics import Interval

PLOTS_A_ROW = 3
Lines = Mapping[str, Sequence[tuple[float, Interval]]]  # of each policy, by value


def draw_curves(curves: Mapping[str, Lines], path: Path) -> None:
    """A PNG with a plot a quantity, a line with its intervals a policy."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(PLOTS_A_ROW, len(curves))
    rows = -(-len(curves) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.0 * columns, 3.0 * rows), squeeze=False, sharey=True
    )
    colors = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    policies = list(dict.fromkeys(policy for lines in curves.values() for policy in lines))
    for axes, (quantity, lines) in zip(grid.flat, curves.items()):
        for policy, line in lines.items():
            color = colors[policies.index(policy) % len(colors)]
            values = [value for value, _ in line]
            means, lows, highs = (
                100 * np.array([getattr(found, end) for _, found in line], float)
                for end in ("mean", "low", "high")
            )
            axes.plot(values, means, "o-", color=color, label=policy, markersize=4)
            axes.fill_between(values, lows, highs, color=color, alpha=0.18, linewidth=0)
        axes.set(xlabel=quantity, ylim=(0, 102))
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("success, %")
    grid.flat[0].legend(loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
