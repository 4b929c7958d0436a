"""The nouns of the project: what flows from the sensors to the vehicle.

    SensorFrame, Setpoint -> observation (named slots) -> Command

SI units and radians. World ENU, body FLU, quaternions ``xyzw`` (body to world). Stamps are integer
nanoseconds of one clock, so that differences are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

GRAVITY = 9.80665  # m/s², standard gravity (CGPM 1901, resolution 2)


@dataclass(frozen=True, slots=True)
class ImuSample:
    """What a strap-down IMU measures."""

    stamp: int  # ns
    ang_vel_body: np.ndarray  # (3,) rad/s
    specific_force_body: np.ndarray  # (3,) m/s²; (0, 0, +g) when level and at rest


@dataclass(frozen=True, slots=True)
class OdometrySample:
    """Pose and twist, as nav_msgs/Odometry carries them: the twist is in the body frame."""

    stamp: int  # ns
    pos_world: np.ndarray  # (3,) m
    quat_world_body: np.ndarray  # (4,) xyzw, unit
    vel_body: np.ndarray  # (3,) m/s
    ang_vel_body: np.ndarray  # (3,) rad/s


@dataclass(frozen=True, slots=True)
class SensorFrame:
    """The newest sample of each sensor, ``None`` where none has come yet, and its age now."""

    imu: ImuSample | None
    odometry: OdometrySample | None
    imu_age: float = 0.0  # s
    odometry_age: float = 0.0  # s

    @classmethod
    def at(cls, now: int, imu: ImuSample | None, odometry: OdometrySample | None) -> SensorFrame:
        """The frame at ``now``, ns on the clock of the stamps."""
        return cls(
            imu,
            odometry,
            0.0 if imu is None else (now - imu.stamp) / 1e9,
            0.0 if odometry is None else (now - odometry.stamp) / 1e9,
        )


@dataclass(frozen=True, slots=True)
class Setpoint:
    """Where the vehicle should be now, with feed-forward."""

    pos_world: np.ndarray  # (3,) m
    vel_world: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,) m/s
    acc_world: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,) m/s²
    yaw: float = 0.0  # rad from East, counter-clockwise


@dataclass(frozen=True, slots=True)
class Command:
    """Collective thrust and body rates, the input of a rate-controlled vehicle."""

    thrust: float  # m/s², collective thrust / mass along body z
    ang_vel_body: np.ndarray  # (3,) rad/s


@dataclass(frozen=True, slots=True)
class Slot:
    """One named part of a vector."""

    name: str
    size: int
    unit: str
    frame: str  # "world", "body" or "none"


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


COMMAND_LAYOUT = Layout((Slot("thrust", 1, "m/s^2", "body"), Slot("ang_vel", 3, "rad/s", "body")))


@dataclass(frozen=True)
class FlightLog:
    """One flight, a row per control step: N steps, M neurons.

    Simulated and recorded flights end in this form; metrics and reports start from it.
    """

    time: np.ndarray  # (N,) s since the start
    pos_world: np.ndarray  # (N, 3) m, true
    quat_world_body: np.ndarray  # (N, 4) xyzw, true
    vel_world: np.ndarray  # (N, 3) m/s, true
    ang_vel_body: np.ndarray  # (N, 3) rad/s, true
    setpoint_pos_world: np.ndarray  # (N, 3) m
    wind_world: np.ndarray  # (N, 3) m/s
    rotor_speed: np.ndarray  # (N, 4) rad/s
    command: np.ndarray  # (N, 4), COMMAND_LAYOUT; as sent, NaN where nothing was sent
    mode: np.ndarray  # (N,) str, the supervisor's Mode
    neurons: np.ndarray  # (N, M) state of the network
    step_us: np.ndarray  # (N,) policy latency, µs; NaN where the policy did not run
    neuron_names: tuple[str, ...]
    world: str
    policy: str
    vehicle: str
    seed: int
    control_rate: float  # Hz
    crashed: bool
    crash_reason: str  # "" if none
    late_ticks: int  # control steps that began later than their deadline
