"""The nouns of the project: what flows from the sensors to the vehicle.

    SensorFrame, Setpoint -> observation (named slots) -> Command

SI units and radians. World ENU, body FLU, quaternions ``xyzw`` (body to world). Stamps are integer
nanoseconds of one clock, so that differences are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

GRAVITY = 9.80665  # m/s², standard gravity (CGPM 1901, resolution 2)


# Samples, readings and frames are made at every step, and to freeze one costs most of its making.


@dataclass(slots=True)
class ImuSample:
    """What a strap-down IMU measures; make one for each message or simulated step."""

    stamp: int  # ns
    ang_vel_body: np.ndarray  # (3,) rad/s
    specific_force_body: np.ndarray  # (3,) m/s²; (0, 0, +g) when level and at rest


@dataclass(slots=True)
class OdometrySample:
    """Pose and twist, as nav_msgs/Odometry carries them: the twist is in the body frame.

    Use it for any source of them: motion capture, an estimator, a simulator's truth.
    """

    stamp: int  # ns
    pos_world: np.ndarray  # (3,) m
    quat_world_body: np.ndarray  # (4,) xyzw, unit
    vel_body: np.ndarray  # (3,) m/s
    ang_vel_body: np.ndarray  # (3,) rad/s


@dataclass(slots=True)
class ImageSample:
    """A picture of the camera, in its optical frame: columns to the right, rows down."""

    stamp: int  # ns
    rgb: np.ndarray  # (height, width, 3) uint8
    # focal length x and y, principal point x and y from the top left corner, px; None: not told
    intrinsics: tuple[float, float, float, float] | None = None


@dataclass(slots=True)
class TruthSample:
    """What no sensor of a vehicle can tell: the true motion, and the wind at the vehicle.

    Only a simulated world has it. Tuples of floats of one vehicle, of a batch arrays
    ``(n, *batch)``.
    """

    stamp: int  # ns
    pos_world: Any  # (3) m
    quat_world_body: Any  # (4) xyzw, unit
    vel_world: Any  # (3) m/s
    ang_vel_body: Any  # (3) rad/s
    specific_force_body: Any  # (3) m/s², at the centre of mass, mean of the newest physics step
    wind_world: Any  # (3) m/s
    scene: Sequence[Any] = ()  # what stands in the world, as the seed drew it


TRUTH = "truth"  # name of the sensor that gives it


class Sample(Protocol):
    """What any sensor delivers: values of its own, and when they were true."""

    stamp: int  # ns


class OwnSample:
    """A sample of a sensor of your own that came over the wire: numbers by their names."""

    def __init__(self, stamp: int, values: Mapping[str, float]):
        self.__dict__.update(values)
        self.stamp = stamp


def field_names(sample: Sample) -> tuple[str, ...]:
    """The fields of a sample: a dataclass, a named tuple, or an `OwnSample`."""
    if is_dataclass(sample):
        return tuple(field.name for field in fields(sample))
    return tuple(getattr(sample, "_fields", vars(sample) if hasattr(sample, "__dict__") else ()))


S = TypeVar("S", bound=Sample)


@dataclass(slots=True)
class Reading(Generic[S]):
    """The newest sample of a sensor, and how old it is now.

    Use `SensorFrame.at` to make those of a frame from samples with stamps of one clock; make it by
    hand where ages are measured otherwise, as from the arrival of a message.
    """

    sample: S
    age: float  # s


@dataclass(slots=True)
class SensorFrame:
    """The newest reading of each sensor, ``None`` where none has come yet: what a loop steps on.

    ``others`` holds sensors that a vehicle has besides, by name. ``armed`` is False while commands
    don't act, as on the ground with the motors off: then no policy is stepped.
    """

    imu: Reading[ImuSample] | None = None
    odometry: Reading[OdometrySample] | None = None
    image: Reading[ImageSample] | None = None
    others: Mapping[str, Reading] = field(default_factory=dict)
    armed: bool = True

    @classmethod
    def at(
        cls,
        now: int,
        /,  # so that a sensor may have any name
        imu: ImuSample | None = None,
        odometry: OdometrySample | None = None,
        image: ImageSample | None = None,
        **others: Sample | None,
    ) -> SensorFrame:
        """The frame of these samples at ``now``, ns on the clock of the stamps."""
        return cls(
            None if imu is None else Reading(imu, (now - imu.stamp) / 1e9),
            None if odometry is None else Reading(odometry, (now - odometry.stamp) / 1e9),
            None if image is None else Reading(image, (now - image.stamp) / 1e9),
            {name: Reading(s, (now - s.stamp) / 1e9) for name, s in others.items() if s is not None}
            if others
            else {},
        )

    def reading(self, sensor: str) -> Reading | None:
        """The reading of a sensor by its name: ``imu``, ``odometry``, ``image`` or another."""
        return getattr(self, sensor) if sensor in NAMED_SENSORS else self.others.get(sensor)


NAMED_SENSORS = ("imu", "odometry", "image")  # fields of a SensorFrame


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Where the vehicle should be now, with feed-forward.

    A position alone is enough to hover; give velocity and acceleration where a path is followed.
    """

    pos_world: np.ndarray  # (3,) m
    vel_world: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,) m/s
    acc_world: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,) m/s²
    yaw: float = 0.0  # rad from East, counter-clockwise


@dataclass(frozen=True, slots=True)
class Slot:
    """One named part of a vector."""

    name: str
    size: int
    unit: str
    frame: str  # "world", "body", "heading" (level, turned with the vehicle) or "none"


@dataclass(frozen=True)
class Layout:
    """A vector as an ordered row of named slots.

    ``layout["vel_error"]`` is the slice of that slot; ``layout.size`` the length of the vector,
    ``layout.names`` the slot names in order.
    """

    slots: tuple[Slot, ...]

    def __post_init__(self):
        names = tuple(slot.name for slot in self.slots)
        if len(set(names)) != len(names):
            raise ValueError(f"slot names must differ, got {list(names)}")
        slices, start = {}, 0
        for slot in self.slots:
            slices[slot.name] = slice(start, start + slot.size)
            start += slot.size
        object.__setattr__(self, "_slices", slices)
        object.__setattr__(self, "size", start)
        object.__setattr__(self, "names", names)

    def __getitem__(self, name: str) -> slice:
        return self._slices[name]

    @property
    def component_names(self) -> tuple[str, ...]:
        """One name per component: ``pos_error.x``; a slot of size 1 keeps its own name."""
        axes = "xyzw"
        return tuple(
            slot.name if slot.size == 1 else f"{slot.name}.{axes[i] if slot.size <= 4 else i}"
            for slot in self.slots
            for i in range(slot.size)
        )


_TWIST = {f"{vector}.{axis}" for vector in ("linear", "angular") for axis in "xyz"}


@dataclass(frozen=True)
class CommandKind:
    """What a vehicle can be told: the one place that says what a command of this kind holds.

    Attributes:
        name: of the kind, and of its topic ``cmd/<name>``.
        layout: slots of the values, SI units.
        neutral: the values that ask for nothing: hover, stand still.
        twist: the field of a ``geometry_msgs/Twist`` that carries each value; none for a kind
            that no topic carries.
    """

    name: str
    layout: Layout
    neutral: tuple[float, ...]
    twist: tuple[str, ...] = ()

    def __post_init__(self):
        size = self.layout.size
        if len(self.neutral) != size:
            raise ValueError(
                f"command kind {self.name!r}: expected {size} neutral values, got "
                f"{len(self.neutral)}"
            )
        if self.twist and not len({*self.twist} & _TWIST) == len(self.twist) == size:
            raise ValueError(
                f"command kind {self.name!r}: twist: expected {size} different ones of "
                f"{', '.join(sorted(_TWIST))}, got {', '.join(self.twist)}"
            )

    def command(self, *values: float) -> Command:
        """A command of this kind."""
        return Command(self, values)


@dataclass(frozen=True, slots=True)
class Command:
    """What a vehicle is told; ``command["thrust"]`` are the values of that slot.

    A `ControlLoop` gives one for each step; send it, or turn it into what your vehicle takes.
    """

    kind: CommandKind
    values: tuple[float, ...]  # in the order of ``kind.layout``, SI units

    def __getitem__(self, slot: str) -> tuple[float, ...]:
        return self.values[self.kind.layout[slot]]


RATES_THRUST = CommandKind(
    "rates_thrust",
    Layout((Slot("thrust", 1, "m/s^2", "body"), Slot("ang_vel", 3, "rad/s", "body"))),
    neutral=(GRAVITY, 0.0, 0.0, 0.0),  # collective thrust / mass along body z, body rates
    twist=("linear.z", "angular.x", "angular.y", "angular.z"),
)
VELOCITY = CommandKind(
    "velocity",
    Layout((Slot("velocity", 3, "m/s", "heading"), Slot("yaw_rate", 1, "rad/s", "heading"))),
    neutral=(0.0, 0.0, 0.0, 0.0),  # brake and hover
    twist=("linear.x", "linear.y", "linear.z", "angular.z"),
)
STEERING = CommandKind(
    "steering",
    Layout((Slot("speed", 1, "m/s", "body"), Slot("yaw_rate", 1, "rad/s", "body"))),
    neutral=(0.0, 0.0),  # stand still
    twist=("linear.x", "angular.z"),
)
COMMAND_KINDS: dict[str, CommandKind] = {
    kind.name: kind for kind in (RATES_THRUST, VELOCITY, STEERING)
}


def register_command(kind: CommandKind) -> CommandKind:
    """Make a kind known by its name, to policy files and recordings."""
    if COMMAND_KINDS.setdefault(kind.name, kind) != kind:
        raise ValueError(f"command kind {kind.name!r} is another one already")
    return kind
