"""The course of a training run as TensorBoard's event files, beside its log.

A row of the log is a step; scalars bear the names of the log's columns. A run that goes on begins a
file of its own, whose first event tells TensorBoard to forget all steps from there on: what was
flown after the checkpoint, and lost, is not drawn over what is flown now.

tensorboardX writes the format. Its `SummaryWriter` hands events to a thread, which a full disk
ends while the run waits for it for ever, so its parts that write at once are used instead.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

FILES = "events.out.tfevents.*"
METRICS = ("rmse_m", "loss")  # by which runs are compared in the tab of hyper-parameters
_NOT_DRAWN = ("update", "seconds")
_FLUSH_EVERY = 1.0  # s; a flush waits for the disk


class EventLog:
    """Event files of one run.

    Args:
        out: folder of the run.
        name: of the run's configuration.
        config: what is trained, nested; each value becomes a hyper-parameter with a dotted name.
        rows: of the log so far; written where no event file is there yet.
        update: the run goes on after it.

    Raises:
        ModuleNotFoundError: without tensorboardX.
        OSError: where no file can be written, here and in the methods.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        config: Mapping[str, Any],
        rows: Iterable[Mapping[str, Any]],
        update: int,
    ) -> None:
        from tensorboardX import summary
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._event, self._summary = Event, summary
        fresh = not any(out.glob(FILES))
        # the library's own name tells files of one second apart by nothing
        self._writer = EventsWriter(str(out.absolute() / "events"), f".{time.time_ns()}")
        self._flushed = time.monotonic()
        if fresh:
            self._begin(name, config)
            for row in rows:
                self.write(row)
        else:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(session_log=start, step=update + 1))
        self.flush()

    def _begin(self, name: str, config: Mapping[str, Any]) -> None:
        text = yaml.safe_dump(dict(config), sort_keys=False)
        parts = self._summary.hparams(_flat(config), dict.fromkeys(METRICS))
        for part in (self._summary.text(name, f"```\n{text}\n```"), *parts):
            self._write(self._event(summary=part))

    def write(self, row: Mapping[str, Any]) -> None:
        """A row of the log, at its update."""
        for name, value in row.items():
            if name not in _NOT_DRAWN and value is not None:
                scalar = self._summary.scalar(name, value)
                self._write(self._event(summary=scalar, step=row["update"]))
        if time.monotonic() - self._flushed > _FLUSH_EVERY:
            self.flush()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)

    def flush(self) -> None:
        """What was written is on the disk after it."""
        self._writer.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, and end the file."""
        self._writer.close()


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Numbers, truths and texts by dotted keys; a list as its text."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        elif value is not None:
            flat[name] = value if isinstance(value, int | float | str) else str(value)
    return flat
