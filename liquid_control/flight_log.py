"""One flight as columns, a row per control step: simulated, recorded over ROS 2, or real.

A rollout, a lockstep flight and a recording of a vehicle end in this form; metrics, views and
whoever identifies a vehicle start from it. N steps, M neurons, c values of a command, k actuators.
What was not measured is NaN; what a flight can't have (truth and wind of a real one) is ``None``.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.frames import rotate
from liquid_control.structs import COMMAND_KINDS, CommandKind, ImageSample

_WIDEST = 160  # px that a picture is kept with, where its sides divide so; a view shows no more


@dataclass(frozen=True)
class States:
    """Motion of the body over time."""

    pos_world: np.ndarray  # (N, 3) m
    quat_world_body: np.ndarray  # (N, 4) xyzw
    vel_world: np.ndarray  # (N, 3) m/s
    ang_vel_body: np.ndarray  # (N, 3) rad/s

    @classmethod
    def from_odometry(cls, rows: np.ndarray) -> States:
        """Of rows ``(N, 13)``: position, quaternion, velocity and rates, both in the body frame."""
        pos, quat, vel_body, ang_vel = np.split(rows, (3, 7, 10), axis=1)
        return cls(pos, quat, rotate(quat.T, vel_body.T).T, ang_vel)


@dataclass(frozen=True)
class ImuColumns:
    """What the IMU measured."""

    ang_vel_body: np.ndarray  # (N, 3) rad/s
    specific_force_body: np.ndarray  # (N, 3) m/s²


@dataclass(frozen=True)
class Images:
    """What the camera saw, n pictures; each counts from its stamp on."""

    time: np.ndarray  # (n,) s since the start of the flight, of the stamps
    rgb: np.ndarray  # (n, height, width, 3) uint8
    intrinsics: np.ndarray  # (4,) focal length x, y, principal point x, y, px; NaN: not told

    @classmethod
    def of(cls, samples: Sequence[ImageSample], begin: int = 0) -> Images | None:
        """Of pictures of one size, by rising stamps; ``begin``: stamp of the flight's start, ns.

        ``None`` where nothing was seen.
        """
        if not samples:
            return None
        told = samples[-1].intrinsics
        return cls(
            np.array([(sample.stamp - begin) * 1e-9 for sample in samples]),
            np.stack([sample.rgb for sample in samples]),
            np.full(4, np.nan) if told is None else np.array(told, float),
        )

    def newest(self, time: np.ndarray | float) -> np.ndarray:
        """The index of the newest picture at each time in s; -1 before the first."""
        return np.searchsorted(self.time, np.asarray(time) + 1e-9, side="right") - 1

    def sample(self, k: int) -> ImageSample:
        """Picture ``k`` as the camera gave it."""
        told = self.intrinsics
        intrinsics = tuple(told.tolist()) if np.isfinite(told).all() else None
        return ImageSample(round(self.time[k] * 1e9), self.rgb[k], intrinsics)


def reduced(sample: ImageSample) -> ImageSample:
    """The picture as a log keeps it: averaged to at most 160 columns where its sides divide so."""
    height, width, _ = sample.rgb.shape
    steps = range(max(1, -(-width // _WIDEST)), min(height, width) + 1)
    step = next((step for step in steps if height % step == 0 == width % step), 1)
    if step == 1:
        return sample
    blocks = sample.rgb.reshape(height // step, step, width // step, step, 3)
    told = sample.intrinsics
    return ImageSample(
        sample.stamp,
        np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8),
        None if told is None else tuple(value / step for value in told),
    )


@dataclass(frozen=True)
class FlightLog:
    """One flight as columns: use it to plot, to measure, or to identify a vehicle.

    Attributes:
        truth: where the vehicle was; ``None`` where nobody knows, as in a real flight.
        estimate: the newest odometry that the loop had at each step, held from one to the next.
        imu: the newest sample of the IMU that the loop had.
        command: as sent, in the order of ``kind.layout``; NaN where nothing was sent.
        mode: the supervisor's Mode.
        step_us: latency of the policy; NaN where it did not run.
        world: "" for a flight in no simulated one.
        late_ticks: control steps that began later than their deadline.
    """

    time: np.ndarray  # (N,) s since the start
    truth: States | None
    estimate: States
    imu: ImuColumns
    setpoint_pos_world: np.ndarray  # (N, 3) m
    wind_world: np.ndarray | None  # (N, 3) m/s
    command: np.ndarray  # (N, c)
    kind: CommandKind
    actuators: np.ndarray  # (N, k), in the units that the names say
    actuator_names: tuple[str, ...]  # "rotor0 rad/s"
    mode: np.ndarray  # (N,) str
    neurons: np.ndarray  # (N, M) state of the network
    neuron_names: tuple[str, ...]
    step_us: np.ndarray  # (N,) µs
    world: str
    policy: str
    vehicle: str
    seed: int | None
    control_rate: float  # Hz
    crashed: bool
    crash_reason: str  # "" if none
    late_ticks: int
    fault: str = ""  # why the policy gave up the vehicle, the first time; "" if it never did
    images: Images | None = None  # where they were kept

    @property
    def motion(self) -> States:
        """The best that is known of the motion: the truth, else the estimate."""
        return self.estimate if self.truth is None else self.truth

    def save(self, path: str | Path) -> Path:
        """Write one ``.npz`` file of plain arrays, which `load` and NumPy alone can read."""
        path = Path(path)
        columns: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, States | ImuColumns | Images):
                columns |= {f"{field.name}.{k}": column for k, column in vars(value).items()}
            elif isinstance(value, CommandKind):
                columns[field.name] = value.name
            elif value is not None:
                columns[field.name] = np.array(value, str) if isinstance(value, tuple) else value
        with path.open("wb") as file:
            np.savez_compressed(file, **columns)
        return path

    @classmethod
    def load(cls, path: str | Path, *, kind: CommandKind | None = None) -> FlightLog:
        """The log that `save` wrote; nothing is unpickled.

        Args:
            kind: of its commands; default: the one of that name which is known by now.

        Raises:
            ConfigError: for a file that is none, for columns that don't fit each other, and for an
                unknown kind of command.
        """
        found = _read_arrays(Path(path))
        groups: dict[str, dict[str, np.ndarray]] = {}
        values: dict[str, Any] = {"truth": None, "wind_world": None, "seed": None}
        for name, array in found.items():
            group, dot, column = name.partition(".")
            if dot:
                groups.setdefault(group, {})[column] = array
            else:
                values[name] = array if array.ndim else array.item()
        try:
            values["kind"] = command_kind(values["kind"], path, kind)
            for name in ("actuator_names", "neuron_names"):
                values[name] = tuple(values[name].tolist())
            for name, columns in groups.items():
                values[name] = _GROUPS.get(name, States)(**columns)
            log = cls(**values)
            log._check_shapes()
        except ConfigError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(f"{path}: not a saved flight: {error}") from None
        return log

    def _check_shapes(self) -> None:
        """ValueError for a column that has not a row per step, or not the width of its names."""
        columns = {
            **{name: (getattr(self, name), ()) for name in ("time", "mode", "step_us")},
            "setpoint_pos_world": (self.setpoint_pos_world, (3,)),
            "wind_world": (self.wind_world, (3,)),
            "command": (self.command, (self.kind.layout.size,)),
            "actuators": (self.actuators, (len(self.actuator_names),)),
            "neurons": (self.neurons, (len(self.neuron_names),)),
        }
        groups = {"truth": self.truth, "estimate": self.estimate, "imu": self.imu}
        for group, parts in groups.items():
            for name, column in vars(parts).items() if parts else ():
                columns[f"{group}.{name}"] = column, (4,) if name == "quat_world_body" else (3,)
        for name, (column, width) in columns.items():
            expected = (*np.shape(self.time)[:1], *width)
            if column is not None and np.shape(column) != expected:
                raise ValueError(f"{name}: expected shape {expected}, got {np.shape(column)}")
        if self.images is not None:
            self._check_images(self.images)

    @staticmethod
    def _check_images(images: Images) -> None:
        shape, pictures = np.shape(images.rgb), len(images.time)
        if len(shape) != 4 or (shape[0], shape[3]) != (pictures, 3) or images.rgb.dtype != np.uint8:
            raise ValueError(
                f"images.rgb: expected ({pictures}, height, width, 3) uint8, got {shape} "
                f"{images.rgb.dtype}"
            )
        if np.shape(images.intrinsics) != (4,):
            raise ValueError(f"images.intrinsics: expected 4, got {np.shape(images.intrinsics)}")


_GROUPS = {"imu": ImuColumns, "images": Images}  # of columns, but those of motion


def command_kind(name: str, path: str | Path, given: CommandKind | None = None) -> CommandKind:
    """The kind of command of a recorded flight, by its name or as it is given.

    Raises:
        ConfigError: for a name that nobody registered, and for another name than the given one's.
    """
    if given is not None and given.name == name:
        return given
    if given is not None:
        raise ConfigError(f"{path}: holds commands of kind {name!r}, not {given.name!r}")
    if name not in COMMAND_KINDS:
        raise ConfigError(
            f"{path}: unknown kind of command {name!r}, expected one of {sorted(COMMAND_KINDS)}; "
            "load the vehicle's file first (load_vehicle), which makes its kind known, or pass kind"
        )
    return COMMAND_KINDS[name]


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise ValueError("no whole .npz file")
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path}: not a saved flight: {error}") from None
