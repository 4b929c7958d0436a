"""A flight from its MCAP recording alone, without ROS: the same `FlightLog` as of a rollout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.config import ConfigError, missing_packages
from liquid_control.frames import rotate
from liquid_control.structs import FlightLog

TRUTH, SETPOINT, WIND = "/ground_truth/odom", "/setpoint/trajectory", "/wind"
ROTOR_SPEEDS, COMMAND = "/rotor_speeds", "/cmd/rates_thrust"
NEURONS, STEP = "/controller/neurons", "/controller/step"
DIAGNOSTICS = "/diagnostics"
POLICY_US = "policy_us"  # a value of STEP
_TOPICS = (
    TRUTH, SETPOINT, WIND, ROTOR_SPEEDS, COMMAND, NEURONS, STEP, DIAGNOSTICS
)  # fmt: skip


def _xyz(v: Any) -> tuple[float, float, float]:
    return v.x, v.y, v.z


def _truth(m: Any) -> tuple[float, ...]:
    pose, twist, q = m.pose.pose, m.twist.twist, m.pose.pose.orientation
    return (
        *_xyz(pose.position), q.x, q.y, q.z, q.w, *_xyz(twist.linear), *_xyz(twist.angular)
    )  # fmt: skip


_READ: dict[str, Callable[[Any], tuple[float, ...]]] = {
    TRUTH: _truth,
    SETPOINT: lambda m: _xyz(m.points[0].transforms[0].translation),
    WIND: lambda m: _xyz(m.vector),
    ROTOR_SPEEDS: lambda m: tuple(m.velocity),
    COMMAND: lambda m: (m.twist.linear.z, *_xyz(m.twist.angular)),
    NEURONS: lambda m: tuple(m.data),
}


def _stamp(message: Any) -> int:
    """The message's stamp in ns; a labelled row has it in the label of its first axis."""
    if hasattr(message, "layout"):
        return int(message.layout.dim[0].label.split()[1])
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def _names(message: Any) -> tuple[str, ...]:
    """The names of a labelled row's values."""
    return tuple(message.layout.dim[1].label.split())


class _Recording:
    """The messages of a file by topic and stamp; of several with one stamp the first counts."""

    def __init__(self, path: Path):
        try:
            from mcap.exceptions import McapError
            from mcap.reader import make_reader
            from mcap_ros2.decoder import DecoderFactory
        except ModuleNotFoundError:
            raise missing_packages("ros", ["mcap-ros2-support"]) from None
        names = (*_READ, POLICY_US)
        self._rows: dict[str, dict[int, tuple[float, ...]]] = {name: {} for name in names}
        self._modes: dict[int, str] = {}
        self.neuron_names: tuple[str, ...] = ()
        self.late: list[int] = []  # a stamp for each step that began late
        self.controller: dict[str, str] = {}
        self.flight: dict[str, str] = {}
        try:
            with path.open("rb") as stream:
                reader = make_reader(stream, decoder_factories=[DecoderFactory()])
                for item in reader.iter_decoded_messages(_TOPICS, log_time_order=False):
                    self._take(item.channel.topic, item.decoded_message)
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
        except McapError as error:
            raise ConfigError(f"{path}: not a whole MCAP file: {error}") from None

    def _take(self, topic: str, message: Any) -> None:
        if topic == DIAGNOSTICS:
            self._take_diagnostics(message)
        elif topic == STEP:
            self._take_step(message)
        else:
            self._rows[topic].setdefault(_stamp(message), _READ[topic](message))
            if topic == NEURONS:
                self.neuron_names = _names(message)

    def _take_step(self, message: Any) -> None:
        stamp = _stamp(message)
        values = dict(zip(_names(message), message.data, strict=True))
        (modes,) = (name for name in values if name.startswith("mode:"))
        mode = modes.removeprefix("mode:").split("|")[int(values[modes])]
        self._modes.setdefault(stamp, mode)
        self._rows[POLICY_US].setdefault(stamp, (values["policy_us"],))
        if values["missed_ticks"]:
            self.late.append(stamp)

    def _take_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name.endswith("control loop"):
                self.controller = values
            elif status.name.endswith("flight"):
                self.flight = values

    def stamps(self) -> np.ndarray:
        """Of every step that the world sent, ns."""
        return np.array(sorted(self._rows[TRUTH]))

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


def read_flight(path: str | Path) -> FlightLog:
    """The flight that a recorder wrote, a row for each step that the world sent.

    Raises:
        ConfigError: for a file that can't be read, is not whole, or holds no flight.
    """
    path = Path(path)
    recording = _Recording(path)
    stamps = recording.stamps()
    if not len(stamps) or not recording.flight or not recording.controller:
        raise ConfigError(
            f"{path}: holds no flight: expected {TRUTH} and the status of simulator and "
            f"controller on {DIAGNOSTICS}"
        )
    steps = int(recording.flight["steps"])
    if recording.flight["state"] == "over" and len(stamps) != steps:
        raise ConfigError(f"{path}: holds {len(stamps)} of the {steps} steps of the flight")
    truth = recording.column(TRUTH, stamps, 13)
    pos, quat, vel_body, ang_vel = np.split(truth, (3, 7, 10), axis=1)
    neuron_names = recording.neuron_names
    mode = recording.modes(stamps)
    command = recording.held_column(COMMAND, stamps, 4)
    command[mode == "silent"] = np.nan
    flight, controller = recording.flight, recording.controller
    return FlightLog(
        time=stamps * 1e-9,
        pos_world=pos,
        quat_world_body=quat,
        vel_world=rotate(quat.T, vel_body.T).T,
        ang_vel_body=ang_vel,
        setpoint_pos_world=recording.column(SETPOINT, stamps, 3),
        wind_world=recording.column(WIND, stamps, 3),
        rotor_speed=recording.column(ROTOR_SPEEDS, stamps, 4),
        command=command,
        mode=mode,
        neurons=recording.held_column(NEURONS, stamps, len(neuron_names)),
        step_us=recording.column(POLICY_US, stamps, 1)[:, 0],
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
