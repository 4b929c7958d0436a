"""What the Plotly figures of a flight share: colours, rows over one time axis, lines.

Colours of text, grid and ground are left to the page's theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from liquid_control.flight_log import FlightLog

# Told apart with every common colour blindness, on white and on dark (after Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PINK, GREY = "#3b8fd9", "#e08a1e", "#1fa187", "#c468a8", "#8793a3"
COLORS = (BLUE, ORANGE, GREEN, PINK, "#b39b2c", "#6a6fd0", "#d1495b", GREY)
_MAX_POINTS = 4000  # of a trace; more than a screen shows


def stride(log: FlightLog, points: int = _MAX_POINTS) -> slice:
    """Every so many rows of a log that about ``points`` are left."""
    return slice(None, None, max(1, -(-len(log.time) // points)))


def single(values: np.ndarray) -> np.ndarray:
    """Single precision: half the page for the same picture."""
    return np.ascontiguousarray(values, np.float32)


def rows_over_time(
    log: FlightLog, heights: Sequence[float], height: int, titles: Sequence[str]
) -> go.Figure:
    """Empty plots below each other over the time of a flight."""
    figure = make_subplots(
        len(heights),
        1,
        shared_xaxes=True,
        row_heights=list(heights),
        vertical_spacing=24 / height,
        subplot_titles=list(titles),
    )
    # Titles stand at the left, where the eye begins.
    figure.update_annotations(x=0, xanchor="left", font=dict(size=12.5))
    figure.update_xaxes(range=[log.time[0], log.time[-1] + 1 / log.control_rate])
    figure.update_xaxes(title="time, s", row=len(heights), col=1)
    figure.update_layout(height=height, hovermode="x unified", margin=dict(l=56, r=10, t=28, b=44))
    return figure


def add_lines(
    figure: go.Figure,
    row: int,
    log: FlightLog,
    series: Iterable[tuple[str, np.ndarray]],
    colors: Sequence[str] = COLORS,
    width: float = 1.4,
) -> None:
    """Named columns in a row of `rows_over_time`, with a legend of their own."""
    pick = stride(log)
    time = single(log.time[pick])
    legend = "legend" if row == 1 else f"legend{row}"
    for k, (name, values) in enumerate(series):
        figure.add_scatter(
            x=time,
            y=single(values[pick]),
            name=name,
            mode="lines",
            legend=legend,
            line=dict(color=colors[k % len(colors)], width=width),
            hovertemplate="%{y:.2f}",
            row=row,
            col=1,
        )
    # The legend shares the line of the row's title, at the right.
    place_legend(figure, row, legend)


def place_legend(figure: go.Figure, row: int, legend: str) -> None:
    """A legend above its row, at the right."""
    top = figure.get_subplot(row, 1).yaxis.domain[1]
    figure.update_layout(
        {legend: dict(orientation="h", x=1, xanchor="right", y=top, yanchor="bottom")}
    )
