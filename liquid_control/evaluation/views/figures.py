"""Plotly figures of one flight over time: errors and wind, commands and actuators, latency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from liquid_control.evaluation import words
from liquid_control.evaluation.columns import error_scale, has_wind, left_of, position_error
from liquid_control.evaluation.views.inks import ERROR_STOPS, error_color, web_color
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
    stride,
)
from liquid_control.flight_log import FlightLog
from liquid_control.structs import STEERING, Slot

MODE_COLORS = {
    "policy": GREEN,
    "backup": ORANGE,
    "halt": PINK,
    "silent": "#d1495b",
    "standby": GREY,
}
_ROW = 180  # px of a row of commands
_TOP = 48  # px above the error, for title and legend
_BINS = 10  # colours of the error's line


def errors(log: FlightLog, after: float) -> go.Figure:
    """Position error in the colours of the film, wind where it blows, and who flew, over time.

    Of a road vehicle the error is its distance from where it should be, and how much of it is to
    the left; of others the components are to the east, north and up.
    """
    title = f"{words.error_word(log.kind)}, cm"
    windy = has_wind(log)
    if windy:
        figure = rows_over_time(log, [0.5, 0.4, 0.1], 560, (title, "wind, m/s", ""))
        add_lines(figure, 2, log, zip(words.EAST_NORTH_UP, log.wind_world.T))
    else:
        figure = rows_over_time(log, [0.85, 0.15], 400, (title, ""))
    error = 100 * (log.setpoint_pos_world - log.motion.pos_world)
    if log.kind == STEERING:
        add_lines(figure, 1, log, [("to the left", -100 * left_of(log, error / 100))], [BLUE], 1)
    else:
        add_lines(figure, 1, log, zip(words.EAST_NORTH_UP, error.T), width=1)
    _add_error(figure, log)
    if log.time[0] < after < log.time[-1]:
        figure.add_vline(
            x=after,
            row=1,
            col=1,
            line=dict(color=GREY, dash="dot", width=1),
        )
    _mode_band(figure, 3 if windy else 2, log)
    # On a narrow page the legend is as wide as the plot: it stands above the title.
    inner = figure.layout.height - _TOP - figure.layout.margin.b
    figure.update_layout(margin_t=_TOP, legend_y=1 + 18 / inner)
    return figure


def _add_error(figure: go.Figure, log: FlightLog) -> None:
    """The distance, in pieces of the colours that it has in film and picture."""
    distance, scale = position_error(log), error_scale(log)
    add_lines(figure, 1, log, [("distance", 100 * distance)], [web_color(ERROR_STOPS[1])], 2.4)
    pick = stride(log)
    time, values = log.time[pick], 100 * distance[pick]
    known = np.nan_to_num(distance[pick] / scale)
    bins = np.clip((known * _BINS).astype(int), 0, _BINS - 1)
    for k in np.unique(bins):
        mine = bins == k
        mine[:-1] |= mine[1:]  # joined to the next piece
        figure.add_scatter(
            x=single(time),
            y=single(np.where(mine, values, np.nan)),
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            line=dict(color=web_color(error_color((k + 0.5) / _BINS, 1.0)), width=2.4),
            row=1,
            col=1,
        )


def commands(log: FlightLog) -> go.Figure:
    """Each slot of the command as sent, and the actuators that moved because of it.

    An actuator that bears the name and unit of a slot of one value stands in its plot.
    """
    slots = log.kind.layout.slots
    answers = {slot.name: _answer(log, slot) for slot in slots}
    rest = [name for k, name in enumerate(log.actuator_names) if k not in answers.values()]
    place = [k for k in range(len(log.actuator_names)) if k not in answers.values()]
    actuators = words.actuator_groups(rest)
    titles = [words.titled(words.slot_words(log.kind, s).title, s.unit) for s in slots]
    titles += [group.title for group in actuators]
    heights = [0.78 if slot.size == 1 else 1.0 for slot in slots] + [1.0] * len(actuators)
    total = sum(heights)
    figure = rows_over_time(log, [h / total for h in heights], 100 + round(_ROW * total), titles)
    for row, slot in enumerate(slots, 1):
        columns = log.command[:, log.kind.layout[slot.name]].T
        colors = [PINK, BLUE] if slot.size == 1 else COLORS
        names = words.component_words(slot)
        if answers[slot.name] is not None:
            names = ("command", "vehicle")
            columns = [*columns, log.actuators[:, answers[slot.name]]]
        add_lines(figure, row, log, zip(names, columns), colors)
    for row, group in enumerate(actuators, len(slots) + 1):
        columns = log.actuators[:, [place[k] for k in group.columns]].T
        add_lines(figure, row, log, zip(_short(group.names), columns), width=1)
    return figure


def _answer(log: FlightLog, slot: Slot) -> int | None:
    """The actuator that does what a slot of one value says; ``None`` if there is none."""
    name = f"{slot.name} {slot.unit}"
    return log.actuator_names.index(name) if name in log.actuator_names else None


def _short(names: Sequence[str]) -> list[str]:
    """``0`` of ``rotor0``, whose stem the title says: many then fit beside it on a narrow page."""
    stems = {name.rstrip("0123456789") for name in names}
    if len(stems) > 1 or len(names) < 3:
        return list(names)
    return [name.removeprefix(*stems) or name for name in names]


def latency(log: FlightLog) -> go.Figure:
    """Histogram of the policy's step latency, over an axis of decades."""
    values = np.maximum(log.step_us[np.isfinite(log.step_us)], 1e-3)
    p50, p99 = np.percentile(values, [50, 99])
    low, high = np.log10(np.array([values.min() / 1.1, 1.1 * values.max()]))
    counts, edges = np.histogram(values, bins=np.logspace(low, high, 61))
    figure = go.Figure(
        go.Bar(
            x=np.sqrt(edges[1:] * edges[:-1]),
            y=counts,
            width=np.diff(edges),
            marker_color=BLUE,
            hovertemplate="%{x:.1f} µs: %{y} steps<extra></extra>",
        )
    )
    for row, (name, value) in enumerate((("median", p50), ("99 %", p99))):
        figure.add_vline(x=value, line=dict(color=ORANGE, width=1.5, dash="dash"))
        right = np.log10(value) > (low + high) / 2
        figure.add_annotation(
            x=np.log10(value),
            y=1.02 + 0.09 * row,
            yref="paper",
            xanchor="right" if right else "left",
            yanchor="bottom",
            showarrow=False,
            text=f"{name} {value:.1f} µs",
            font=dict(size=11),
        )
    figure.update_layout(
        height=300,
        bargap=0.05,
        showlegend=False,
        margin=dict(l=50, r=10, t=52, b=40),
        xaxis=dict(
            title="policy step, µs", type="log", range=[low, high], tickvals=_decades(low, high)
        ),
        yaxis=dict(title="steps"),
    )
    return figure


def _decades(low: float, high: float) -> list[float]:
    """Ticks from 10**low to 10**high; 1, 2 and 5 of each decade where they are few."""
    steps = (1, 2, 5) if high - low < 3 else (1,)
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    ticks = (step * 10.0**power for power in powers for step in steps)
    return [tick for tick in ticks if low <= np.log10(tick) <= high]


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
