"""Plotly figures of one flight. Colours of text, grid and ground are left to the page's theme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from liquid_control.evaluation.metrics import flight_box, neuron_activity, position_error
from liquid_control.structs import RATES_THRUST, FlightLog

# Told apart with every common colour blindness, on white and on dark (after Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PINK, GREY = "#3b8fd9", "#e08a1e", "#1fa187", "#c468a8", "#8793a3"
AXES = (("x", BLUE), ("y", ORANGE), ("z", GREEN))
MODE_COLORS = {"policy": GREEN, "backup": ORANGE, "descend": PINK, "silent": "#d1495b"}
DIVERGING = [[0, "#2563eb"], [0.5, "rgba(135,147,163,0.08)"], [1, "#e07b10"]]
_MAX_POINTS = 4000  # of a trace; more than a screen shows
_WIND_ARROWS = 45


def _stride(log: FlightLog, points: int = _MAX_POINTS) -> slice:
    return slice(None, None, max(1, -(-len(log.time) // points)))


def _array(values: np.ndarray) -> np.ndarray:
    """Single precision: half the page for the same picture."""
    return np.ascontiguousarray(values, np.float32)


def trajectory(log: FlightLog) -> go.Figure:
    """Path in 3-D coloured by the error, the setpoint's path, and the wind along it."""
    pick = _stride(log)
    x, y, z = _array(log.pos_world[pick].T)
    error = _array(100 * position_error(log)[pick])
    time = _array(log.time[pick])
    figure = go.Figure()
    sx, sy, sz = _array(log.setpoint_pos_world[pick].T)
    figure.add_scatter3d(
        x=sx,
        y=sy,
        z=sz,
        mode="lines",
        name="setpoint",
        hoverinfo="skip",
        line=dict(color=GREY, width=3, dash="dot"),
    )
    figure.add_scatter3d(
        x=x,
        y=y,
        z=z,
        mode="lines",
        name="flight",
        showlegend=False,
        customdata=np.stack([time, error], 1),
        hovertemplate="t %{customdata[0]:.2f} s<br>error %{customdata[1]:.1f} cm"
        "<br>(%{x:.2f}, %{y:.2f}, %{z:.2f}) m<extra></extra>",
        line=dict(
            color=error,
            colorscale="Plasma",
            width=6,
            cmin=0,
            colorbar=dict(title="error, cm", thickness=12, len=0.6),
        ),
    )
    arrows = _stride(log, _WIND_ARROWS)
    wx, wy, wz = log.wind_world[arrows].T
    if np.abs(log.wind_world).max() > 1e-6:
        ax, ay, az = log.pos_world[arrows].T
        figure.add_cone(
            x=ax,
            y=ay,
            z=az,
            u=wx,
            v=wy,
            w=wz,
            name="wind",
            showscale=False,
            opacity=0.55,
            anchor="tail",
            sizemode="raw",
            sizeref=_arrow_length(log),
            showlegend=True,
            colorscale=[[0, "#8fc1ef"], [1, "#2f6fb5"]],
            customdata=_array(np.linalg.norm(log.wind_world[arrows], axis=1)),
            hovertemplate="wind %{customdata:.1f} m/s<extra></extra>",
        )
    for name, k, symbol in (("start", 0, "circle"), ("end", -1, "x" if log.crashed else "diamond")):
        px, py, pz = log.pos_world[k]
        figure.add_scatter3d(
            x=[px],
            y=[py],
            z=[pz],
            mode="markers",
            name=name,
            hoverinfo="name",
            marker=dict(size=5, symbol=symbol, color=GREY),
        )
    middle, sides = flight_box(log)
    names = zip("xyz", ("east", "north", "up"), middle, 1.1 * sides / 2)
    axis = {f"{a}axis": dict(title=f"{n}, m", range=[m - h, m + h]) for a, n, m, h in names}
    ratio = dict(zip("xyz", sides / np.cbrt(sides.prod())))
    away = max(1.0, 0.8 * ratio["z"])  # further, the taller the box is for its width
    figure.update_layout(
        height=350,
        margin=dict(l=0, r=0, t=24, b=0),
        scene=dict(
            **axis,
            aspectmode="manual",
            aspectratio=ratio,
            camera=dict(
                eye=dict(x=1.4 * away, y=-1.55 * away, z=0.8 * away),
                center=dict(x=0, y=0, z=-0.16),
            ),
        ),
        legend=dict(orientation="h", x=0, y=1, yanchor="bottom"),
    )
    return figure


def _arrow_length(log: FlightLog) -> float:
    """m of arrow for a m/s of wind: the strongest gust is a seventh of the path's extent."""
    extent = np.ptp(log.pos_world, axis=0).max()
    return max(extent, 0.1) / 7 / np.linalg.norm(log.wind_world, axis=1).max()


def errors(log: FlightLog, after: float) -> go.Figure:
    """Position error, wind, and who flew, over time."""
    figure = _rows(log, [0.5, 0.4, 0.1], 560, ("position error, cm", "wind, m/s", ""))
    error = 100 * (log.setpoint_pos_world - log.pos_world)
    _lines(figure, 1, log, zip(("x", "y", "z"), error.T), width=1)
    _lines(figure, 1, log, [("distance", 100 * position_error(log))], ["#b45fe0"], width=2.2)
    _lines(figure, 2, log, zip(("x", "y", "z"), log.wind_world.T))
    if log.time[0] < after < log.time[-1]:
        figure.add_vline(
            x=after,
            row=1,
            col=1,
            line=dict(color=GREY, dash="dot", width=1),
            annotation=dict(text=f"statistics from {after:g} s", font=dict(size=11)),
        )
    _mode_band(figure, 3, log)
    return figure


def commands(log: FlightLog) -> go.Figure:
    """Thrust and body rates as sent, and the rotor speeds that came of them."""
    titles = ("thrust / mass, m/s²", "body rates, rad/s", "rotor speed, rad/s")
    figure = _rows(log, [0.28, 0.36, 0.36], 600, titles)
    thrust = log.command[:, RATES_THRUST.layout["thrust"]].T
    rates = log.command[:, RATES_THRUST.layout["ang_vel"]].T
    _lines(figure, 1, log, zip(["thrust"], thrust), [PINK])
    _lines(figure, 2, log, zip(("roll", "pitch", "yaw"), rates))
    names = ("front left", "front right", "rear right", "rear left")
    _lines(figure, 3, log, zip(names, log.rotor_speed.T), [BLUE, ORANGE, GREEN, PINK], width=1)
    return figure


def neurons(log: FlightLog, layers: Sequence[tuple[str, Sequence[int]]]) -> go.Figure:
    """Activity over time, a row a neuron."""
    pick = _stride(log, 1200)
    time, values = _array(log.time[pick]), percent(neuron_activity(log))[pick]
    sizes = [len(ids) for _, ids in layers]
    figure = _rows(
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
        len=0.2,
        x=1,
        xanchor="right",
        y=1,
        yanchor="bottom",
        tickvals=[-100, 0, 100],
        ticktext=["−100 %", "0", "100 %"],
        ypad=4,
        ticklabelposition="outside top",
    )
    figure.update_layout(
        coloraxis=dict(colorscale=DIVERGING, cmin=-100, cmax=100, colorbar=bar), hovermode="closest"
    )
    return figure


def percent(activity: np.ndarray) -> np.ndarray:
    """`neuron_activity` as int8 percent: an eighth of the page for the same picture."""
    return np.round(100 * activity).astype(np.int8)


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


def _rows(
    log: FlightLog, heights: Sequence[float], height: int, titles: Sequence[str]
) -> go.Figure:
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


def _lines(figure, row, log, series, colors=(BLUE, ORANGE, GREEN), width=1.4) -> None:
    pick = _stride(log)
    time = _array(log.time[pick])
    legend = "legend" if row == 1 else f"legend{row}"
    for (name, values), color in zip(series, colors):
        figure.add_scatter(
            x=time,
            y=_array(values[pick]),
            name=name,
            mode="lines",
            legend=legend,
            line=dict(color=color, width=width),
            hovertemplate="%{y:.2f}",
            row=row,
            col=1,
        )
    top = figure.get_subplot(row, 1).yaxis.domain[1]
    # The legend shares the line of the row's title, at the right.
    figure.update_layout(
        {legend: dict(orientation="h", x=1, xanchor="right", y=top, yanchor="bottom")}
    )


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
            base=_array(base),
            x=_array(length),
            y=["mode"] * len(base),
            orientation="h",
            name=str(mode),
            legend=f"legend{row}",
            marker=dict(color=MODE_COLORS.get(mode, GREY), line_width=0),
            hovertemplate=f"{mode}: %{{base:.2f}} s, for %{{x:.2f}} s<extra></extra>",
            row=row,
            col=1,
        )
    top = figure.get_subplot(row, 1).yaxis.domain[1]
    legend = dict(orientation="h", x=1, xanchor="right", y=top, yanchor="bottom")
    figure.update_layout({f"legend{row}": legend, "barmode": "overlay"})
