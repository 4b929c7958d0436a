"""The report of one flight: one HTML file that opens anywhere, without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.config import missing_packages
from liquid_control.evaluation import words
from liquid_control.evaluation.columns import has_wind, neuron_activity
from liquid_control.evaluation.judge import Check, judge
from liquid_control.evaluation.metrics import (
    Display,
    FlightMetrics,
    display_of,
    flight_metrics,
    metrics_of,
)
from liquid_control.evaluation.page import (
    Page,
    badge,
    columns,
    definition_table,
    details,
    escape,
    media,
    section,
    table,
    tiles,
)
from liquid_control.evaluation.provenance import provenance
from liquid_control.evaluation.saliency import NOISE, Sight
from liquid_control.evaluation.views import figures
from liquid_control.evaluation.views.activity import activity_figure, percent
from liquid_control.evaluation.views.circuit import circuit_svg, layers
from liquid_control.evaluation.views.inks import heat
from liquid_control.evaluation.views.path import path_figure
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.artifact import PolicyMetadata

try:
    from PIL import Image
except ModuleNotFoundError:
    raise missing_packages("report", ["pillow"]) from None

_REPLAY_RATE = 20  # Hz of the neuron replay
_PICTURES = 600  # of the camera in a page
_SHEET = 2048  # px, width of the sheet that they stand on


def write_report(
    out_dir: str | Path,
    log: FlightLog,
    *,
    criteria: Mapping[str, float] | None = None,
    metadata: PolicyMetadata | None = None,
    video: str | Path | None = None,
    sight: Sight | None = None,
    wind: str | Path | None = None,
    configuration: Mapping[str, Any] | None = None,
    after: float = 3.0,
) -> Path:
    """Write ``report.html`` into ``out_dir``.

    Args:
        criteria: ``metric: largest allowed value``, as for `judge.judge`.
        metadata: of the policy that flew, for its circuit and training record.
        video: a film from `film.write_video`, put inside the page.
        sight: what the camera saw and the policy looked at, see `saliency.sight_of`.
        wind: a picture of the world's wind, in time and frequency, put inside the page.
        configuration: what else a reader needs to fly it again, e.g. the world.
        after: error statistics from here on, s.
    """
    metrics = flight_metrics(log, after=after)
    checks = judge(metrics, criteria or {})
    where = log.world or log.vehicle
    through = f" through {log.world}" if log.world else ""
    seed = "" if log.seed is None else f", seed {log.seed}"
    subtitle = f"{log.policy} flies {log.vehicle}{through}{seed}, at {log.control_rate:g} Hz"
    page = Page(
        f"Flight {'in' if log.world else 'of'} {where}",
        subtitle,
        all(check.passed for check in checks),
        parts=("cursor",),
    )
    page.data("flight", {"start": float(log.time[0]), "end": float(log.time[-1])})
    page.add(_headline(log, metrics))
    path = section(
        "Flight path",
        page.figure("trajectory", path_figure(log)),
        note="Drag to turn, scroll to zoom. The blue dot is at the cursor."
        + (" As estimated." if log.truth is None else "")
        + (" Cones show the true wind." if has_wind(log) else ""),
    )
    cards = [path]
    if video:
        film = media(video, f"film of {where}", film=True)
        cards.append(section("Film", film, note=_film_note(log, sight)))
    page.add(columns(*cards) if len(cards) > 1 else path)
    if sight is not None:
        _add_sight(page, sight)
    word = words.error_word(log.kind).capitalize()
    page.add_section(
        f"{word} and wind" if has_wind(log) else word,
        page.figure("errors", figures.errors(log, after), time_axis=True),
        note="Distance to the setpoint, in the colours of film and path; thin: its parts. "
        f"Statistics count from the dotted line on, at {after:g} s.",
    )
    page.add_section(
        "Commands and actuators" if log.actuator_names else "Commands",
        page.figure("commands", figures.commands(log), time_axis=True),
        note="As sent to the vehicle, after the output gate.",
    )
    _add_neurons(page, log, metadata)
    modes = ", ".join(f"{mode} {time:.2f} s" for mode, time in metrics.mode_time_s.items())
    cards = [
        section(
            "Metrics",
            _metrics_table(log, metrics, checks),
            note=f"Error statistics are over t > {after:g} s. Flown by: {modes}.",
        )
    ]
    if np.isfinite(log.step_us).any():
        cards.append(
            section(
                "Step latency",
                page.figure("latency", figures.latency(log)),
                note="Policy alone, measured in flight.",
            )
        )
    page.add(columns(*cards))
    if wind is not None:
        page.add_section(
            "Wind of this world",
            media(wind, "wind over time, and its spectrum"),
            note="Spectra are means over many seeds; dashed: theory, where the world has one.",
        )
    page.add(_origin(metadata, configuration))
    page.add(_CURSOR)
    return page.write(Path(out_dir) / "report.html")


_CURSOR = (
    '<div class="cursor-bar"><button id="play" type="button">Play</button>'
    '<input id="time" type="range" step="any" aria-label="time of the cursor">'
    '<output id="time-label" for="time"></output></div>'
)


def _film_note(log: FlightLog, sight: Sight | None) -> str:
    parts = [
        f"The trail is coloured by the {words.error_word(log.kind)}; ring and dashes: setpoint; "
        "dark disc: the vehicle's shadow on the ground. A click plays it, two fill the screen."
    ]
    if has_wind(log):
        parts.append("Streaks drift with the wind.")
    if sight is not None:
        parts.append("At the right what the camera saw.")
    return " ".join(parts)


def _add_sight(page: Page, sight: Sight) -> None:
    """The camera's pictures at the cursor, and what the policy looked at in them."""
    pick = np.arange(0, len(sight.time), max(1, -(-len(sight.time) // _PICTURES)))
    sheets = [("camera", sight.rgb[pick])]
    note = "What the camera saw" + (", as the policy takes it." if sight.maps is not None else ".")
    if sight.why_not:
        note += f" No saliency: {sight.why_not}."
    if sight.maps is not None:
        sheets.append(("saliency", heat(sight.maps[pick])))
        note += (
            " Saliency: the pixels that the encoder answers to, bright for most, by VisualBackProp "
            "(Bojarski et al. 2018, arXiv 1611.05418)."
        )
    if sight.stability is not None:
        note += (
            f" With pixel noise of {NOISE:g} of 255 the maps correlate {sight.stability.noise:.2f} "
            f"with those without; those of different pictures {sight.stability.others:.2f} with "
            "each other."
        )
    height, width = sight.rgb.shape[1:3]
    across = max(1, min(len(pick), _SHEET // width))
    page.data(
        "sight",
        {
            "time": np.round(sight.time[pick], 4).tolist(),
            "width": width,
            "height": height,
            "columns": across,
        },
    )
    views = "".join(
        f'<figure><canvas data-sheet="sheet-{name}" role="img" aria-label="{name}"></canvas>'
        f"<figcaption>{name}</figcaption>"
        f'<img class="sheet" id="sheet-{name}" alt="" src="{_sheet(pictures, across)}"></figure>'
        for name, pictures in sheets
    )
    page.add_section("Camera", f'<div class="sight">{views}</div>', note=note)


def _sheet(pictures: np.ndarray, across: int) -> str:
    """Pictures (n, height, width, 3) in rows on one, as a data URL."""
    n, height, width, _ = pictures.shape
    rows = -(-n // across)
    sheet = np.zeros((rows * across, height, width, 3), np.uint8)
    sheet[:n] = pictures
    sheet = sheet.reshape(rows, across, height, width, 3).swapaxes(1, 2)
    data = io.BytesIO()
    whole = Image.fromarray(sheet.reshape(rows * height, across * width, 3))
    whole.save(data, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"


def _headline(log: FlightLog, metrics: FlightMetrics) -> str:
    end = f"crashed: {metrics.crash_reason}" if metrics.crashed else "flown without a crash"
    entries = [(f"{metrics.duration_s:.1f}", "s", end)]
    for key in ("rmse_m", "max_error_m", "step_us_p50", "step_us_p99", "late_ticks"):
        value, display = getattr(metrics, key), display_of(key)
        unit = "" if value is None else display.unit
        entries.append((display.number(value), unit, _name(log, display)))
    return tiles(entries)


def _name(log: FlightLog, display: Display) -> str:
    """What a metric is called of this vehicle."""
    return display.name.replace("position error", words.error_word(log.kind))


def _metrics_table(log: FlightLog, metrics: FlightMetrics, checks: tuple[Check, ...]) -> str:
    """Each metric that is shown; a share of flights only where it is a limit."""
    by_name = {check.metric: check for check in checks}
    rows = [["crash", escape(metrics.crash_reason or "none"), "none", badge(not metrics.crashed)]]
    if log.fault:
        rows.append(["the policy gave up", escape(log.fault), "", ""])
    shown = {name: metrics[name] for name, m in metrics_of([log.kind]).items() if m.display}
    shown |= {check.metric: check.value for check in checks[1:] if check.metric not in shown}
    for name, value in shown.items():
        check, display = by_name.get(name), display_of(name, [log.kind])
        limit = f"≤ {display.number(check.limit)} {display.unit}" if check else ""
        text = f"{display.number(value)} <small>{display.unit}</small>"
        rows.append([_name(log, display), text, limit, badge(check.passed) if check else ""])
    return table(("metric", "value", "limit", ""), rows, numbers=(1, 2))


def _add_neurons(page: Page, log: FlightLog, metadata: PolicyMetadata | None) -> None:
    groups = layers(log, metadata)
    if not groups:
        return
    parts = [page.figure("neurons", activity_figure(log, groups), time_axis=True)]
    page.add_section(
        "Neuron activity",
        *parts,
        note="How far each neuron is from its median in this flight, relative to its largest.",
    )
    if metadata is None or metadata.wiring is None:
        return
    stride = max(1, round(log.control_rate / _REPLAY_RATE))
    rows = percent(neuron_activity(log))[::stride].tolist()
    page.data("activity", {"period": stride / log.control_rate, "activity": rows})
    counts = metadata.wiring.counts()
    legend = (
        '<p><span class="key" style="border-color:var(--excite)"></span>'
        f"{counts['excitatory']} excitatory"
        '<span class="key" style="border-color:var(--inhibit);border-top-style:dashed"></span>'
        f"{counts['inhibitory']} inhibitory, of {sum(counts.values())} synapses with "
        f"{metadata.weights} non-zero weights{_strengths_note(counts)}. "
        "Point at a neuron to see its synapses; colours show its activity at the cursor.</p>"
    )
    page.add_section("Circuit", legend, circuit_svg(metadata))


def _strengths_note(counts: Mapping[str, int]) -> str:
    if counts["unknown"]:
        return (
            f"; of {counts['unknown']} (grey) this file of an older schema does not say how strong "
            "they are: upgrade_artifact may"
        )
    return "; signs and thickness are those of the weights that flew"


def _origin(metadata: PolicyMetadata | None, configuration: Mapping[str, Any] | None) -> str:
    parts = [definition_table(provenance())]
    if metadata is not None:
        record = metadata.model_dump(exclude={"golden", "wiring", "state_names", "neuron_index"})
        parts.append(details("Policy record", record))
    if configuration:
        parts.append(details("Configuration", configuration))
    return section("Origin", *parts)
