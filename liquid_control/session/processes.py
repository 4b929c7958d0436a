"""A flight over ROS 2 topics: simulator, controller and recorder, each a process of its own.

Needs no launch package; ``launch/simulation.launch.py`` starts the same nodes where there is one.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from liquid_control.config import ConfigError
from liquid_control.evaluation.recording import read_flight
from liquid_control.flight_log import FlightLog
from liquid_control.preflight import require_packages
from liquid_control.sim.scenario import load_world

OnProgress = Callable[[float, float, float], None]  # simulated s, duration s, position error m

_PACKAGES = ("rclpy", "pybullet", "mcap_ros2")
_START_TIMEOUT = 30.0  # s of wall time until the first step
_STOP_TIMEOUT = 20.0  # s of wall time to end after a signal
_POLL = 0.02  # s
# Domains whose ports stay below the ephemeral ones; the rule is in the RTPS specification, 9.6.1
_DOMAINS = range(1, 102)
_PORT_BASE, _DOMAIN_GAIN = 7400, 250
_CLAIM_PORT = 249  # of a domain's ports; would be that of its 120th participant
# What can lead the nodes of a flight to others, in spite of a domain of their own
_LEADS_ELSEWHERE = (
    *("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER", "ROS_SUPER_CLIENT"),
    *("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"),
)


class FlightFailed(ConfigError):
    """A node ended, or never began; the message says which and what it said last."""


def free_domain() -> int:
    """A ROS_DOMAIN_ID that nobody on this machine uses, picked at random."""
    domain, claim = _claim_domain()
    claim.close()
    return domain


def _claim_domain() -> tuple[int, socket.socket]:
    """A free domain, and what keeps it from being found free again until it is closed."""
    for _ in range(200):
        domain = secrets.choice(_DOMAINS)
        port = _PORT_BASE + _DOMAIN_GAIN * domain
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("", port + _CLAIM_PORT))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", port))
        except OSError:
            claim.close()
            continue
        return domain, claim
    raise FlightFailed(f"no free ROS domain among {_DOMAINS.start} to {_DOMAINS.stop - 1}")


@dataclass
class RunningNode:
    """A node's process and the file that holds what it logs."""

    name: str
    process: subprocess.Popen
    log: Path

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing in its log"


class Session:
    """The processes of one flight; on leaving the block all have ended.

    They are alone in a ROS domain of their own, `domain`, whatever the environment says: a
    simulated flight must not reach a vehicle, nor another flight.
    """

    def __init__(self, log_dir: Path):
        self._log_dir = log_dir
        log_dir.mkdir(parents=True, exist_ok=True)
        self.nodes: dict[str, RunningNode] = {}
        self.domain, self._claim = _claim_domain()
        inherited = {k: v for k, v in os.environ.items() if k not in _LEADS_ELSEWHERE}
        self._environment = inherited | {
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
            "ROS_DOMAIN_ID": str(self.domain),
            "ROS_LOG_DIR": str(log_dir),
            # One thread each: three nodes share the machine, and their arrays are tiny.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def start(self, name: str, parameters: dict[str, Any]) -> RunningNode:
        """Start ``liquid_control.nodes.<name>`` with these ROS parameters."""
        command = [sys.executable, "-m", f"liquid_control.nodes.{name}", "--ros-args"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={json.dumps(value)}"]
        log = self._log_dir / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=self._environment,
                # Ctrl-C reaches this process alone; it ends the others in order.
                start_new_session=True,
            )
        self.nodes[name] = RunningNode(name, process, log)
        return self.nodes[name]

    def check(self, *names: str, well: tuple[int, ...] = ()) -> None:
        """Raise `FlightFailed` if one of these has ended with a status other than ``well``."""
        for name in names:
            node = self.nodes[name]
            status = node.process.poll()
            if status is not None and status not in well:
                raise FlightFailed(f"{name} ended with status {status}: {node.last_words()}")

    def stop(self, name: str, patience: float = 0.0) -> None:
        """Wait ``patience`` s for a node's own end, then interrupt it, then kill it."""
        process = self.nodes[name].process
        for seconds, end in (
            (patience, lambda: process.send_signal(signal.SIGINT)),
            (_STOP_TIMEOUT, process.kill),
        ):
            try:
                process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                end()
        process.wait()
        process.stdout.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_) -> None:
        for name in reversed(tuple(self.nodes)):
            self.stop(name)
        self._claim.close()


def fly_ros(
    world: str,
    policy: str,
    *,
    seed: int = 0,
    duration: float | None = None,
    real_time: bool = False,
    out_dir: str | Path | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> tuple[FlightLog, Path | None]:
    """One flight through real topics: the log, as recorded, and the path of its MCAP file.

    Args:
        world, policy: names or paths.
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
        recording, flown = _fly(world, policy, seed, duration, real_time, folder, on_progress)
        log = read_flight(recording)
        if len(log.time) < round(flown * log.control_rate):
            raise FlightFailed(
                f"the recorder ended early: {recording} holds {len(log.time) / log.control_rate:g} "
                f"of the {flown:g} s flown"
            )
        return log, None if out_dir is None else recording


def _fly(
    world: str,
    policy: str,
    seed: int,
    duration: float | None,
    real_time: bool,
    out_dir: Path,
    on_progress: OnProgress,
) -> tuple[Path, float]:
    """The recording, and the simulated seconds that were flown."""
    recording = out_dir / "flight.mcap"
    scenario = load_world(world)
    lockstep = not real_time
    common = {"vehicle": scenario.vehicle, "lockstep": lockstep}
    with Session(out_dir / "log") as session:
        session.start("recorder", {"path": str(recording), "hold_simulator": True})
        session.start(
            "controller",
            {
                **common,
                "policy": str(policy),
                "control_rate": float(scenario.control_rate),
                "autostart": True,
            },
        )
        simulator = session.start(
            "simulator",
            {
                **common,
                "world": str(world),
                "seed": seed,
                "duration": float(duration or 0.0),
                "subscribers": 2,
                "progress": True,
            },
        )
        progress = _Progress(simulator.process.stdout, on_progress)
        _watch(session, simulator.process, progress)
        session.stop("recorder", patience=_STOP_TIMEOUT)  # it has heard the end of the flight
        session.stop("controller")
        session.check("recorder", "controller", well=(0,))
    return recording, progress.newest["time"]


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
