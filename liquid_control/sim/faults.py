"""What goes wrong in a flight, and when: the ``faults`` of a world.

A fault acts from ``at`` until ``until`` (to the end where that is null). What it acts on is told by
the method that it has: `VehicleFault.apply` changes parameters of the vehicle,
`AutopilotFault.tune` those of its autopilot, `ForceFault.push` pulls at it, `SensorFault.disturb`
changes what a sensor delivers, and `WindFault.build` adds to the wind, as a wind source does.
Another kind of fault is a class with one of them, registered in `FAULTS`. A number that is a
`quantities.Draw` may be left to the seed: what acts has been picked by `drawn_faults`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from pydantic import model_validator

from liquid_control.config import StrictModel
from liquid_control.frames import quat_from_rotation_vector, quat_multiply
from liquid_control.kinds import Kinds
from liquid_control.sim.quantities import (
    Charge,
    DrawnLag,
    SpeedDraw,
    StartTime,
    bounds,
    draw_all,
    drawn,
    key,
)
from liquid_control.sim.scenery.shifts import SHIFTS
from liquid_control.sim.wind.sources import Source
from liquid_control.structs import ImageSample, ImuSample, OdometrySample
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

Bias = drawn(-1000, 1000)
MassFactor = drawn(0.01, 100)
LagFactor = drawn(0, 100)
Pull = drawn(-1000, 1000)  # N
TiltError = drawn(-180, 180)  # degrees
SHORTEST_LAG = 1e-4  # s; a motor that follows within a physics step
Sample = ImuSample | OdometrySample | ImageSample
QUANTITIES = {
    "imu": ("ang_vel_body", "specific_force_body"),
    "odometry": ("pos_world", "vel_body", "ang_vel_body"),
}
FAULTS = Kinds("kind")
Sensor = Literal["imu", "odometry", "image"]
ImageShift = Literal[tuple(name for name in SHIFTS if name != "fog")]


class Delivery(NamedTuple):
    """A sensor at one moment, as a fault of it finds it."""

    time: float  # s
    sample: Sample  # what it measures
    last: Sample | None  # what was delivered before
    history: Sequence[tuple[float, Sample | None]]  # what it measured when, oldest first


class Fault(StrictModel):
    """When a fault acts; each kind adds what it does."""

    at: StartTime = key("begin", "s")
    until: StartTime | None = key("end; null for never", "s", default=None)

    @model_validator(mode="after")
    def _in_order(self):
        if self.until is not None:
            latest, earliest = bounds(self.at)[1], bounds(self.until)[0]
            if earliest <= latest:
                raise ValueError(f"until must come after at ({latest:g} s), got {earliest:g} s")
        return self

    def active(self, time: float) -> bool:
        """True at ``time`` s, from ``at`` on and before ``until``."""
        return self.at <= time and (self.until is None or time < self.until)


FaultConfig = Annotated[Fault, FAULTS]


@runtime_checkable
class VehicleFault(Protocol):
    """A fault that changes the parameters of the vehicle while it acts."""

    def apply(self, params: Any) -> Any:
        """The parameters as they are while the fault acts."""


@runtime_checkable
class AutopilotFault(Protocol):
    """A fault that changes the vehicle's autopilot while it acts."""

    def tune(self, loop: Any) -> Any:
        """What the autopilot knows, as it is while the fault acts."""


@runtime_checkable
class ForceFault(Protocol):
    """A fault that pulls at the centre of mass while it acts."""

    def push(self) -> tuple[float, float, float]:
        """The force in N, world frame."""


@runtime_checkable
class WindFault(Protocol):
    """A fault that adds to the wind."""

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        """Its wind in a flight of ``duration`` s."""


@runtime_checkable
class SensorFault(Protocol):
    """A fault that changes what the sensor delivers; `memory` s of history are kept for it."""

    sensor: str
    memory: float

    def disturb(self, now: Delivery) -> Sample | None:
        """What the sensor delivers in place of its newest sample; ``None`` for nothing new."""


@FAULTS.register
class MotorFault(Fault):
    """A rotor gives ``efficiency`` times its thrust and torque."""

    kind: Literal["motor"]
    rotor: int = key("index in the order of the vehicle file", ge=0, le=3)
    efficiency: Charge = key("1 for a healthy rotor")

    def apply(self, params: QuadrotorParams) -> QuadrotorParams:
        efficiency = list(params.efficiency)
        efficiency[self.rotor] *= self.efficiency
        return params._replace(efficiency=tuple(efficiency))


@FAULTS.register
class MassFault(Fault):
    """The mass is ``factor`` times what it was: a load picked up or dropped, at the centre."""

    kind: Literal["mass"]
    factor: MassFactor = key("of the mass")

    def apply(self, params: QuadrotorParams) -> QuadrotorParams:
        return params._replace(mass=params.mass * self.factor)


@FAULTS.register
class MotorLagFault(Fault):
    """The time constants of the motors are ``factor`` times what they were."""

    kind: Literal["motor_lag"]
    factor: LagFactor = key("of the time constants; 0 for motors without lag")

    def apply(self, params: QuadrotorParams) -> QuadrotorParams:
        up, down = params.time_constant_up, params.time_constant_down
        return params._replace(
            time_constant_up=max(up * self.factor, SHORTEST_LAG),
            time_constant_down=max(down * self.factor, SHORTEST_LAG),
        )


@FAULTS.register
class RateLoopFault(Fault):
    """The gains of the autopilot's rate loop are ``factor`` times what they were."""

    kind: Literal["rate_loop"]
    factor: MassFactor = key("of the gains")

    def tune(self, loop: RateLoopParams) -> RateLoopParams:
        return loop._replace(rate_gain=tuple(gain * self.factor for gain in loop.rate_gain))


@FAULTS.register
class ThrustFault(Fault):
    """The rotors have ``factor`` times the largest thrust; the autopilot knows it."""

    kind: Literal["max_thrust"]
    factor: MassFactor = key("of the largest thrust")

    def apply(self, params: QuadrotorParams) -> QuadrotorParams:
        return params._replace(max_speed=params.max_speed * self.factor**0.5)

    def tune(self, loop: RateLoopParams) -> RateLoopParams:
        return loop._replace(max_thrust=loop.max_thrust * self.factor)


@FAULTS.register
class ConstantForceFault(Fault):
    """A constant force at the centre of mass: a tether, a load that hangs askew."""

    kind: Literal["force"]
    force: tuple[Pull, Pull, Pull] = key("world", "N")

    def push(self) -> tuple[float, float, float]:
        return self.force


@FAULTS.register
class GustFault(Fault):
    """A gust of a given velocity, there at once."""

    kind: Literal["gust"]
    velocity: tuple[SpeedDraw, SpeedDraw, SpeedDraw] = key("added to the wind, world", "m/s")

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        still = (0.0, 0.0, 0.0)
        return Source(lambda time, pos: self.velocity if self.active(time) else still)


Quantity = Literal["ang_vel_body", "specific_force_body", "pos_world", "vel_body"]
_WHOSE = "`pos_world` and `vel_body` of the odometry, `specific_force_body` of the imu"


def _check_quantity(fault: Any) -> Any:
    known = QUANTITIES[fault.sensor]
    if fault.quantity not in known:
        raise ValueError(
            f"quantity must be one of {', '.join(known)} for the {fault.sensor}, got "
            f"{fault.quantity!r}"
        )
    return fault


class _SensorFault(Fault):
    sensor: Sensor = key("which one")

    @property
    def memory(self) -> float:
        return 0.0


@FAULTS.register
class DropoutFault(_SensorFault):
    """A sensor that delivers nothing new."""

    kind: Literal["sensor_dropout"]

    def disturb(self, now: Delivery) -> Sample | None:
        return now.last


@FAULTS.register
class FreezeFault(_SensorFault):
    """A sensor that delivers new stamps on the last values."""

    kind: Literal["sensor_freeze"]

    def disturb(self, now: Delivery) -> Sample | None:
        return None if now.last is None else replace(now.last, stamp=now.sample.stamp)


@FAULTS.register
class NanFault(_SensorFault):
    """A sensor that delivers no numbers."""

    kind: Literal["sensor_nan"]
    sensor: Literal["imu", "odometry"] = key("which one")

    def disturb(self, now: Delivery) -> Sample | None:
        return replace(now.sample, **{name: np.full(3, np.nan) for name in QUANTITIES[self.sensor]})


@FAULTS.register
class DelayFault(_SensorFault):
    """A sensor whose samples arrive ``seconds`` later."""

    kind: Literal["sensor_delay"]
    seconds: DrawnLag = key("how much later", "s")

    @property
    def memory(self) -> float:
        """Seconds of history that are kept for it."""
        return self.seconds

    def disturb(self, now: Delivery) -> Sample | None:
        latest = now.time - self.seconds + 1e-9
        return next((sample for time, sample in reversed(now.history) if time <= latest), None)


@FAULTS.register
class ZeroFault(_SensorFault):
    """A sensor that reads zero for one quantity, as a broken or unconfigured one does."""

    kind: Literal["sensor_zero"]
    sensor: Literal["imu", "odometry"] = key("which one")
    quantity: Quantity = key(f"which one; {_WHOSE}")

    _measured = model_validator(mode="after")(_check_quantity)

    def disturb(self, now: Delivery) -> Sample | None:
        return replace(now.sample, **{self.quantity: np.zeros(3)})


@FAULTS.register
class TiltFault(_SensorFault):
    """An attitude that is off by a constant rotation, as that of a sensor that is mounted askew."""

    kind: Literal["attitude_error"]
    sensor: Literal["odometry"] = key("which one", default="odometry")
    rotation_deg: tuple[TiltError, TiltError, TiltError] = key(
        "rotation vector in the body frame", "°"
    )

    def disturb(self, now: Delivery) -> Sample | None:
        turn = quat_from_rotation_vector(np.radians(self.rotation_deg))
        return replace(now.sample, quat_world_body=quat_multiply(now.sample.quat_world_body, turn))


@FAULTS.register
class BiasFault(_SensorFault):
    """A jump of the bias of one quantity."""

    kind: Literal["sensor_bias"]
    sensor: Literal["imu", "odometry"] = key("which one")
    quantity: Quantity = key(f"which one; {_WHOSE}")
    offset: tuple[Bias, Bias, Bias] = key("added, in the unit of the quantity")

    _measured = model_validator(mode="after")(_check_quantity)

    def disturb(self, now: Delivery) -> Sample | None:
        value = getattr(now.sample, self.quantity) + np.array(self.offset)
        return replace(now.sample, **{self.quantity: value})


@FAULTS.register
class BlankFault(_SensorFault):
    """A camera that delivers pictures of one grey."""

    kind: Literal["image_blank"]
    sensor: Literal["image"] = key("which one", default="image")
    level: int = key("of all pixels, 255 is white", default=0, ge=0, le=255)

    def disturb(self, now: Delivery) -> Sample | None:
        return replace(now.sample, rgb=np.full_like(now.sample.rgb, self.level))


@FAULTS.register
class ShiftFault(_SensorFault):
    """A camera whose pictures look otherwise: overexposed, dark, noisy, stained.

    Of `scenery.shifts`; how far things are is not known here, so that fog is not among them.
    """

    kind: Literal["image_shift"]
    sensor: Literal["image"] = key("which one", default="image")
    shift: ImageShift = key("which one")
    strength: Charge = key("of the shift")

    def disturb(self, now: Delivery) -> Sample | None:
        rgb, stamp = now.sample.rgb, now.sample.stamp
        # a picture that is delivered again looks the same, and a flight that is flown again too
        rng, depth = np.random.default_rng(stamp), np.ones((1, 1, 1), np.float32)
        changed = SHIFTS[self.shift](rgb[None].astype(np.float32), depth, self.strength, rng)
        return replace(now.sample, rgb=np.clip(changed[0], 0, 255).astype(np.uint8))


def drawn_faults(faults: Sequence[Fault], rng: np.random.Generator) -> tuple[Fault, ...]:
    """The faults of one flight, each picked from a stream of its own."""
    streams = rng.spawn(len(faults))
    return tuple(draw_all(fault, stream) for fault, stream in zip(faults, streams, strict=True))


class FaultySensor:
    """What a sensor delivers, given what it measures; one for each sensor of a flight."""

    def __init__(self, sensor: str, faults: Sequence[Fault]):
        self._faults = [f for f in faults if isinstance(f, SensorFault) and f.sensor == sensor]
        self._delivered: Sample | None = None
        self._history: deque[tuple[float, Sample | None]] = deque()
        self._memory = max((fault.memory for fault in self._faults), default=0.0)

    def deliver(self, time: float, sample: Sample | None) -> Sample | None:
        """The newest sample that has been delivered at ``time`` s."""
        if self._memory:
            self._history.append((time, sample))
            while self._history[0][0] < time - self._memory - 1.0:
                self._history.popleft()
        for fault in self._faults:
            if sample is not None and fault.active(time):
                sample = fault.disturb(Delivery(time, sample, self._delivered, self._history))
        self._delivered = sample
        return sample
