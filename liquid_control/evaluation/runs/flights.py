"""A flight that `fly` kept: its log as arrays, or its recording, beside its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from liquid_control.evaluation import words
from liquid_control.evaluation.columns import has_wind, position_error
from liquid_control.evaluation.metrics import FlightMetrics, flight_metrics
from liquid_control.evaluation.runs.record import FLIGHT, read_record, record_name, write_record
from liquid_control.evaluation.runs.run import Curve, Run, changed, present, thinned
from liquid_control.flight_log import FlightLog
from liquid_control.structs import COMMAND_KINDS, CommandKind, Layout, Slot

LOG, RECORDING = "flight.npz", "flight.mcap"
FILES = {
    **{"report": "report.html", "picture": "picture.png", "wind": "wind.png"},
    **{"film": "flight.mp4", "recording": RECORDING, "log": LOG},
}
AXIS = "time, s"
_AFTER = 3.0  # s, where the record of the flight does not say


def keep_flight(
    folder: Path, log: FlightLog, metrics: FlightMetrics, *, passed: bool, after: float
) -> list[Path]:
    """Write ``flight.npz`` and ``flight.json``, so that the flight can be found again.

    Args:
        passed: whether it met its world's criteria.
        after: the error statistics are over later times, s.

    Returns:
        The paths of both.

    Raises:
        OSError: if they can't be written.
    """
    kind = log.kind
    slots = [asdict(slot) for slot in kind.layout.slots]
    command = {"name": kind.name, "slots": slots, "neutral": list(kind.neutral)}
    facts = {**metrics.to_dict(), "passed": passed, "after_s": after, "command": command}
    return [log.save(folder / LOG), write_record(folder, FLIGHT, facts)]


def is_flight(names: set[str]) -> bool:
    """Whether a folder with these files holds a flight."""
    return not names.isdisjoint((record_name(FLIGHT), LOG, RECORDING))


def flight_run(folder: Path, name: str) -> Run:
    """The flight of a folder.

    Raises:
        ConfigError: which names the file that can't be read.
    """
    record = read_record(folder, FLIGHT)
    log, source = _read_log(folder, _kind(record))
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


def _kind(record: Mapping[str, Any]) -> CommandKind | None:
    """The kind of command that flew, where nobody has registered it in this process."""
    command = record.get("command")
    if command is None or command["name"] in COMMAND_KINDS:
        return None
    layout = Layout(tuple(Slot(**slot) for slot in command["slots"]))
    return CommandKind(command["name"], layout, tuple(command["neutral"]))


def _read_log(folder: Path, kind: CommandKind | None) -> tuple[FlightLog, Path]:
    path = folder / LOG
    if path.is_file() or not (folder / RECORDING).is_file():
        return FlightLog.load(path, kind=kind), path
    from liquid_control.evaluation.recording import read_flight

    return read_flight(folder / RECORDING, kind=kind), folder / RECORDING


def _curves(log: FlightLog, rows) -> Iterator[Curve]:
    yield Curve("error", f"{words.error_word(log.kind)}, cm", 100 * position_error(log)[rows])
    for axis, pos, setpoint in zip(
        words.EAST_NORTH_UP,
        log.motion.pos_world[rows].T,
        log.setpoint_pos_world[rows].T,
        strict=True,
    ):
        yield Curve("position", f"{axis}, m", pos, setpoint)
    for slot in log.kind.layout.slots:
        title = words.slot_words(log.kind, slot).title
        columns = log.command[rows, log.kind.layout[slot.name]].T
        for component, column in zip(words.component_words(slot), columns, strict=True):
            full = title if slot.size == 1 else f"{title}, {component}"
            yield Curve("command", words.titled(full, slot.unit), column)
    if has_wind(log):
        for axis, wind in zip(words.EAST_NORTH_UP, log.wind_world[rows].T, strict=True):
            yield Curve("wind", f"wind, {axis}, m/s", wind)
