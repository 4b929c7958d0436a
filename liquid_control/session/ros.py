"""A flight over ROS 2 topics: simulator, controller and recorder, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from liquid_control.evaluation.recording import read_flight
from liquid_control.flight_log import FlightLog
from liquid_control.preflight import require_packages
from liquid_control.session.plan import plan_flight
from liquid_control.session.processes import STOP_TIMEOUT, FlightFailed, Session
from liquid_control.sim.scenario import WorldConfig, load_world

OnProgress = Callable[[float, float, float], None]  # simulated s, duration s, position error m

_PACKAGES = ("rclpy", "pybullet", "mcap_ros2")
_START_TIMEOUT = 30.0  # s of wall time until the first step
_POLL = 0.02  # s


def fly_ros(
    world: str,
    policy: str,
    *,
    scenario: WorldConfig | None = None,
    seed: int = 0,
    duration: float | None = None,
    real_time: bool = False,
    out_dir: str | Path | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> tuple[FlightLog, Path | None]:
    """One flight through real topics: the log, as recorded, and the path of its MCAP file.

    Use `session.flight.fly` with ``ros=True`` for metrics, report and film as well.

    Args:
        world: name or path.
        policy: name or path.
        scenario: the world, where it has been read already.
        duration: simulated seconds; the world's own if ``None``.
        real_time: at the pace of the clock; otherwise in lockstep, as fast as it goes.
        out_dir: gets ``flight.mcap`` and ``log/<node>.log``; if ``None``, nothing is kept.
        on_progress: called about ten times a second, in this thread.

    Raises:
        ConfigError: for a world that can't be read, or missing packages.
        FlightFailed: if a node dies or the flight does not begin, or was not recorded whole.
    """
    require_packages(*_PACKAGES)
    with tempfile.TemporaryDirectory() as nowhere:
        folder = Path(nowhere if out_dir is None else out_dir)
        recording = folder / "flight.mcap"
        nodes = plan_flight(
            str(world),
            load_world(world) if scenario is None else scenario,
            str(policy),
            seed=seed,
            duration=duration,
            lockstep=not real_time,
            recording=recording,
            progress=True,
        )
        with Session(folder / "log") as session:
            for node in nodes:
                session.start(node.name, node.parameters)
            simulator = session.nodes["simulator"].process
            progress = _Progress(simulator.stdout, on_progress)
            _watch(session, simulator, progress)
            session.stop("recorder", patience=STOP_TIMEOUT)  # it has heard the end of the flight
            session.stop("controller")
            session.check("recorder", "controller", well=(0,))
        log = read_flight(recording, images=out_dir is not None)
        flown = progress.newest["time"]
        if len(log.time) < round(flown * log.control_rate):
            raise FlightFailed(
                f"the recorder ended early: {recording} holds {len(log.time) / log.control_rate:g} "
                f"of the {flown:g} s flown"
            )
        return log, None if out_dir is None else recording


class _Progress:
    """Reads the simulator's lines in a thread, so that its pipe never fills."""

    def __init__(self, stream: IO[bytes], on_progress: OnProgress):
        self.newest: dict[str, Any] | None = None
        self._stream, self._on_progress = stream, on_progress
        self._reported: dict[str, Any] | None = None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for line in self._stream:
            self.newest = json.loads(line)

    def report(self) -> None:
        """Hand on the newest line, in the caller's thread."""
        if self.newest is not self._reported:
            self._reported = self.newest
            line = self.newest
            self._on_progress(line["time"], line["duration"], line["error"])


def _watch(session: Session, simulator: subprocess.Popen, progress: _Progress) -> None:
    """Return when the flight is over; raise if it can't be."""
    give_up = time.monotonic() + _START_TIMEOUT
    while simulator.poll() is None:
        progress.report()
        session.check("controller")
        session.check("recorder", well=(0,))  # it leaves just before the simulator does
        if progress.newest is None and time.monotonic() > give_up:
            words = session.nodes["simulator"].last_words()
            raise FlightFailed(f"no step within {_START_TIMEOUT:g} s; simulator: {words}")
        time.sleep(_POLL)
    progress.thread.join(1.0)
    progress.report()
    # A crash is a result; only a flight without an end is a failure.
    last = progress.newest
    if last is None or simulator.returncode not in (0, 1) or not _is_over(last):
        session.check("simulator")


def _is_over(line: dict[str, Any]) -> bool:
    return line["crashed"] or line["time"] >= line["duration"] - 1e-6
