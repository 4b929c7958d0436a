"""A flight from its MCAP recording alone, without ROS: the same `FlightLog` as of a rollout."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control import wire
from liquid_control.config import ConfigError, missing_packages
from liquid_control.frames import rotate
from liquid_control.structs import COMMAND_KINDS, CommandKind, FlightLog


def _xyz(v: Any) -> tuple[float, float, float]:
    return v.x, v.y, v.z


def _truth(m: Any) -> tuple[float, ...]:
    pose, twist, q = m.pose.pose, m.twist.twist, m.pose.pose.orientation
    return (
        *_xyz(pose.position), q.x, q.y, q.z, q.w, *_xyz(twist.linear), *_xyz(twist.angular)
    )  # fmt: skip


def _command(kind: CommandKind) -> Callable[[Any], tuple[float, ...]]:
    fields = [attrgetter(place) for place in kind.twist]
    return lambda m: tuple(field(m.twist) for field in fields)


_READ: dict[str, Callable[[Any], tuple[float, ...]]] = {
    wire.GROUND_TRUTH: _truth,
    wire.SETPOINT_TRAJECTORY: lambda m: _xyz(m.points[0].transforms[0].translation),
    wire.WIND: lambda m: _xyz(m.vector),
    wire.ACTUATORS: lambda m: tuple(m.velocity),
    wire.NEURONS: lambda m: tuple(m.data),
}


def _stamp(message: Any) -> int:
    """The message's stamp in ns; a labelled row has it in the label of its first axis."""
    if hasattr(message, "layout"):
        return wire.stamp_of(message.layout.dim[0].label)
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def _names(message: Any) -> tuple[str, ...]:
    """The names of a labelled row's values."""
    return wire.names_of(message.layout.dim[1].label)


class _Recording:
    """The messages of a file by topic and stamp; of several with one stamp the first counts."""

    def __init__(self, path: Path, namespace: str):
        try:
            from mcap.exceptions import McapError
            from mcap.reader import make_reader
            from mcap_ros2.decoder import DecoderFactory
        except ModuleNotFoundError:
            raise missing_packages("ros", ["mcap-ros2-support"]) from None
        commands = {wire.command_topic(k.name): _command(k) for k in COMMAND_KINDS.values()}
        self._read = {**_READ, **commands}
        names = (*self._read, wire.POLICY_US)
        self._rows: dict[str, dict[int, tuple[float, ...]]] = {name: {} for name in names}
        self._modes: dict[int, str] = {}
        self._namespace = namespace
        self.neuron_names: tuple[str, ...] = ()
        self.late: list[int] = []  # a stamp for each step that began late
        self.controller: dict[str, str] = {}
        self.flight: dict[str, str] = {}
        topics = {
            wire.resolve(namespace, topic): topic
            for topic in (*self._read, wire.STEP, wire.DIAGNOSTICS)
        }
        try:
            with path.open("rb") as stream:
                reader = make_reader(stream, decoder_factories=[DecoderFactory()])
                for item in reader.iter_decoded_messages(tuple(topics), log_time_order=False):
                    self._take(topics[item.channel.topic], item.decoded_message)
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
        except McapError as error:
            raise ConfigError(f"{path}: not a whole MCAP file: {error}") from None

    def _take(self, topic: str, message: Any) -> None:
        if topic == wire.DIAGNOSTICS:
            self._take_diagnostics(message)
        elif topic == wire.STEP:
            self._take_step(message)
        else:
            self._rows[topic].setdefault(_stamp(message), self._read[topic](message))
            if topic == wire.NEURONS:
                self.neuron_names = _names(message)

    def _take_step(self, message: Any) -> None:
        stamp = _stamp(message)
        values = dict(zip(_names(message), message.data, strict=True))
        (modes,) = (name for name in values if wire.modes_of(name))
        self._modes.setdefault(stamp, wire.modes_of(modes)[int(values[modes])])
        self._rows[wire.POLICY_US].setdefault(stamp, (values[wire.POLICY_US],))
        if values[wire.MISSED_TICKS]:
            self.late.append(stamp)

    def _take_diagnostics(self, message: Any) -> None:
        for status in message.status:
            name = wire.StatusName.parse(status.name)
            values = {pair.key: pair.value for pair in status.values}
            if name.namespace == self._namespace and name.about == wire.CONTROL_LOOP:
                self.controller = values
            elif name.namespace == self._namespace and name.about == wire.FLIGHT:
                self.flight = values

    def stamps(self) -> np.ndarray:
        """Of every step that the world sent, ns."""
        return np.array(sorted(self._rows[wire.GROUND_TRUTH]))

    def modes(self, stamps: np.ndarray) -> np.ndarray:
        """The mode at each stamp: the newest; silent before the first."""
        times = np.array(sorted(self._modes))
        names = np.array(["silent", *(self._modes[time] for time in times.tolist())])
        return names[np.searchsorted(times, stamps, side="right")]

    def held_column(self, topic: str, stamps: np.ndarray, size: int) -> np.ndarray:
        """As `column`, but a row lasts until the next: in real time not every step is answered."""
        times = np.array(sorted(self._rows[topic]))
        if not len(times):
            return np.full((len(stamps), size), np.nan)
        rows = self.column(topic, times, size)
        newest = np.searchsorted(times, stamps, side="right") - 1
        return np.where((newest >= 0)[:, None], rows[newest], np.nan)

    def column(self, topic: str, stamps: np.ndarray, size: int) -> np.ndarray:
        """``(N, size)``: the row of each stamp; NaN where there is none."""
        rows = self._rows[topic]
        gap = (np.nan,) * size
        return np.array([rows.get(stamp, gap) for stamp in stamps.tolist()], float).reshape(
            len(stamps), size
        )


def read_flight(path: str | Path, namespace: str = "/") -> FlightLog:
    """The flight that a recorder in ``namespace`` wrote, a row for each step that the world sent.

    Raises:
        ConfigError: for a file that can't be read, is not whole, or holds no flight.
    """
    path = Path(path)
    recording = _Recording(path, namespace)
    stamps = recording.stamps()
    if not len(stamps) or not recording.flight or not recording.controller:
        raise ConfigError(
            f"{path}: holds no flight: expected {wire.GROUND_TRUTH} and the status of simulator "
            f"and controller on {wire.DIAGNOSTICS}"
        )
    steps = int(recording.flight["steps"])
    if recording.flight[wire.STATE] == wire.OVER and len(stamps) != steps:
        raise ConfigError(f"{path}: holds {len(stamps)} of the {steps} steps of the flight")
    truth = recording.column(wire.GROUND_TRUTH, stamps, 13)
    pos, quat, vel_body, ang_vel = np.split(truth, (3, 7, 10), axis=1)
    neuron_names = recording.neuron_names
    mode = recording.modes(stamps)
    kind = COMMAND_KINDS[recording.controller["command"]]
    topic = wire.command_topic(kind.name)
    command = recording.held_column(topic, stamps, kind.layout.size)
    command[mode == "silent"] = np.nan
    flight, controller = recording.flight, recording.controller
    return FlightLog(
        time=stamps * 1e-9,
        pos_world=pos,
        quat_world_body=quat,
        vel_world=rotate(quat.T, vel_body.T).T,
        ang_vel_body=ang_vel,
        setpoint_pos_world=recording.column(wire.SETPOINT_TRAJECTORY, stamps, 3),
        wind_world=recording.column(wire.WIND, stamps, 3),
        rotor_speed=recording.column(wire.ACTUATORS, stamps, 4),
        command=command,
        mode=mode,
        neurons=recording.held_column(wire.NEURONS, stamps, len(neuron_names)),
        step_us=recording.column(wire.POLICY_US, stamps, 1)[:, 0],
        neuron_names=neuron_names,
        world=flight["world"],
        policy=controller["policy"],
        vehicle=flight["vehicle"],
        seed=int(flight["seed"]),
        control_rate=float(controller["control_rate"]),
        crashed=flight["crashed"] == "True",
        crash_reason=flight["crash_reason"],
        # After the last stamp the controller may tick on, answering it again.
        late_ticks=int(sum(stamp < stamps[-1] for stamp in recording.late)),
    )
