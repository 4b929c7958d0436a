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
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from liquid_control.evaluation.recording import read_flight
from liquid_control.sim.scenario import load_world
from liquid_control.structs import FlightLog

_START_TIMEOUT = 30.0  # s of wall time until the first step
_STOP_TIMEOUT = 10.0  # s of wall time to end after a signal
_POLL = 0.02  # s
# Domains whose ports stay below the ephemeral ones; the rule is in the RTPS specification, 9.6.1
_DOMAINS = range(1, 102)
_PORT_BASE, _DOMAIN_GAIN = 7400, 250


class FlightFailed(RuntimeError):
    """A node ended, or never began; the message says which and what it said last."""


def free_domain() -> int:
    """A ROS_DOMAIN_ID that nobody on this machine uses, picked at random."""
    for _ in range(200):
        domain = secrets.choice(_DOMAINS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", _PORT_BASE + _DOMAIN_GAIN * domain))
            except OSError:
                continue
            return domain
    raise FlightFailed("no free ROS_DOMAIN_ID; set one")


@dataclass
class _Node:
    name: str
    process: subprocess.Popen
    log: Path

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing in its log"


class _Session:
    """The processes of one flight; on leaving the block all have ended."""

    def __init__(self, log_dir: Path):
        self._log_dir = log_dir
        log_dir.mkdir(parents=True, exist_ok=True)
        self.nodes: dict[str, _Node] = {}
        self._environment = os.environ | {
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
            "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID") or str(free_domain()),
            "ROS_LOG_DIR": str(log_dir),
            # One thread each: three nodes share the machine, and their arrays are tiny.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def start(self, name: str, parameters: dict[str, Any]) -> _Node:
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
        self.nodes[name] = _Node(name, process, log)
        return self.nodes[name]

    def check(self, *names: str) -> None:
        """Raise `FlightFailed` if one of these has ended."""
        for name in names:
            node = self.nodes[name]
            status = node.process.poll()
            if status is not None:
                raise FlightFailed(f"{name} ended with status {status}: {node.last_words()}")

    def stop(self, name: str) -> None:
        """Interrupt a node and wait for its end."""
        process = self.nodes[name].process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_) -> None:
        for name in reversed(tuple(self.nodes)):
            self.stop(name)


def fly_ros(
    world: str,
    policy: str,
    *,
    seed: int = 0,
    duration: float | None = None,
    real_time: bool = False,
    out_dir: str | Path,
    vehicle: str | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[FlightLog, Path]:
    """One flight through real topics: the log, as recorded, and the path of its MCAP file.

    Args:
        world, policy, vehicle: names or paths.
        duration: simulated seconds; the world's own if ``None``.
        real_time: at the pace of the clock; otherwise in lockstep, as fast as it goes.
        out_dir: gets ``flight.mcap`` and ``log/<node>.log``.
        on_progress: called with ``time, duration, error, crashed`` about ten times a second.

    Raises:
        ConfigError: for a world, policy or vehicle that can't be flown.
        FlightFailed: if a node dies or the flight does not begin.
    """
    out_dir = Path(out_dir)
    recording = out_dir / "flight.mcap"
    scenario = load_world(world)
    lockstep = not real_time
    common = {"vehicle": vehicle or scenario.vehicle, "lockstep": lockstep}
    with _Session(out_dir / "log") as session:
        session.start("recorder", {"path": str(recording), "wait_for_controller": True})
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
        session.stop("controller")
        session.stop("recorder")
        for name in ("controller", "recorder"):
            status = session.nodes[name].process.returncode
            if status not in (0, 130):
                raise FlightFailed(
                    f"{name} ended with status {status}: {session.nodes[name].last_words()}"
                )
    return read_flight(recording), recording


class _Progress:
    """Reads the simulator's lines in a thread, so that its pipe never fills."""

    def __init__(self, stream: IO[bytes], on_progress: Callable[[dict[str, Any]], None] | None):
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
            if self._on_progress is not None:
                self._on_progress(self.newest)


def _watch(session: _Session, simulator: subprocess.Popen, progress: _Progress) -> None:
    """Return when the flight is over; raise if it can't be."""
    give_up = time.monotonic() + _START_TIMEOUT
    while simulator.poll() is None:
        progress.report()
        session.check("controller", "recorder")
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
