"""Plotly figures of one flight over time: errors and wind, commands and actuators, latency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from liquid_control.evaluation import words
from liquid_control.evaluation.columns import position_error
from liquid_control.evaluation.views.plots import (
    BLUE,
    COLORS,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    add_lines,
    place_legend,
    rows_over_time,
    single,
)
from liquid_control.flight_log import FlightLog

MODE_COLORS = {
    "policy": GREEN,
    "backup": ORANGE,
    "halt": PINK,
    "silent": "#d1495b",
    "standby": GREY,
}
_AXES = ("x", "y", "z")
_ROW = 180  # px of a row of commands


def errors(log: FlightLog, after: float) -> go.Figure:
    """Position error, wind where it is known, and who flew, over time."""
    if log.wind_world is None:
        figure = rows_over_time(log, [0.85, 0.15], 400, ("position error, cm", ""))
    else:
        titles = ("position error, cm", "wind, m/s", "")
        figure = rows_over_time(log, [0.5, 0.4, 0.1], 560, titles)
        add_lines(figure, 2, log, zip(_AXES, log.wind_world.T))
    error = 100 * (log.setpoint_pos_world - log.motion.pos_world)
    add_lines(figure, 1, log, zip(_AXES, error.T), width=1)
    add_lines(figure, 1, log, [("distance", 100 * position_error(log))], ["#b45fe0"], width=2.2)
    if log.time[0] < after < log.time[-1]:
        figure.add_vline(
            x=after,
            row=1,
            col=1,
            line=dict(color=GREY, dash="dot", width=1),
            annotation=dict(text=f"statistics from {after:g} s", font=dict(size=11)),
        )
    _mode_band(figure, 2 if log.wind_world is None else 3, log)
    return figure


def commands(log: FlightLog) -> go.Figure:
    """Each slot of the command as sent, and the actuators that moved because of it."""
    slots, actuators = log.kind.layout.slots, words.actuator_groups(log.actuator_names)
    titles = [words.titled(words.slot_words(log.kind, s).title, s.unit) for s in slots]
    titles += [group.title for group in actuators]
    heights = [0.78 if slot.size == 1 else 1.0 for slot in slots] + [1.0] * len(actuators)
    total = sum(heights)
    figure = rows_over_time(log, [h / total for h in heights], 100 + round(_ROW * total), titles)
    for row, slot in enumerate(slots, 1):
        columns = log.command[:, log.kind.layout[slot.name]].T
        colors = [PINK] if slot.size == 1 else COLORS
        add_lines(figure, row, log, zip(words.component_words(slot), columns), colors)
    for row, group in enumerate(actuators, len(slots) + 1):
        columns = log.actuators[:, list(group.columns)].T
        add_lines(figure, row, log, zip(_short(group.names), columns), width=1)
    return figure


def _short(names: Sequence[str]) -> list[str]:
    """``0`` of ``rotor0``, whose stem the title says: many then fit beside it on a narrow page."""
    stems = {name.rstrip("0123456789") for name in names}
    if len(stems) > 1 or len(names) < 3:
        return list(names)
    return [name.removeprefix(*stems) or name for name in names]


def latency(log: FlightLog) -> go.Figure:
    """Histogram of the policy's step latency."""
    values = log.step_us[np.isfinite(log.step_us)]
    p50, p99, top = np.percentile(values, [50, 99, 99.8])
    counts, edges = np.histogram(values, bins=60, range=(0, top))
    figure = go.Figure(
        go.Bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts,
            marker_color=BLUE,
            hovertemplate="%{x:.1f} µs: %{y} steps<extra></extra>",
        )
    )
    for name, value in (("p50", p50), ("p99", p99)):
        figure.add_vline(
            x=value,
            line=dict(color=ORANGE, width=1.5, dash="dash"),
            annotation=dict(text=f"{name} {value:.1f} µs", font=dict(size=11)),
        )
    figure.update_layout(
        height=300,
        bargap=0.05,
        showlegend=False,
        margin=dict(l=50, r=10, t=24, b=40),
        xaxis=dict(title="policy step, µs"),
        yaxis=dict(title="steps"),
    )
    return figure


def _mode_band(figure: go.Figure, row: int, log: FlightLog) -> None:
    """One bar for each stretch of time that a mode lasted."""
    changes = np.flatnonzero(log.mode[1:] != log.mode[:-1]) + 1
    starts = np.concatenate([[0], changes])
    stops = np.concatenate([changes, [len(log.mode)]])
    for mode in np.unique(log.mode):
        mine = log.mode[starts] == mode
        base = log.time[starts[mine]]
        length = (stops - starts)[mine] / log.control_rate
        figure.add_bar(
            base=single(base),
            x=single(length),
            y=["mode"] * len(base),
            orientation="h",
            name=str(mode),
            legend=f"legend{row}",
            marker=dict(color=MODE_COLORS.get(mode, GREY), line_width=0),
            hovertemplate=f"{mode}: %{{base:.2f}} s, for %{{x:.2f}} s<extra></extra>",
            row=row,
            col=1,
        )
    place_legend(figure, row, f"legend{row}")
    figure.update_layout(barmode="overlay")
