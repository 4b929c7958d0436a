"""A flight from its MCAP recording alone, without ROS: the same `FlightLog` as of a rollout.

A simulated flight has a row for each step that the world sent; a real one, in which no simulator
speaks, for each step of the controller. Everything else is found by stamps: a row has the newest
of what holds on (odometry, IMU, commands) and, of the rest, what bears its stamp.

In lockstep the world sends each sensor once a step, so the n-th message belongs to the n-th step,
however late the sample in it is. In real time a recording does not say when a message arrived: a
delayed sample counts from its stamp on.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control import wire
from liquid_control.config import ConfigError, missing_packages
from liquid_control.control.strangers import words
from liquid_control.flight_log import (
    FlightLog,
    Images,
    ImuColumns,
    States,
    command_kind,
    reduced,
)
from liquid_control.pixels import decoded
from liquid_control.structs import COMMAND_KINDS, CommandKind, ImageSample

_ODOMETRY_SIZE = 13
_IMU_SIZE = 6
_SENSORS = (wire.ODOMETRY, wire.IMU)
_CAMERA = (wire.IMAGE, wire.CAMERA_INFO)


def _xyz(v: Any) -> tuple[float, float, float]:
    return v.x, v.y, v.z


def _odometry(m: Any) -> tuple[float, ...]:
    pose, twist, q = m.pose.pose, m.twist.twist, m.pose.pose.orientation
    return (
        *_xyz(pose.position), q.x, q.y, q.z, q.w, *_xyz(twist.linear), *_xyz(twist.angular)
    )  # fmt: skip


def _command(kind: CommandKind) -> Callable[[Any], tuple[float, ...]]:
    fields = [attrgetter(place) for place in kind.twist]
    return lambda m: tuple(field(m.twist) for field in fields)


_READ: dict[str, Callable[[Any], tuple[float, ...]]] = {
    wire.GROUND_TRUTH: _odometry,
    wire.ODOMETRY: _odometry,
    wire.IMU: lambda m: (*_xyz(m.angular_velocity), *_xyz(m.linear_acceleration)),
    wire.SETPOINT_TRAJECTORY: lambda m: _xyz(m.points[0].transforms[0].translation),
    wire.SETPOINT_POSE: lambda m: _xyz(m.pose.position),
    wire.WIND: lambda m: _xyz(m.vector),
    wire.ACTUATORS: lambda m: tuple(m.velocity),
    wire.NEURONS: lambda m: tuple(m.data),
}
_SETPOINTS = (wire.SETPOINT_TRAJECTORY, wire.SETPOINT_POSE)


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

    def __init__(self, path: Path, namespace: str, kind: CommandKind | None, images: bool):
        try:
            from mcap.reader import make_reader
            from mcap_ros2.decoder import DecoderFactory
        except ModuleNotFoundError:
            raise missing_packages("ros", ["mcap-ros2-support"]) from None
        kinds = [*COMMAND_KINDS.values(), *([kind] if kind else [])]
        commands = {wire.command_topic(k.name): _command(k) for k in kinds}
        self._read = {**_READ, **commands}
        names = (*self._read, wire.POLICY_US)
        self._rows: dict[str, dict[int, tuple[float, ...]]] = {name: {} for name in names}
        self._sent: dict[str, list[tuple[float, ...]]] = {name: [] for name in _SENSORS}
        self._by_hand: dict[str, dict[int, tuple[float, ...]]] = {t: {} for t in _SETPOINTS}
        self._modes: dict[int, str] = {}
        self._namespace = namespace
        self.neuron_names: tuple[str, ...] = ()
        self.actuator_names: tuple[str, ...] = ()
        self.late: list[int] = []  # a stamp for each step that began late
        self._intrinsics: tuple[float, float, float, float] | None = None
        self.images: list[ImageSample] = []
        self.controller: dict[str, str] = {}
        self.flight: dict[str, str] = {}
        topics = {
            wire.resolve(namespace, topic): topic
            for topic in (*self._read, wire.STEP, wire.DIAGNOSTICS, *(_CAMERA if images else ()))
        }
        try:
            with path.open("rb") as stream:
                reader = make_reader(stream, decoder_factories=[DecoderFactory()])
                for item in reader.iter_decoded_messages(tuple(topics), log_time_order=False):
                    self._take(topics[item.channel.topic], item.decoded_message)
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
        except Exception as error:  # of the file's format, its compression, its messages
            raise ConfigError(f"{path}: not a whole MCAP file: {words(error)}") from None

    def _take(self, topic: str, message: Any) -> None:
        if topic == wire.DIAGNOSTICS:
            self._take_diagnostics(message)
        elif topic == wire.STEP:
            self._take_step(message)
        elif topic == wire.CAMERA_INFO:
            k = message.k
            self._intrinsics = (k[0], k[4], k[2], k[5]) if k[0] else None
        elif topic == wire.IMAGE:
            self._take_image(message)
        elif topic != wire.SETPOINT_TRAJECTORY or (message.points and message.points[0].transforms):
            self._take_row(topic, message)

    def _take_image(self, m: Any) -> None:
        rgb = decoded(m.encoding, m.width, m.height, m.step, m.data)
        picture = reduced(ImageSample(_stamp(m), rgb, self._intrinsics))
        if self.images and picture.rgb.shape != self.images[0].rgb.shape:
            raise ValueError(f"image: {m.width} x {m.height}, expected those of before")
        self.images.append(picture)

    def _take_row(self, topic: str, message: Any) -> None:
        stamp, row = _stamp(message), self._read[topic](message)
        self._rows[topic].setdefault(stamp, row)
        if topic in _SETPOINTS:  # one that is sent by hand has no stamp: it holds from now on
            self._by_hand[topic].setdefault(stamp or max(self._modes, default=0), row)
        if topic in _SENSORS:
            self._sent[topic].append(row)
        elif topic == wire.NEURONS:
            self.neuron_names = _names(message)
        elif topic == wire.ACTUATORS:
            self.actuator_names = tuple(message.name)

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

    @property
    def simulated(self) -> bool:
        """Whether a simulator speaks here, and says where the vehicle truly is."""
        return bool(self.flight and self._rows[wire.GROUND_TRUTH])

    @property
    def _lockstep(self) -> bool:
        return self.controller.get(wire.LOCKSTEP) == str(True)

    def stamps(self) -> np.ndarray:
        """Of every step: of the world where there is one, else of the controller, ns."""
        return np.array(sorted(self._rows[wire.GROUND_TRUTH] if self.simulated else self._modes))

    def modes(self, stamps: np.ndarray) -> np.ndarray:
        """The mode at each stamp: the newest; silent before the first."""
        times = np.array(sorted(self._modes))
        names = np.array(["silent", *(self._modes[time] for time in times.tolist())])
        return names[np.searchsorted(times, stamps, side="right")]

    def setpoints(self, stamps: np.ndarray) -> np.ndarray:
        """``(N, 3)``: in a simulation that of each step, else the newest of either topic."""
        if self.simulated:
            return self.column(wire.SETPOINT_TRAJECTORY, stamps, 3)
        rows = self._rows if self._lockstep else self._by_hand  # a step of lockstep may be at 0
        first, second = _SETPOINTS
        return _held({**rows[second], **rows[first]}, stamps, 3)

    def sensor(self, topic: str, stamps: np.ndarray, size: int) -> np.ndarray:
        """``(N, size)``: the newest sample at each step."""
        steps = sorted(self._rows[wire.SETPOINT_TRAJECTORY])
        sent = self._sent[topic]
        if self._lockstep and len(sent) == len(steps):
            return _held(dict(zip(steps, sent, strict=True)), stamps, size)
        return _held(self._rows[topic], stamps, size)

    def held_column(self, topic: str, stamps: np.ndarray, size: int) -> np.ndarray:
        """As `column`, but a row lasts until the next: in real time not every step is answered."""
        return _held(self._rows[topic], stamps, size)

    def column(self, topic: str, stamps: np.ndarray, size: int) -> np.ndarray:
        """``(N, size)``: the row of each stamp; NaN where there is none."""
        return _exact(self._rows[topic], stamps, size)

    def world_column(self, topic: str, stamps: np.ndarray, size: int) -> np.ndarray | None:
        """What only a world knows, or an instrument beside a real flight; ``None`` if nobody."""
        if not self._rows[topic]:
            return None
        return (self.column if self.simulated else self.held_column)(topic, stamps, size)


def _exact(rows: dict[int, tuple[float, ...]], stamps: np.ndarray, size: int) -> np.ndarray:
    gap = (np.nan,) * size
    return np.array([rows.get(stamp, gap) for stamp in stamps.tolist()], float).reshape(
        len(stamps), size
    )


def _held(rows: dict[int, tuple[float, ...]], stamps: np.ndarray, size: int) -> np.ndarray:
    times = np.array(sorted(rows))
    if not len(times):
        return np.full((len(stamps), size), np.nan)
    newest = np.searchsorted(times, stamps, side="right") - 1
    return np.where((newest >= 0)[:, None], _exact(rows, times, size)[newest], np.nan)


def read_flight(
    path: str | Path,
    namespace: str = "/",
    *,
    kind: CommandKind | None = None,
    images: bool = False,
) -> FlightLog:
    """The flight that a recorder in ``namespace`` wrote.

    Use it on a recording of a real vehicle as on a simulated one: without a simulator in it there
    are no truth, wind, actuators, world and seed, unless an instrument sent them.

    Args:
        kind: of its commands; default: the one of that name which is known by now, see
            `load_vehicle`.
        images: read what the camera saw, too, for the views of a flight; wide pictures are kept
            smaller, see `flight_log.reduced`.

    Raises:
        ConfigError: for a file that can't be read, is not whole, holds no flight, or one of an
            unknown kind of command.
    """
    path = Path(path)
    recording = _Recording(path, namespace, kind, images)
    stamps = recording.stamps()
    if not len(stamps) or not recording.controller:
        raise ConfigError(
            f"{path}: holds no flight: expected {wire.STEP} or {wire.GROUND_TRUTH}, and the status "
            f"of a controller on {wire.DIAGNOSTICS}"
        )
    flight, controller = recording.flight, recording.controller
    if recording.simulated and flight[wire.STATE] == wire.OVER:
        steps = int(flight["steps"])
        if len(stamps) != steps:
            raise ConfigError(f"{path}: holds {len(stamps)} of the {steps} steps of the flight")
    truth = recording.world_column(wire.GROUND_TRUTH, stamps, _ODOMETRY_SIZE)
    actuators = recording.world_column(wire.ACTUATORS, stamps, len(recording.actuator_names))
    mode = recording.modes(stamps)
    kind = command_kind(controller["command"], path, kind)
    command = recording.held_column(wire.command_topic(kind.name), stamps, kind.layout.size)
    command[mode == "silent"] = np.nan
    neuron_names = recording.neuron_names
    begin = 0 if recording.simulated else int(stamps[0])  # a world's clock begins with its flight
    return FlightLog(
        time=(stamps - begin) * 1e-9,
        truth=None if truth is None else States.from_odometry(truth),
        estimate=States.from_odometry(recording.sensor(wire.ODOMETRY, stamps, _ODOMETRY_SIZE)),
        imu=ImuColumns(*np.split(recording.sensor(wire.IMU, stamps, _IMU_SIZE), 2, axis=1)),
        setpoint_pos_world=recording.setpoints(stamps),
        wind_world=recording.world_column(wire.WIND, stamps, 3),
        command=command,
        kind=kind,
        actuators=np.zeros((len(stamps), 0)) if actuators is None else actuators,
        actuator_names=recording.actuator_names,
        mode=mode,
        neurons=recording.held_column(wire.NEURONS, stamps, len(neuron_names)),
        neuron_names=neuron_names,
        step_us=recording.column(wire.POLICY_US, stamps, 1)[:, 0],
        world=flight.get("world", ""),
        policy=controller["policy"],
        vehicle=flight.get("vehicle", controller["vehicle"]),
        seed=int(flight["seed"]) if "seed" in flight else None,
        control_rate=float(controller["control_rate"]),
        crashed=flight.get("crashed") == "True",
        crash_reason=flight.get("crash_reason", ""),
        # After the last stamp the controller may tick on, answering it again.
        late_ticks=int(sum(stamp < stamps[-1] for stamp in recording.late)),
        fault=controller.get(wire.FIRST_FAULT, ""),
        images=Images.of(_rising(recording.images), begin),
    )


def _rising(samples: list[ImageSample]) -> list[ImageSample]:
    """By their stamps, each once."""
    by_stamp = {sample.stamp: sample for sample in samples}
    return [by_stamp[stamp] for stamp in sorted(by_stamp)]
