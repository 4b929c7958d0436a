"""A flight that `fly` kept: its log as arrays, or its recording, beside its report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from liquid_control.evaluation import words
from liquid_control.evaluation.columns import position_error
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.runs.record import FLIGHT, read_record, record_name
from liquid_control.evaluation.runs.run import Curve, Run, changed, present, thinned
from liquid_control.flight_log import FlightLog

LOG, RECORDING = "flight.npz", "flight.mcap"
FILES = {
    **{"report": "report.html", "picture": "picture.png", "wind": "wind.png"},
    **{"film": "flight.mp4", "recording": RECORDING, "log": LOG},
}
AXIS = "time, s"
_AFTER = 3.0  # s, where the record of the flight does not say


def is_flight(names: set[str]) -> bool:
    """Whether a folder with these files holds a flight."""
    return not names.isdisjoint((record_name(FLIGHT), LOG, RECORDING))


def flight_run(folder: Path, name: str) -> Run:
    """The flight of a folder.

    Raises:
        ConfigError: which names the file that can't be read.
    """
    record = read_record(folder, FLIGHT)
    log, source = _read_log(folder)
    metrics = record or flight_metrics(log, after=_AFTER).to_dict()
    rows = thinned(position_error(log))
    return Run(
        FLIGHT,
        name,
        record["provenance"]["date"] if record else changed(source),
        policy=log.policy,
        setting=log.world,
        vehicle=log.vehicle,
        seed=log.seed,
        error_m=metrics.get("rmse_m"),
        seconds=metrics.get("duration_s"),
        verdict=record.get("passed"),
        files=present(folder, FILES),
        axes={AXIS: log.time[rows]},
        curves=list(_curves(log, rows)),
    )


def _read_log(folder: Path) -> tuple[FlightLog, Path]:
    path = folder / LOG
    if path.is_file() or not (folder / RECORDING).is_file():
        return FlightLog.load(path), path
    from liquid_control.evaluation.recording import read_flight

    return read_flight(folder / RECORDING), folder / RECORDING


def _curves(log: FlightLog, rows) -> Iterator[Curve]:
    yield Curve("error", "position error, cm", 100 * position_error(log)[rows])
    for axis, pos, setpoint in zip(
        "xyz", log.motion.pos_world[rows].T, log.setpoint_pos_world[rows].T, strict=True
    ):
        yield Curve("position", f"{axis}, m", pos, setpoint)
    for slot in log.kind.layout.slots:
        title = words.slot_words(log.kind, slot).title
        columns = log.command[rows, log.kind.layout[slot.name]].T
        for component, column in zip(words.component_words(slot), columns, strict=True):
            full = title if slot.size == 1 else f"{title}, {component}"
            yield Curve("command", words.titled(full, slot.unit), column)
    if log.wind_world is not None:
        for axis, wind in zip("xyz", log.wind_world[rows].T, strict=True):
            yield Curve("wind", f"wind, {axis}, m/s", wind)
