"""Wind sources of a world: their YAML, what a seed picks of them, and their velocity in flight.

A world lists sources; the wind is their sum. Velocities are in the world frame (ENU), m/s.
Directions are where the air moves *to*: ``toward_deg: 90`` blows north, ``-90`` is a north wind.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from liquid_control.config import NonNegativeFloat, PositiveFloat, StrictModel
from liquid_control.sim import wind

MIN_AIRSPEED = 1.0  # m/s; at rest in still air the frozen field would never pass
AIRSPEED_RESOLUTION = 0.05  # share by which it may change before the filters are made anew
NOISE_BLOCK = 256  # steps of noise drawn at once

Vector = tuple[float, float, float]


class Uniform(StrictModel):
    """A number that the seed picks, uniform between two bounds."""

    uniform: tuple[float, float]

    @model_validator(mode="after")
    def _check(self):
        if self.uniform[0] > self.uniform[1]:
            raise ValueError(f"expected [low, high], got {list(self.uniform)}")
        return self


Draw = float | Uniform


def draw(value: Draw, rng: np.random.Generator) -> float:
    """The number itself, or one picked by ``rng``."""
    return float(rng.uniform(*value.uniform)) if isinstance(value, Uniform) else value


def direction(toward_deg: float, upward_deg: float = 0.0) -> Vector:
    """Unit vector of a heading (from East, counter-clockwise) and elevation."""
    heading, up = math.radians(toward_deg), math.radians(upward_deg)
    return math.cos(heading) * math.cos(up), math.sin(heading) * math.cos(up), math.sin(up)


class SteadyConfig(StrictModel):
    """Steady wind."""

    kind: Literal["steady"]
    speed: Draw  # m/s
    toward_deg: Draw

    def build(self, rng: np.random.Generator, duration: float) -> Steady:
        speed, heading = draw(self.speed, rng), draw(self.toward_deg, rng)
        return Steady(tuple(speed * c for c in direction(heading)))


class Steady:
    """A constant velocity."""

    def __init__(self, velocity: Vector):
        self.mean = velocity

    def begin(self, pos: Vector, airspeed: float, dt: float) -> None:
        pass

    def velocity(self, time: float, pos: Vector) -> Vector:
        return self.mean


class TurbulenceConfig(StrictModel):
    """Dryden turbulence of a given strength and scale; `dryden` derives both from a standard."""

    kind: Literal["turbulence"]
    sigma: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat]  # m/s, axes u, v, w
    length: tuple[PositiveFloat, PositiveFloat, PositiveFloat]  # m

    def build(self, rng: np.random.Generator, duration: float) -> TurbulenceSource:
        return TurbulenceSource(self.sigma, self.length, rng)


class TurbulenceSource:
    """Dryden filters stepped with the physics; time scales follow the airspeed."""

    mean = (0.0, 0.0, 0.0)

    def __init__(self, sigma: Vector, length: Vector, rng: np.random.Generator):
        self._sigma, self._length, self._rng = sigma, length, rng
        self._states = wind.turbulence_start(rng.standard_normal(wind.NOISE_SIZE).tolist())
        self._noise = iter(())
        self._airspeed = 0.0
        self._turbulence = None
        self.axis_u = (1.0, 0.0)

    def begin(self, pos: Vector, airspeed: float, dt: float) -> None:
        airspeed = max(airspeed, MIN_AIRSPEED)
        if abs(airspeed - self._airspeed) < AIRSPEED_RESOLUTION * self._airspeed:
            return
        self._airspeed = airspeed
        scales = tuple(length / airspeed for length in self._length)
        self._turbulence = wind.turbulence_coefficients(self._sigma, scales, dt)

    def velocity(self, time: float, pos: Vector) -> Vector:
        noise = next(self._noise, None)
        if noise is None:
            block = self._rng.standard_normal((NOISE_BLOCK, wind.NOISE_SIZE))
            self._noise = iter(block.tolist())
            noise = next(self._noise)
        self._states, (u, v, w) = wind.turbulence_step(self._states, noise, self._turbulence)
        cx, cy = self.axis_u
        return cx * u - cy * v, cy * u + cx * v, w


class CosineGustsConfig(StrictModel):
    """1-cosine gusts at times that the seed picks, ``mean_interval`` apart on average."""

    kind: Literal["gust_1_cosine"]
    amplitude: Draw  # m/s
    toward_deg: Draw
    upward_deg: Draw
    rise_time: Draw  # s
    hold_time: Draw  # s
    first: Draw  # s, start of the first gust
    mean_interval: PositiveFloat | None  # s; None for one gust only

    def build(self, rng: np.random.Generator, duration: float) -> CosineGusts:
        gusts, start = [], draw(self.first, rng)
        while start < duration:
            toward = direction(draw(self.toward_deg, rng), draw(self.upward_deg, rng))
            amplitude = draw(self.amplitude, rng)
            rise, hold = draw(self.rise_time, rng), draw(self.hold_time, rng)
            gusts.append((start, rise, hold, tuple(amplitude * c for c in toward)))
            if self.mean_interval is None:
                break
            start += float(rng.exponential(self.mean_interval))
        return CosineGusts(gusts)


class CosineGusts:
    """Discrete gusts ``(start, rise, hold, amplitude)``; they may overlap."""

    mean = (0.0, 0.0, 0.0)

    def __init__(self, gusts: list[tuple[float, float, float, Vector]]):
        self._gusts = gusts

    def begin(self, pos: Vector, airspeed: float, dt: float) -> None:
        pass

    def velocity(self, time: float, pos: Vector) -> Vector:
        x = y = z = 0.0
        for start, rise, hold, (gx, gy, gz) in self._gusts:
            if start < time < start + 2 * rise + hold:
                share = float(wind.one_minus_cosine(time - start, rise, hold))
                x, y, z = x + share * gx, y + share * gy, z + share * gz
        return x, y, z


WindSourceConfig = Annotated[
    SteadyConfig | TurbulenceConfig | CosineGustsConfig, Field(discriminator="kind")
]


class Wind:
    """Sum of the sources of a world, for one flight.

    Each source draws from its own stream, so that adding one does not change the others. Call
    `begin` once per control period, then `velocity` once per physics step.
    """

    def __init__(self, configs, rng: np.random.Generator, duration: float, dt: float):
        streams = rng.spawn(len(configs))
        self._sources = [c.build(s, duration) for c, s in zip(configs, streams, strict=True)]
        self._dt = dt
        mean = [sum(source.mean[i] for source in self._sources) for i in range(3)]
        self.mean = tuple(mean)
        horizontal = math.hypot(mean[0], mean[1])
        if horizontal > 0:
            for source in self._sources:
                if isinstance(source, TurbulenceSource):
                    source.axis_u = (mean[0] / horizontal, mean[1] / horizontal)

    def begin(self, pos: Vector, vel: Vector) -> None:
        """Adapt to position and velocity (world frame) of the vehicle for the next steps."""
        mx, my, mz = self.mean
        vx, vy, vz = vel
        airspeed = math.sqrt((vx - mx) ** 2 + (vy - my) ** 2 + (vz - mz) ** 2)
        for source in self._sources:
            source.begin(pos, airspeed, self._dt)

    def velocity(self, time: float, pos: Vector) -> Vector:
        """Wind at ``time`` s and ``pos``; advances the turbulence by one physics step."""
        x = y = z = 0.0
        for source in self._sources:
            sx, sy, sz = source.velocity(time, pos)
            x, y, z = x + sx, y + sy, z + sz
        return x, y, z
