"""The path of a flight in 3-D, as a Plotly figure."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from liquid_control.evaluation import words
from liquid_control.evaluation.columns import error_scale, flight_box, has_wind, position_error
from liquid_control.evaluation.views.inks import ERROR_STOPS, web_color
from liquid_control.evaluation.views.plots import BLUE, GREY, single, stride
from liquid_control.flight_log import FlightLog

_WIND_ARROWS = 45


def path_figure(log: FlightLog) -> go.Figure:
    """Path coloured by the error, the setpoint's path, and the wind along it where it is known."""
    pick, pos_world = stride(log), log.motion.pos_world
    x, y, z = single(pos_world[pick].T)
    error = single(100 * position_error(log)[pick])
    time = single(log.time[pick])
    figure = go.Figure()
    sx, sy, sz = single(log.setpoint_pos_world[pick].T)
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
        hovertemplate="t %{customdata[0]:.2f} s<br>"
        + words.error_word(log.kind)
        + " %{customdata[1]:.1f} cm"
        "<br>(%{x:.2f}, %{y:.2f}, %{z:.2f}) m<extra></extra>",
        line=dict(
            color=error,
            colorscale=[web_color(stop) for stop in ERROR_STOPS],
            width=6,
            cmin=0,
            cmax=100 * error_scale(log),
            colorbar=dict(
                title=dict(text=f"{words.error_word(log.kind)}, cm", side="top"),
                orientation="h",
                thickness=10,
                len=0.6,
                x=1,
                xanchor="right",
                y=1,
                yanchor="bottom",
                ypad=2,
                nticks=5,
            ),
        ),
    )
    _add_wind(figure, log)
    figure.add_scatter3d(
        x=x[:1],
        y=y[:1],
        z=z[:1],
        mode="markers",
        name="cursor",
        showlegend=False,
        hoverinfo="skip",
        marker=dict(size=5, color=BLUE, line=dict(color="white", width=1)),
    )
    known = np.flatnonzero(np.isfinite(pos_world).all(axis=1))
    symbols = ("circle", "x" if log.crashed else "diamond")
    for name, symbol, k in zip(("start", "end"), symbols, known[[0, -1]] if len(known) else ()):
        px, py, pz = pos_world[k]
        figure.add_scatter3d(
            x=[px],
            y=[py],
            z=[pz],
            mode="markers",
            name=name,
            hoverinfo="name",
            marker=dict(size=5, symbol=symbol, color=GREY),
        )
    return _frame(figure, log)


def _frame(figure: go.Figure, log: FlightLog) -> go.Figure:
    """Axes of equal scale around the path, seen from where all of it is in the picture."""
    middle, sides = flight_box(log)
    names = zip("xyz", words.EAST_NORTH_UP, middle, 1.1 * sides / 2)
    ticks = np.maximum(np.round(6 * sides / sides.max()), 2).astype(int)
    axis = {
        f"{a}axis": dict(title=f"{n}, m", nticks=int(k), range=[m - h, m + h])
        for (a, n, m, h), k in zip(names, ticks)
    }
    ratio = dict(zip("xyz", sides / np.cbrt(sides.prod())))
    away = max(1.0, 0.8 * ratio["z"])  # further, the taller the box is for its width
    return figure.update_layout(
        height=350,
        margin=dict(l=0, r=0, t=62, b=0),
        scene=dict(
            **axis,
            aspectmode="manual",
            aspectratio=ratio,
            camera=dict(
                eye=dict(x=1.55 * away, y=-1.7 * away, z=0.9 * away),
                center=dict(x=0, y=0, z=-0.16),
            ),
        ),
        legend=dict(orientation="h", x=0, y=0, yanchor="bottom"),
    )


def _add_wind(figure: go.Figure, log: FlightLog) -> None:
    if not has_wind(log):
        return
    arrows, pos_world = stride(log, _WIND_ARROWS), log.motion.pos_world
    wx, wy, wz = log.wind_world[arrows].T
    ax, ay, az = pos_world[arrows].T
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
        customdata=single(np.linalg.norm(log.wind_world[arrows], axis=1)),
        hovertemplate="wind %{customdata:.1f} m/s<extra></extra>",
    )


def _arrow_length(log: FlightLog) -> float:
    """m of arrow for a m/s of wind: the strongest gust is a seventh of the path's extent."""
    extent = flight_box(log)[1].max()
    return max(extent, 0.1) / 7 / np.linalg.norm(log.wind_world, axis=1).max()
