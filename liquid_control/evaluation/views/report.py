"""The report of one flight: one HTML file that opens anywhere, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.evaluation.metrics import (
    DISPLAY,
    Check,
    FlightMetrics,
    flight_metrics,
    judge,
    neuron_activity,
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
from liquid_control.evaluation.views import figures
from liquid_control.evaluation.views.circuit import circuit_svg, layers
from liquid_control.runtime.artifact import PolicyMetadata
from liquid_control.structs import FlightLog

_REPLAY_RATE = 20  # Hz of the neuron replay


def write_report(
    out_dir: str | Path,
    log: FlightLog,
    *,
    criteria: Mapping[str, float] | None = None,
    metadata: PolicyMetadata | None = None,
    video: str | Path | None = None,
    wind: str | Path | None = None,
    configuration: Mapping[str, Any] | None = None,
    after: float = 3.0,
) -> Path:
    """Write ``report.html`` into ``out_dir``.

    Args:
        criteria: ``metric: largest allowed value``, as for `metrics.judge`.
        metadata: of the policy that flew, for its circuit and training record.
        video: a film from `video.write_video`, put inside the page.
        wind: a picture of the world's wind, in time and frequency, put inside the page.
        configuration: what else a reader needs to fly it again, e.g. the world.
        after: error statistics from here on, s.
    """
    metrics = flight_metrics(log, after=after)
    checks = judge(metrics, criteria or {})
    subtitle = (
        f"{log.policy} flies {log.vehicle} through {log.world}, seed {log.seed}, "
        f"at {log.control_rate:g} Hz"
    )
    page = Page(f"Flight in {log.world}", subtitle, all(check.passed for check in checks))
    page.add(_headline(metrics))
    path = section(
        "Flight path",
        page.figure("trajectory", figures.trajectory(log)),
        note="Drag to turn, scroll to zoom. Cones show the true wind.",
    )
    film = section("Film", media(video, f"film of {log.world}")) if video else ""
    page.add(columns(path, film) if video else path)
    page.add_section(
        "Position error and wind", page.figure("errors", figures.errors(log, after), time_axis=True)
    )
    page.add_section(
        "Commands and rotors",
        page.figure("commands", figures.commands(log), time_axis=True),
        note="As sent to the vehicle, after the output gate.",
    )
    _add_neurons(page, log, metadata)
    modes = ", ".join(f"{mode} {time:.2f} s" for mode, time in metrics.mode_time_s.items())
    cards = [
        section(
            "Metrics",
            _metrics_table(metrics, checks),
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
    return page.write(Path(out_dir) / "report.html")


def _headline(metrics: FlightMetrics) -> str:
    end = f"crashed: {metrics.crash_reason}" if metrics.crashed else "flown without a crash"
    entries = [(f"{metrics.duration_s:.1f}", "s", end)]
    for key in ("rmse_m", "max_error_m", "step_us_p50", "step_us_p99", "late_ticks"):
        value, display = getattr(metrics, key), DISPLAY[key]
        unit = "" if value is None else display.unit
        entries.append((display.number(value), unit, display.name))
    return tiles(entries)


def _metrics_table(metrics: FlightMetrics, checks: tuple[Check, ...]) -> str:
    by_name = {check.metric: check for check in checks}
    rows = [["crash", escape(metrics.crash_reason or "none"), "none", badge(not metrics.crashed)]]
    for key, display in DISPLAY.items():
        check = by_name.get(key)
        limit = f"≤ {display.number(check.limit)} {display.unit}" if check else ""
        value = f"{display.number(getattr(metrics, key))} <small>{display.unit}</small>"
        rows.append([display.name, value, limit, badge(check.passed) if check else ""])
    return table(("metric", "value", "limit", ""), rows, numbers=(1, 2))


def _add_neurons(page: Page, log: FlightLog, metadata: PolicyMetadata | None) -> None:
    groups = layers(log, metadata)
    if not groups:
        return
    parts = [page.figure("neurons", figures.neurons(log, groups), time_axis=True)]
    page.add_section(
        "Neuron activity",
        *parts,
        note="How far each neuron is from its median in this flight, relative to its largest.",
    )
    if metadata is None or metadata.wiring is None:
        return
    stride = max(1, round(log.control_rate / _REPLAY_RATE))
    rows = figures.percent(neuron_activity(log))[::stride].tolist()
    page.data("activity", {"period": stride / log.control_rate, "activity": rows})
    synapses = len(metadata.wiring.sensory_synapses) + len(metadata.wiring.synapses)
    legend = (
        '<p><span class="key" style="border-color:var(--excite)"></span>excitatory'
        '<span class="key" style="border-color:var(--inhibit);border-top-style:dashed"></span>'
        f"inhibitory; {synapses} synapses, {metadata.weights} non-zero weights. "
        "Point at a neuron to see its synapses; colours show its activity at the time below, "
        "or where you point in the plots above.</p>"
    )
    replay = (
        '<div class="replay"><button id="play" type="button">Play</button>'
        '<input id="time" type="range" min="0" value="0" aria-label="time of the replay">'
        '<output id="time-label" for="time"></output></div>'
    )
    page.add_section("Circuit", legend, circuit_svg(metadata), replay)


def _origin(metadata: PolicyMetadata | None, configuration: Mapping[str, Any] | None) -> str:
    parts = [definition_table(provenance())]
    if metadata is not None:
        record = metadata.model_dump(exclude={"golden", "wiring", "state_names", "neuron_index"})
        parts.append(details("Policy record", record))
    if configuration:
        parts.append(details("Configuration", configuration))
    return section("Origin", *parts)
