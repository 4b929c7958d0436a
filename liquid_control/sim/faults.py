"""What goes wrong in a flight, and when: the ``faults`` of a world.

A fault acts from ``at`` until ``until`` (to the end where that is null). Faults of the vehicle
change its parameters, faults of a sensor change what is delivered, a gust adds to the wind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from liquid_control.config import StrictModel
from liquid_control.sim.quantities import Lag, Time, Velocity
from liquid_control.sim.wind.sources import Source
from liquid_control.structs import ImuSample, OdometrySample
from liquid_control.vehicles.quadrotor.params import QuadrotorParams

Bias = Annotated[float, Field(ge=-1000, le=1000)]
Sample = ImuSample | OdometrySample
QUANTITIES = {
    "imu": ("ang_vel_body", "specific_force_body"),
    "odometry": ("pos_world", "vel_body", "ang_vel_body"),
}


class _Fault(StrictModel):
    at: Time  # s
    until: Time | None = None  # s

    @model_validator(mode="after")
    def _in_order(self):
        if self.until is not None and self.until <= self.at:
            raise ValueError(f"until must come after at ({self.at:g} s), got {self.until:g} s")
        return self

    def active(self, time: float) -> bool:
        """True at ``time`` s, from ``at`` on and before ``until``."""
        return self.at <= time and (self.until is None or time < self.until)


class MotorFault(_Fault):
    """A rotor gives ``efficiency`` times its thrust and torque."""

    kind: Literal["motor"]
    rotor: Annotated[int, Field(ge=0, le=3)]
    efficiency: Annotated[float, Field(ge=0, le=1)]

    def apply(self, params: QuadrotorParams) -> QuadrotorParams:
        efficiency = list(params.efficiency)
        efficiency[self.rotor] *= self.efficiency
        return params._replace(efficiency=tuple(efficiency))


class MassFault(_Fault):
    """The mass is ``factor`` times what it was: a load picked up or dropped, at the centre."""

    kind: Literal["mass"]
    factor: Annotated[float, Field(ge=0.01, le=100)]

    def apply(self, params: QuadrotorParams) -> QuadrotorParams:
        return params._replace(mass=params.mass * self.factor)


class GustFault(_Fault):
    """A gust of a given velocity, there at once."""

    kind: Literal["gust"]
    velocity: Velocity  # m/s, world

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        still = (0.0, 0.0, 0.0)
        return Source(lambda time, pos: self.velocity if self.active(time) else still)


class SensorFault(_Fault):
    """A sensor that delivers nothing new, new stamps on the last values, or no numbers."""

    kind: Literal["sensor_dropout", "sensor_freeze", "sensor_nan"]
    sensor: Literal["imu", "odometry"]


class DelayFault(_Fault):
    """A sensor whose samples arrive ``seconds`` later."""

    kind: Literal["sensor_delay"]
    sensor: Literal["imu", "odometry"]
    seconds: Annotated[Lag, Field(gt=0)]  # s


class BiasFault(_Fault):
    """A jump of the bias of one quantity."""

    kind: Literal["sensor_bias"]
    sensor: Literal["imu", "odometry"]
    quantity: Literal["ang_vel_body", "specific_force_body", "pos_world", "vel_body"]
    offset: tuple[Bias, Bias, Bias]  # in the unit of the quantity

    @model_validator(mode="after")
    def _measured(self):
        if self.quantity not in QUANTITIES[self.sensor]:
            raise ValueError(
                f"quantity must be one of {', '.join(QUANTITIES[self.sensor])} for the "
                f"{self.sensor}, got {self.quantity!r}"
            )
        return self


FaultConfig = Annotated[
    MotorFault | MassFault | GustFault | SensorFault | DelayFault | BiasFault,
    Field(discriminator="kind"),
]


class FaultySensor:
    """What a sensor delivers, given what it measures; one for each sensor of a flight."""

    def __init__(self, sensor: str, faults: Sequence[FaultConfig]):
        self._faults = [fault for fault in faults if getattr(fault, "sensor", None) == sensor]
        self._quantities = QUANTITIES[sensor]
        self._delivered: Sample | None = None
        self._history: deque[tuple[float, Sample | None]] = deque()
        self._longest = max((getattr(f, "seconds", 0.0) for f in self._faults), default=0.0)

    def deliver(self, time: float, sample: Sample | None) -> Sample | None:
        """The newest sample that has been delivered at ``time`` s."""
        if self._longest:
            self._history.append((time, sample))
            while self._history[0][0] < time - self._longest - 1.0:
                self._history.popleft()
        for fault in self._faults:
            if sample is not None and fault.active(time):
                sample = self._disturbed(fault, time, sample)
        self._delivered = sample
        return sample

    def _disturbed(self, fault: FaultConfig, time: float, sample: Sample) -> Sample | None:
        if fault.kind == "sensor_dropout":
            return self._delivered
        if fault.kind == "sensor_freeze":
            frozen = self._delivered
            return None if frozen is None else replace(frozen, stamp=sample.stamp)
        if fault.kind == "sensor_nan":
            return replace(sample, **{name: np.full(3, np.nan) for name in self._quantities})
        if fault.kind == "sensor_delay":
            latest = time - fault.seconds + 1e-9
            return next((s for t, s in reversed(self._history) if t <= latest), None)
        value = getattr(sample, fault.quantity) + np.array(fault.offset)
        return replace(sample, **{fault.quantity: value})
