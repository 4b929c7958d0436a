"""Nodes as processes of this machine, alone in a ROS domain of their own.

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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError

STOP_TIMEOUT = 20.0  # s of wall time to end after a signal
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

    def start(self, name: str, parameters: Mapping[str, Any]) -> RunningNode:
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
            (STOP_TIMEOUT, process.kill),
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
