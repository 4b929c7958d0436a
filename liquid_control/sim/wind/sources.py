"""Wind sources that are functions of time and place: steady, gusts, recordings, a fan.

Each has its YAML and `build`, which lets the seed pick what is left open and returns a `Source`;
another one is a class like these, registered in `WIND_SOURCES`.
Velocities are in the world frame (ENU), m/s. Directions are where the air moves *to*:
``toward_deg: 90`` blows north, ``-90`` is a north wind.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import Field, field_validator, model_validator

from liquid_control.config import ConfigError, StrictModel, find_file
from liquid_control.kinds import Kinds
from liquid_control.sim.quantities import (
    MAX_SPEED,
    Angle,
    Elevation,
    Heading,
    HoldTime,
    Length,
    OutletSpeed,
    Position,
    RiseTime,
    SpeedDraw,
    StartTime,
    draw,
    key,
)
from liquid_control.sim.wind import formulas

Vector = tuple[float, float, float]
WIND_SOURCES = Kinds("kind")
_STILL = (0.0, 0.0, 0.0)


def direction(toward_deg: float, upward_deg: float = 0.0) -> Vector:
    """Unit vector of a heading (from East, counter-clockwise) and elevation."""
    heading, up = math.radians(toward_deg), math.radians(upward_deg)
    return math.cos(heading) * math.cos(up), math.sin(heading) * math.cos(up), math.sin(up)


def scaled(factor: float, v: Vector) -> Vector:
    """The vector times a factor."""
    return factor * v[0], factor * v[1], factor * v[2]


class Flow(NamedTuple):
    """What a source is told once per control period."""

    pos_world: Vector  # m, of the vehicle
    airspeed: float  # m/s, of the vehicle through the mean wind
    axis_u: tuple[float, float]  # unit, horizontal direction of the mean wind
    dt: float  # s, physics step
    steps: int  # physics steps to come before the next call


class Source(NamedTuple):
    """One wind of one flight."""

    # of time (s) and position, called once per physics step; None where it is the mean always
    velocity: Callable[[float, Vector], Vector] | None
    mean: Vector = (0.0, 0.0, 0.0)
    begin: Callable[[Flow], None] | None = None  # called before the steps of a control period


class WindSource(Protocol):
    """What a kind of wind source must give; ``duration`` of the flight in s."""

    def build(self, rng: np.random.Generator, duration: float) -> Source: ...


class ShearConfig(StrictModel):
    """Logarithmic profile over the ground (MIL-F-8785C, 3.7.3.2): ln(z/z0) / ln(z_ref/z0)."""

    roughness: Length = key("z0; the standard has 0.15 ft near terminals, 2 ft elsewhere", "m")
    reference_height: Length = key("where the wind has its nominal speed; 20 ft there", "m")

    @model_validator(mode="after")
    def _in_order(self):
        if self.reference_height <= self.roughness:
            raise ValueError(
                f"reference_height must be above roughness ({self.roughness:g} m), got "
                f"{self.reference_height:g} m"
            )
        return self

    def share(self, height: float) -> float:
        """Wind at ``height`` m over its nominal speed; zero at the roughness height."""
        height = max(height, self.roughness)
        return math.log(height / self.roughness) / math.log(self.reference_height / self.roughness)


@WIND_SOURCES.register
class SteadyConfig(StrictModel):
    """Steady wind, with an optional profile over height."""

    kind: Literal["steady"]
    speed: SpeedDraw = key("of the air", "m/s")
    toward_deg: Heading = key("where it blows to, from East counter-clockwise", "°")
    shear: ShearConfig | None = key("profile over height; null for none", default=None)

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        velocity = scaled(draw(self.speed, rng), direction(draw(self.toward_deg, rng)))
        shear = self.shear
        if shear is None:
            return Source(None, velocity)
        return Source(lambda time, pos: scaled(shear.share(pos[2]), velocity), velocity)


@WIND_SOURCES.register
class CosineGustsConfig(StrictModel):
    """1-cosine gusts at times that the seed picks, ``mean_interval`` apart on average."""

    kind: Literal["gust_1_cosine"]
    amplitude: SpeedDraw = key("added to the wind at the top of a gust", "m/s")
    toward_deg: Heading = key("where a gust blows to", "°")
    upward_deg: Elevation = key("how far it blows upward", "°", default=0.0)
    rise_time: RiseTime = key("from still to the top, and from there to still", "s")
    hold_time: HoldTime = key("at the top", "s", default=0.0)
    first: StartTime = key("start of the first gust", "s")
    mean_interval: Annotated[float, Field(ge=0.1)] | None = key(
        "mean time between the starts of gusts; null for one gust only", "s", default=None
    )
    reverses: bool = key("each is followed at once by its like the other way", default=False)

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        gusts, start = [], draw(self.first, rng)
        while start < duration:
            toward = direction(draw(self.toward_deg, rng), draw(self.upward_deg, rng))
            amplitude = scaled(draw(self.amplitude, rng), toward)
            rise, hold = draw(self.rise_time, rng), draw(self.hold_time, rng)
            end = start + 2 * rise + hold
            gusts.append((start, end, rise, hold, amplitude))
            if self.reverses:
                gusts.append((end, 2 * end - start, rise, hold, scaled(-1.0, amplitude)))
            if self.mean_interval is None:
                break
            start += float(rng.exponential(self.mean_interval))

        still = (0.0, 0.0)  # s, a time without a gust

        def velocity(time: float, pos: Vector) -> Vector:
            nonlocal still
            if still[0] <= time <= still[1]:
                return _STILL
            x = y = z = 0.0
            coming = math.inf
            for start, end, rise, hold, (gx, gy, gz) in gusts:
                if start < time < end:
                    share = formulas.one_minus_cosine(time - start, rise, hold)
                    x, y, z = x + share * gx, y + share * gy, z + share * gz
                    coming = -math.inf
                elif start >= time:
                    coming = min(coming, start)
            still = (time, coming)
            return x, y, z

        return Source(velocity)


@WIND_SOURCES.register
class StepGustConfig(StrictModel):
    """A gust that is there at once and gone at once."""

    kind: Literal["gust_step"]
    amplitude: SpeedDraw = key("added to the wind", "m/s")
    toward_deg: Heading = key("where the gust blows to", "°")
    upward_deg: Elevation = key("how far it blows upward", "°", default=0.0)
    start: StartTime = key("when it is there", "s")
    length: HoldTime = key("how long it lasts", "s")
    reverses: bool = key("followed at once by its like the other way", default=False)

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        toward = direction(draw(self.toward_deg, rng), draw(self.upward_deg, rng))
        amplitude = scaled(draw(self.amplitude, rng), toward)
        start = draw(self.start, rng)
        length = draw(self.length, rng)
        end, back = start + length, scaled(-1.0, amplitude)
        last = end + length if self.reverses else end

        def velocity(time: float, pos: Vector) -> Vector:
            if start <= time < last:
                return amplitude if time < end else back
            return _STILL

        return Source(velocity)


@WIND_SOURCES.register
class SeriesConfig(StrictModel):
    """A recorded wind: a CSV file with the header ``time,east,north,up`` (s, m/s).

    Linear between the samples; repeated from the start when the flight is longer, beginning at a
    phase that the seed picks where ``random_start`` is true.
    """

    kind: Literal["series"]
    file: str = key("path, or a file below sim_worlds")
    random_start: bool = key("begin at a phase that the seed picks", default=False)

    @field_validator("file")
    @classmethod
    def _readable(cls, name: str) -> str:
        read_series(name)
        return name

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        table = read_series(self.file)
        times, winds = table[:, 0].tolist(), table[:, 1:].tolist()
        period = times[-1]
        offset = float(rng.uniform(0, period)) if self.random_start else 0.0

        def velocity(time: float, pos: Vector) -> Vector:
            time = (time + offset) % period
            i = min(bisect_right(times, time), len(times) - 1)
            share = (time - times[i - 1]) / (times[i] - times[i - 1])
            a, b = winds[i - 1], winds[i]
            return (
                a[0] + share * (b[0] - a[0]),
                a[1] + share * (b[1] - a[1]),
                a[2] + share * (b[2] - a[2]),
            )

        return Source(velocity)


def read_series(name: str) -> np.ndarray:
    """Rows (time, east, north, up) of a CSV below ``sim_worlds``; ConfigError if it is no series.

    The times must start at 0 and increase.
    """
    path = find_file(name, "sim_worlds")
    with path.open(encoding="utf-8") as file:
        header = file.readline().strip()
        if header != "time,east,north,up":
            raise ConfigError(f"{path}: expected the header time,east,north,up, got {header!r}")
        try:
            table = np.loadtxt(file, delimiter=",", ndmin=2)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from None
    if len(table) < 2 or not np.isfinite(table).all() or table[0, 0] != 0:
        raise ConfigError(f"{path}: expected two finite rows or more, from time 0 on")
    if np.abs(table[:, 1:]).max() > MAX_SPEED:
        raise ConfigError(f"{path}: expected winds of at most {MAX_SPEED:g} m/s")
    if np.any(np.diff(table[:, 0]) <= 0):
        raise ConfigError(f"{path}: the times must increase")
    return table


@WIND_SOURCES.register
class JetConfig(StrictModel):
    """The free jet of a fan, to be walked or flown through.

    Round turbulent jet (Pope, Turbulent Flows, 2000, section 5.1): the axis keeps the outlet speed
    up to 6 diameters, then falls as 6 D / x; the profile is Gaussian around the axis, with a half
    width of half a diameter at the outlet that grows by 0.1 per metre.
    """

    kind: Literal["jet"]
    pos: Position = key("the outlet, world", "m")
    toward_deg: Angle = key("where it blows to", "°")
    upward_deg: Angle = key("how far it blows upward", "°", default=0.0)
    speed: OutletSpeed = key("at the outlet", "m/s")
    diameter: float = key("of the outlet", "m", ge=0.01, le=100)

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        ax, ay, az = direction(self.toward_deg, self.upward_deg)
        ox, oy, oz = self.pos
        speed, diameter = draw(self.speed, rng), self.diameter

        def velocity(time: float, pos: Vector) -> Vector:
            dx, dy, dz = pos[0] - ox, pos[1] - oy, pos[2] - oz
            along = dx * ax + dy * ay + dz * az
            if along <= 0.0:
                return 0.0, 0.0, 0.0
            across = dx * dx + dy * dy + dz * dz - along * along
            half_width = 0.5 * diameter + 0.1 * along
            share = min(1.0, 6 * diameter / along) * 0.5 ** (across / half_width**2)
            return speed * share * ax, speed * share * ay, speed * share * az

        return Source(velocity)
