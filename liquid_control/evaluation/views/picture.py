"""One wide picture of a flight: path in the wind, error, and the neurons that flew it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from liquid_control.config import missing_packages
from liquid_control.evaluation import words
from liquid_control.evaluation.columns import (
    error_scale,
    flight_box,
    has_wind,
    neuron_activity,
    position_error,
)
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.views.inks import ERROR_STOPS
from liquid_control.flight_log import FlightLog

try:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator
    from mpl_toolkits.mplot3d.art3d import Line3DCollection
except ModuleNotFoundError:
    raise missing_packages("report", ["matplotlib"]) from None

_GROUND, _PANEL, _INK, _MUTED = "#0f1726", "none", "#e8eef7", "#8fa0b8"
_WIND, _SETPOINT = "#7fb8f0", "#9aa8bb"
_ERROR = LinearSegmentedColormap.from_list("error", ERROR_STOPS / 255)
_ACTIVITY = LinearSegmentedColormap.from_list("activity", ["#5aa0ff", "#1b2638", "#ffaa50"])
_WIND_ARROWS = 48
_TALLEST = 0.62  # of the diagonal of the path's box, what fits with the labels below it


def write_picture(
    path: str | Path,
    log: FlightLog,
    *,
    layers: Sequence[tuple[str, Sequence[int]]] = (),
    title: str = "",
    after: float = 3.0,
) -> Path:
    """Write a PNG of 1800 x 640 pixels.

    Args:
        layers: names and neuron indices, in display order; default one layer of all neurons.
        title: a line above; default says who flew where.
        after: the RMSE in the picture is over ``t > after`` seconds.
    """
    figure = Figure(figsize=(12, 4.27), dpi=150, facecolor=_GROUND)
    rows = [(1.0, _draw_error)]
    if has_wind(log):
        rows.append((0.7, _draw_wind))
    if log.neurons.shape[1]:
        groups = layers or [("neurons", range(log.neurons.shape[1]))]
        rows.append((1.35, lambda axes, log: _draw_neurons(axes, log, groups)))
    grid = figure.add_gridspec(
        len(rows),
        2,
        width_ratios=[1.05, 1],
        height_ratios=[height for height, _ in rows],
        left=0.0,
        right=0.985,
        top=0.87,
        bottom=0.1,
        wspace=0.06,
        hspace=0.28,
    )
    _draw_path(figure.add_subplot(grid[:, 0], projection="3d", computed_zorder=False), log)
    first = None
    for row, (_, draw) in enumerate(rows):
        axes = figure.add_subplot(grid[row, 1], sharex=first)
        draw(axes, log)
        first = first or axes
    figure.axes[-1].tick_params(labelbottom=True)
    figure.axes[-1].set_xlabel("time, s", color=_MUTED, fontsize=8)
    rmse = flight_metrics(log, after=after).rmse_m
    result = "" if rmse is None else f"   {words.error_word(log.kind)} {100 * rmse:.1f} cm RMSE"
    figure.text(
        0.022,
        0.93,
        title or f"{log.policy} flies {log.world or log.vehicle}",
        color=_INK,
        fontsize=13,
    )
    figure.text(0.985, 0.93, result, color=_INK, fontsize=11, ha="right")
    _add_key(figure, log)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_GROUND)
    return path


def _draw_path(axes, log: FlightLog) -> None:
    known = np.isfinite(log.motion.pos_world).all(axis=1)
    pos, error = log.motion.pos_world[known], np.nan_to_num(position_error(log)[known])
    axes.set_facecolor(_GROUND)
    axes.plot(*log.setpoint_pos_world.T, color=_SETPOINT, lw=1, ls=(0, (4, 3)), alpha=0.8)
    middle, extent = flight_box(log)
    if has_wind(log) and len(pos):
        _draw_arrows(axes, pos, np.nan_to_num(log.wind_world[known]), extent.max())
    segments = np.stack([pos[:-1], pos[1:]], axis=1)
    line = Line3DCollection(segments, cmap=_ERROR, lw=2.4, capstyle="round")
    line.set_array(error[:-1])
    line.set_clim(0, error_scale(log))
    axes.add_collection3d(line)
    floor = middle[2] - extent[2] / 2
    axes.plot(pos[:, 0], pos[:, 1], floor, color="black", alpha=0.35, lw=1.5)
    for k, set_limits in enumerate((axes.set_xlim, axes.set_ylim, axes.set_zlim)):
        set_limits(middle[k] - extent[k] / 2, middle[k] + extent[k] / 2)
    height = extent[2] / np.linalg.norm(extent)
    axes.set_box_aspect(extent, zoom=1.08 * min(1.0, _TALLEST / height))
    axes.view_init(elev=24, azim=-58)
    for axis, name, side in zip(
        (axes.xaxis, axes.yaxis, axes.zaxis), words.EAST_NORTH_UP, extent / extent.max()
    ):
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color("#33425a")
        axis._axinfo["grid"].update(color="#263449", linewidth=0.6)
        axis.set_label_text(f"{name}, m", color=_MUTED, fontsize=8)
        axis.set_major_locator(MaxNLocator(max(round(5 * side), 2)))
        axis.set_tick_params(colors=_MUTED, labelsize=7, pad=0)


def _draw_arrows(axes, pos: np.ndarray, wind: np.ndarray, extent: float) -> None:
    arrows = np.linspace(0, len(pos) - 1, _WIND_ARROWS).astype(int)
    wind = wind[arrows]
    # The strongest wind is drawn as a quarter of the path's extent.
    length = 0.25 * extent / max(np.linalg.norm(wind, axis=1).max(), 1e-6)
    axes.quiver(
        *pos[arrows].T, *(wind * length).T, color=_WIND, lw=0.9, alpha=0.55, arrow_length_ratio=0.22
    )


def _add_key(figure: Figure, log: FlightLog) -> None:
    """The colours of the error, and what lines, arrows and shadow are."""
    axes = figure.add_axes((0.022, 0.845, 0.13, 0.02))
    axes.imshow(
        np.linspace(0, 1, 256)[None], cmap=_ERROR, aspect="auto", extent=(0, error_scale(log), 0, 1)
    )
    ends = (0, error_scale(log))
    axes.set_xticks(ends, ["0", f"{100 * ends[1]:g} cm"])
    axes.set_yticks([])
    axes.tick_params(colors=_MUTED, labelsize=7, length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    flown = Line2D(
        [], [], color=_ERROR(0.0), lw=2.4, label=f"path, by {words.error_word(log.kind)}"
    )
    keys = [
        flown,
        Line2D([], [], color=_SETPOINT, lw=1, ls=(0, (4, 3)), label="setpoint"),
        Line2D([], [], color="black", lw=1.5, label="shadow on the ground"),
    ]
    if has_wind(log):
        arrow = dict(color=_WIND, marker=r"$\rightarrow$", ls="none", markersize=9)
        keys.append(Line2D([], [], **arrow, label="wind"))
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(0.165, 0.895),
        ncols=2,
        fontsize=7,
        labelcolor=_MUTED,
        frameon=False,
        handlelength=1.8,
        columnspacing=1.2,
    )


def _draw_error(axes, log: FlightLog) -> None:
    error = 100 * np.nan_to_num(position_error(log))
    points = np.stack([log.time, error], axis=1)
    line = LineCollection(np.stack([points[:-1], points[1:]], axis=1), cmap=_ERROR, lw=1.6)
    line.set_array(error[:-1])
    line.set_clim(0, 100 * error_scale(log))
    axes.add_collection(line)
    axes.fill_between(log.time, error, color="#40d2be", alpha=0.10, lw=0)
    axes.set_xlim(log.time[0], log.time[-1])
    axes.set_ylim(0, 1.08 * max(error.max(), 1e-3))
    _style(axes, f"{words.error_word(log.kind)}, cm")


def _draw_wind(axes, log: FlightLog) -> None:
    speed = np.linalg.norm(log.wind_world, axis=1)
    axes.fill_between(log.time, speed, color=_WIND, alpha=0.25, lw=0)
    axes.plot(log.time, speed, color=_WIND, lw=1)
    axes.set_ylim(0, 1.1 * max(speed.max(), 0.1))
    _style(axes, "wind, m/s")


def _draw_neurons(axes, log: FlightLog, layers: Sequence[tuple[str, Sequence[int]]]) -> None:
    activity = neuron_activity(log)
    rows, ticks, gap = [], [], np.full((1, len(log.time)), np.nan)
    for name, ids in layers:
        ticks.append((sum(map(len, rows)) + (len(ids) - 1) / 2, name))
        rows += [activity[:, list(ids)].T, gap]
    image = np.concatenate(rows[:-1])
    axes.imshow(
        image,
        cmap=_ACTIVITY,
        vmin=-1,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(log.time[0], log.time[-1], len(image) - 0.5, -0.5),
    )
    _style(axes, "")
    axes.grid(False)
    axes.set_yticks([row for row, _ in ticks], [name for _, name in ticks])


def _style(axes, label: str) -> None:
    axes.set_facecolor(_PANEL)
    axes.grid(color="#263449", lw=0.6)
    axes.tick_params(colors=_MUTED, labelsize=7, length=0, labelbottom=False)
    axes.set_title(label, loc="left", color=_MUTED, fontsize=8, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
