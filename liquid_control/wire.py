"""Every name on the wire, once: topics, labels, statuses and their keys. Needs no ROS.

The nodes send by these names (`nodes.interface` adds types and reliability), recordings are read by
them. Topic names are relative, so that a namespace moves them, but for `CLOCK` and `DIAGNOSTICS`.

*Which stamp a command answers*: in lockstep that of the step (of its ``setpoint/trajectory``), in
real time that of the newest IMU sample that the loop had; ``controller/*`` rows carry it, too.
"""

from __future__ import annotations

from typing import NamedTuple

IMU = "imu/data"
ODOMETRY = "odom"
IMAGE = "camera/image_raw"
COMPRESSED_IMAGE = "camera/image_raw/compressed"
CAMERA_INFO = "camera/camera_info"
SETPOINT_POSE = "setpoint/pose"
SETPOINT_TRAJECTORY = "setpoint/trajectory"
ARMED = "armed"
SILENT = "cmd/silent"
NEURONS = "controller/neurons"
STEP = "controller/step"
GROUND_TRUTH = "ground_truth/odom"
WIND = "wind"
ACTUATORS = "rotor_speeds"
CLOCK = "/clock"
DIAGNOSTICS = "/diagnostics"


def sensor_topic(sensor: str) -> str:
    """Of a sensor that has no topic of its own above, by its name."""
    return f"sensors/{sensor}"


def command_topic(kind: str) -> str:
    """Of the commands of a kind, by its name."""
    return f"cmd/{kind}"


# Labelled rows: axis 0 is labelled with the stamp, axis 1 with the names of the values

_STAMP = "stamp_ns"
_MODE = "mode:"
POLICY_US, LATENESS_US, MISSED_TICKS = "policy_us", "lateness_us", "missed_ticks"  # of STEP


def stamp_label(stamp: int) -> str:
    """Of the first axis of a row of ``stamp`` ns."""
    return f"{_STAMP} {stamp}"


def stamp_of(label: str) -> int:
    """The stamp in ns of a `stamp_label`."""
    return int(label.removeprefix(_STAMP))


def names_label(names: tuple[str, ...]) -> str:
    """Of the second axis: the names, none of which holds a blank."""
    return " ".join(names)


def names_of(label: str) -> tuple[str, ...]:
    """The names of a `names_label`."""
    return tuple(label.split())


def modes_name(modes: tuple[str, ...]) -> str:
    """The name of a value that is the index of a mode."""
    return _MODE + "|".join(modes)


def modes_of(name: str) -> tuple[str, ...]:
    """The modes of a `modes_name`; empty for any other name."""
    return tuple(name.removeprefix(_MODE).split("|")) if name.startswith(_MODE) else ()


# Statuses on DIAGNOSTICS: the full name of the node, and what of it the status is about

CONTROL_LOOP = "control loop"
FLIGHT = "flight"
STATE = "state"  # key of what a node is doing
FIRST_FAULT = "first fault"  # key of why the policy gave up the vehicle, the first time
LOCKSTEP = "lockstep"  # key of whether a node steps in lockstep
ACTIVE, INACTIVE = "active", "inactive"  # of a controller
WAITING, FLYING, OVER = "waiting", "flying", "over"  # of a simulator


class StatusName(NamedTuple):
    """The name of a status."""

    node: str  # full: namespace and name, "/drone1/controller"
    about: str  # CONTROL_LOOP or FLIGHT

    def __str__(self) -> str:
        return f"{self.node}: {self.about}"

    @property
    def namespace(self) -> str:
        """Of the node: "/" or "/drone1"."""
        return self.node.rpartition("/")[0] or "/"

    @classmethod
    def parse(cls, name: str) -> StatusName:
        """The parts of a name; of a foreign status ``about`` may be anything."""
        node, _, about = name.partition(": ")
        return cls(node, about)


def resolve(namespace: str, topic: str) -> str:
    """The full name of a relative topic in a namespace; an absolute one is full already."""
    return topic if topic.startswith("/") else f"{namespace.rstrip('/')}/{topic}"
