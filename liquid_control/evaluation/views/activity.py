"""Neurons over time, as a Plotly figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from liquid_control.evaluation.columns import neuron_activity
from liquid_control.evaluation.views.plots import rows_over_time, single, stride
from liquid_control.flight_log import FlightLog

_DIVERGING = [[0, "#2563eb"], [0.5, "rgba(135,147,163,0.08)"], [1, "#e07b10"]]
_POINTS = 1200  # of a row


def activity_figure(log: FlightLog, layers: Sequence[tuple[str, Sequence[int]]]) -> go.Figure:
    """Activity over time, a row a neuron."""
    pick = stride(log, _POINTS)
    time, values = single(log.time[pick]), percent(neuron_activity(log))[pick]
    sizes = [len(ids) for _, ids in layers]
    figure = rows_over_time(
        log,
        [s / sum(sizes) for s in sizes],
        90 + 13 * sum(sizes) + 24 * len(sizes),
        [name for name, _ in layers],
    )
    for row, (_, ids) in enumerate(layers, 1):
        figure.add_heatmap(
            x=time,
            y=[log.neuron_names[i] for i in ids],
            z=np.ascontiguousarray(values[:, ids].T),
            coloraxis="coloraxis",
            row=row,
            col=1,
            hovertemplate="%{y}, t %{x:.2f} s: %{z} %<extra></extra>",
        )
        figure.update_yaxes(
            autorange="reversed", showgrid=False, dtick=1, row=row, col=1, tickfont=dict(size=9)
        )
    bar = dict(
        orientation="h",
        thickness=8,
        lenmode="pixels",
        len=150,
        x=0.99,
        xanchor="right",
        y=1,
        yanchor="bottom",
        tickvals=[-100, 0, 100],
        ticktext=["−100 %", "0", "100 %"],
        ypad=4,
        ticklabelposition="outside top",
    )
    figure.update_layout(
        coloraxis=dict(colorscale=_DIVERGING, cmin=-100, cmax=100, colorbar=bar),
        hovermode="closest",
    )
    return figure


def percent(activity: np.ndarray) -> np.ndarray:
    """`neuron_activity` as int8 percent: an eighth of the page for the same picture."""
    return np.round(100 * activity).astype(np.int8)
