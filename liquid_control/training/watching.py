"""What lets a run be watched while it trains: event files, and a picture that is drawn anew.

Neither may cost the run: what can't be written is named once, by the logger of `LOG` (on stderr,
unless a program says otherwise), and left out from then on. A picture is drawn only while drawing
takes a small share of the time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from liquid_control.config import missing_packages
from liquid_control.evaluation.views.training_picture import TRAINING_PICTURE, draw_run
from liquid_control.preflight import EXTRAS
from liquid_control.training.events import FILES, EventLog

PICTURE_SHARE = 0.02  # of the time, at most, that goes into pictures
LOG = logging.getLogger("liquid_control.training")


class Watch:
    """What is written beside the log of one run, for whoever looks on.

    Args:
        out: folder of the run.
        name: of the run's configuration.
        config: what is trained, nested.
        rows: of the log so far.
        update: the run goes on after it; 0: what is there of an earlier one is removed.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        config: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        update: int,
    ) -> None:
        self._out, self._name = out, name
        self._broken: set[str] = set()
        self._events: EventLog | None = None
        self._next_picture = -float("inf")
        if update == 0:
            for path in (*out.glob(FILES), out / TRAINING_PICTURE):
                self._try("what an earlier run left", lambda path=path: path.unlink(True))
        self._try("events", lambda: self._open_events(config, rows, update))

    def _open_events(self, config, rows, update: int) -> None:
        self._events = EventLog(self._out, self._name, config, rows, update)

    def row(self, row: Mapping[str, Any]) -> None:
        """A new row of the log."""
        if self._events is not None:
            self._try("events", lambda: self._events.write(row))

    def checkpoint(self, rows: Sequence[Mapping[str, Any]], last: bool = False) -> None:
        """All rows so far, when they are saved; at the ``last`` time the picture is drawn."""
        if self._events is not None:
            self._try("events", self._events.close if last else self._events.flush)
        started = time.monotonic()
        if rows and (last or started >= self._next_picture):
            path = self._out / TRAINING_PICTURE
            self._try(TRAINING_PICTURE, lambda: draw_run(rows, path, self._name))
            now = time.monotonic()
            self._next_picture = now + (now - started) / PICTURE_SHARE

    def _try(self, what: str, work: Callable[[], object]) -> None:
        """Do it, unless it failed before."""
        if what in self._broken:
            return
        try:
            work()
        except OSError as error:
            reason = error.strerror or str(error)
        except ModuleNotFoundError as error:
            package = (error.name or "").split(".")[0]
            if package not in EXTRAS:
                raise
            reason = str(missing_packages(EXTRAS[package], [package]))
        else:
            return
        self._broken.add(what)
        LOG.warning("%s: no %s: %s; training goes on", self._out, what, reason)
