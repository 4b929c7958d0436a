"""Plotly figures of a suite: intervals, distributions, error over time and over training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from liquid_control.evaluation.suite.summary import Summary
from liquid_control.evaluation.views.training_curves import TICKS_SECONDS

_COLORS = (
    *("#3b8fd9", "#e08a1e", "#1fa187", "#c468a8", "#8793a3", "#b39b2c"),
    *("#d1495b", "#6a6fd0", "#7a4a2b", "#86bf3f", "#2b6a77", "#e39ab0"),
)
_LOG_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
_GRID = 4  # small plots in a row


def intervals(summary: Summary) -> go.Figure:
    """Mean RMSE and its interval of each policy in each condition."""
    figure = go.Figure()
    spread = np.linspace(-0.36, 0.36, max(len(summary.policies), 2))
    places = np.arange(len(summary.conditions))
    for policy, shift, color in zip(summary.policies, spread, _colors()):
        intervals = [summary.mean(policy, c, "rmse_m") for c in summary.conditions]
        known = [k for k, i in enumerate(intervals) if i.mean is not None]
        means = np.array([100 * intervals[k].mean for k in known])
        # a point without an interval has none to draw
        ends = [(i.mean, i.mean) if i.low is None else (i.low, i.high) for i in intervals]
        figure.add_scatter(
            x=means,
            y=places[known] + shift,
            mode="markers",
            name=policy,
            marker=dict(color=color, size=6),
            error_x=dict(
                array=[100 * ends[k][1] - m for k, m in zip(known, means)],
                arrayminus=[m - 100 * ends[k][0] for k, m in zip(known, means)],
                thickness=1.4,
                width=0,
            ),
            hovertemplate="%{x:.2f} cm",
        )
    figure.update_yaxes(
        tickvals=places,
        ticktext=summary.conditions,
        range=[len(places) - 0.4, -0.6],
        zeroline=False,
    )
    figure.update_xaxes(type="log", title="RMSE, cm (logarithmic)", tickvals=_LOG_TICKS)
    return _finish(figure, 90 + len(summary.conditions) * (8 + 7 * len(summary.policies)))


def success_curves(summary: Summary) -> go.Figure:
    """Success along each quantity of the suite, a line with its intervals a policy."""
    curves = summary.curves()
    figure = _small_plots(tuple(curves), 150)
    colors = dict(zip(summary.policies, _colors()))
    named: set[str] = set()  # in the legend
    for k, lines in enumerate(curves.values()):
        for policy, line in lines.items():
            found = [interval for _, interval in line]
            figure.add_scatter(
                x=[value for value, _ in line],
                y=[100 * interval.mean for interval in found],
                error_y=dict(
                    array=[100 * (i.high - i.mean) if i.low is not None else 0 for i in found],
                    arrayminus=[100 * (i.mean - i.low) if i.low is not None else 0 for i in found],
                    thickness=1,
                    width=0,
                ),
                mode="lines+markers",
                name=policy,
                legendgroup=policy,
                showlegend=policy not in named,
                line=dict(color=colors[policy], width=1.6),
                hovertemplate="%{x}: %{y:.1f} %",
                **_place(k),
            )
            named.add(policy)
        figure.update_yaxes(range=[0, 103], **_place(k))
    figure.update_yaxes(title="success, %", col=1)
    return _finish(figure, figure.layout.height)


def distribution(summary: Summary) -> go.Figure:
    """RMSE of every flight as boxes, a small plot a condition."""
    figure = _small_plots(summary.conditions, 60 + 14 * len(summary.policies))
    for k, condition in enumerate(summary.conditions):
        for policy, color in zip(summary.policies, _colors()):
            values = summary.values(policy, condition, "rmse_m").ravel()
            figure.add_box(
                x=(100 * values).astype(np.float32),
                name=policy,
                orientation="h",
                marker=dict(color=color, size=3),
                line_width=1.2,
                legendgroup=policy,
                showlegend=k == 0,
                **_place(k),
            )
    figure.update_yaxes(showticklabels=False, autorange="reversed")
    figure.update_xaxes(type="log", tickvals=_LOG_TICKS)
    figure.update_xaxes(title="RMSE, cm", title_standoff=2, row=_rows(summary.conditions))
    return _finish(figure, figure.layout.height)


def error_over_time(summary: Summary) -> go.Figure:
    """Mean error over time, a small plot a condition."""
    figure = _small_plots(summary.conditions, 124)
    named: set[str] = set()  # in the legend
    for k, condition in enumerate(summary.conditions):
        for policy, color in zip(summary.policies, _colors()):
            if not summary.flown(policy, condition):
                continue
            time, error = _mean_error(summary, policy, condition)
            figure.add_scatter(
                x=time,
                y=error,
                mode="lines",
                name=policy,
                legendgroup=policy,
                showlegend=policy not in named,
                line=dict(color=color, width=1.6),
                hovertemplate="%{x:.1f} s: %{y:.2f} cm",
                **_place(k),
            )
            named.add(policy)
        figure.update_yaxes(rangemode="tozero", **_place(k))
    figure.update_yaxes(title="cm", col=1)
    figure.update_xaxes(title="time, s", title_standoff=2, row=_rows(summary.conditions))
    return _finish(figure, figure.layout.height)


def _small_plots(titles: Sequence[str], height: int) -> go.Figure:
    """A grid of plots of a height in pixels, with room for their titles."""
    rows = _rows(titles)
    whole = 70 + (height + 46) * rows
    figure = make_subplots(
        rows,
        _GRID,
        subplot_titles=titles,
        vertical_spacing=46 / whole,
        horizontal_spacing=0.045,
    )
    figure.update_annotations(font_size=12)
    return figure.update_layout(height=whole)


def _rows(titles: Sequence[str]) -> int:
    return -(-len(titles) // _GRID)


def _place(k: int) -> dict[str, int]:
    return dict(row=k // _GRID + 1, col=k % _GRID + 1)


def _mean_error(summary: Summary, policy: str, condition: str) -> tuple[np.ndarray, np.ndarray]:
    group = summary.group(policy, condition)
    length = max(len(row["error_mm"]) for row in group)
    errors = np.full((len(group), length), np.nan)
    for k, row in enumerate(group):
        errors[k, : len(row["error_mm"])] = row["error_mm"]
    duration = max(row["duration_s"] for row in group)
    time = np.arange(length) * duration / length
    return time.astype(np.float32), (0.1 * np.nanmean(errors, axis=0)).astype(np.float32)


def _finish(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin=dict(l=60, r=10, t=46, b=44),
        legend=dict(orientation="h", x=0, y=1, yref="container", yanchor="top"),
    )
    return figure


def learning_curves(summary: Summary) -> go.Figure | None:
    """Error over training time of each artifact with its training log beside it."""
    figure = go.Figure()
    for (policy, curves), color in zip(summary.training_curves().items(), _colors()):
        for k, (seconds, error) in enumerate(curves):
            figure.add_scatter(
                x=seconds,
                y=100 * error,
                mode="lines",
                name=policy,
                legendgroup=policy,
                showlegend=k == 0,
                line=dict(color=color, width=1.4),
                hovertemplate="%{x:.0f} s: %{y:.2f} cm",
            )
    if not figure.data:
        return None
    figure.update_xaxes(type="log", title="training time, s", tickvals=TICKS_SECONDS)
    figure.update_yaxes(type="log", title="RMSE, cm", tickvals=_LOG_TICKS)
    return _finish(figure, 400)


def _colors() -> Iterator[str]:
    return (_COLORS[k % len(_COLORS)] for k in range(10_000))
