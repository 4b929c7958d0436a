"""Random wind sources: Dryden turbulence, given or after a standard, and Ornstein–Uhlenbeck.

MIL-F-8785C and MIL-HDBK-1797B give different scale lengths and different filters, and at low
altitude both amount to the same process: 1797B halves L_v and L_w and doubles them again in its
v and w filters (2 L in place of L). `low_altitude` returns the lengths of each standard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from liquid_control.config import StrictModel
from liquid_control.frames import Array, namespace
from liquid_control.sim.compiled import compile_kernel
from liquid_control.sim.quantities import Strength, Strengths, key
from liquid_control.sim.wind import formulas
from liquid_control.sim.wind.sources import WIND_SOURCES, Flow, Source, Vector

FOOT = 0.3048  # m
KNOT = 1852 / 3600  # m/s
MIN_AIRSPEED = 1.0  # m/s; at rest in still air the frozen field would never pass
RESOLUTION = 0.05  # change of airspeed or height, as a share, that makes the filters anew
NOISE_BLOCK = 256  # steps of noise drawn at once

# m; the filters divide by it, and lose their small differences far above
ScaleLength = Annotated[float, Field(ge=0.1, le=10_000)]
Standard = Literal["mil_f_8785c", "mil_hdbk_1797b"]
WIND_AT_20_FT = {"light": 15 * KNOT, "moderate": 30 * KNOT, "severe": 45 * KNOT}


def low_altitude(standard: Standard, height: Array, wind_at_20_ft: float) -> tuple[Vector, Vector]:
    """Strength σ (m/s) and scale length L (m) of the axes u, v, w, below 1000 ft.

    MIL-F-8785C, 3.7.2.3 and figure 10; MIL-HDBK-1797B, 4.9.2. ``height`` ``(*batch)`` in m above
    ground is held within the range of the formulas, 10 to 1000 ft; ``wind_at_20_ft`` in m/s.
    """
    h = namespace(height).clip(height / FOOT, 10.0, 1000.0)
    base = 0.177 + 0.000823 * h
    length_u, length_w = h / base**1.2 * FOOT, h * FOOT
    sigma_w = 0.1 * wind_at_20_ft
    sigma_u = sigma_w / base**0.4
    halved = 1.0 if standard == "mil_f_8785c" else 0.5
    return (sigma_u, sigma_u, sigma_w), (length_u, halved * length_u, halved * length_w)


def filter_lengths(standard: Standard, lengths: Vector) -> Vector:
    """Scale lengths as the filters of `wind` take them, for the lengths of a standard."""
    factor = 1.0 if standard == "mil_f_8785c" else 2.0
    return lengths[0], factor * lengths[1], factor * lengths[2]


class _Dryden:
    """Dryden filters stepped with the physics; the time scales follow airspeed and height."""

    def __init__(self, scales, rng: np.random.Generator):
        self._scales = scales  # height to (sigma, filter lengths)
        self._rng = rng
        self._states = formulas.turbulence_start(rng.standard_normal(formulas.NOISE_SIZE).tolist())
        self._noise = np.empty((0, formulas.NOISE_SIZE))
        self._used = 0  # rows of it
        self._ahead: Iterator[list[float]] = iter(())  # velocities of the next steps
        self._series = compile_kernel(formulas.turbulence_series)
        self._airspeed = self._height = math.inf
        self._axis_u = (1.0, 0.0)
        self._packed: np.ndarray

    def begin(self, flow: Flow) -> None:
        self._axis_u, self._steps = flow.axis_u, flow.steps
        airspeed, height = max(flow.airspeed, MIN_AIRSPEED), max(flow.pos_world[2], 0.1)
        if (
            abs(airspeed - self._airspeed) > RESOLUTION * airspeed
            or abs(height - self._height) > RESOLUTION * height
        ):
            self._airspeed, self._height = airspeed, height
            sigma, lengths = self._scales(height)
            times = tuple(length / airspeed for length in lengths)
            turbulence = formulas.turbulence_coefficients(sigma, times, flow.dt)
            self._packed = formulas.pack_turbulence(turbulence)

    def velocity(self, time: float, pos: Vector) -> Vector:
        return next(self._ahead, None) or self._run_ahead()

    def _run_ahead(self) -> Vector:
        """Compute the steps of a control period, whose filters stay as they are; the first one."""
        steps, used = self._steps, self._used
        if used + steps > len(self._noise):
            fresh = self._rng.standard_normal((max(NOISE_BLOCK, steps), formulas.NOISE_SIZE))
            self._noise, used = np.concatenate([self._noise[used:], fresh]), 0
        self._used = used + steps
        noise, velocity = self._noise[used : used + steps], np.empty((steps, 3))
        self._states = self._series(self._states, noise, self._packed, self._axis_u, velocity)
        self._ahead = iter(velocity.tolist())
        return next(self._ahead)


@WIND_SOURCES.register
class TurbulenceConfig(StrictModel):
    """Dryden turbulence of a given strength and scale (MIL-F-8785C filters)."""

    kind: Literal["turbulence"]
    sigma: Strengths = key("standard deviation: along the mean wind, to its left, up", "m/s")
    length: tuple[ScaleLength, ScaleLength, ScaleLength] = key("scales of the same axes", "m")

    def scales(self, height: Array) -> tuple[Vector, Vector]:
        """Strength and filter lengths of the axes u, v, w at ``height`` m."""
        return self.sigma, self.length

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        dryden = _Dryden(self.scales, rng)
        return Source(dryden.velocity, begin=dryden.begin)


@WIND_SOURCES.register
class DrydenConfig(StrictModel):
    """Dryden turbulence of a standard, by its word for the strength or by the wind at 20 ft."""

    kind: Literal["dryden"]
    standard: Standard = key("whose strengths and lengths follow the height")
    severity: Literal["light", "moderate", "severe"] | None = key(
        "the standard's word for 15, 30 or 45 kt at 20 ft", default=None
    )
    wind_at_20_ft: Annotated[Strength, Field(gt=0)] | None = key(
        "in place of severity", "m/s", default=None
    )

    @model_validator(mode="after")
    def _one_strength(self):
        if (self.severity is None) == (self.wind_at_20_ft is None):
            raise ValueError("expected either severity or wind_at_20_ft")
        return self

    def scales(self, height: Array) -> tuple[Vector, Vector]:
        """Strength and filter lengths of the axes u, v, w at ``height`` m."""
        strength = self.wind_at_20_ft or WIND_AT_20_FT[self.severity]
        sigma, lengths = low_altitude(self.standard, height, strength)
        return sigma, filter_lengths(self.standard, lengths)

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        dryden = _Dryden(self.scales, rng)
        return Source(dryden.velocity, begin=dryden.begin)


@WIND_SOURCES.register
class OrnsteinUhlenbeckConfig(StrictModel):
    """Three independent first-order Gauss–Markov processes, stationary from the start."""

    kind: Literal["ornstein_uhlenbeck"]
    sigma: Strengths = key("standard deviation along the world's axes", "m/s")
    time_constant: float = key("of the exponential correlation", "s", ge=0.001, le=10_000)

    def build(self, rng: np.random.Generator, duration: float) -> Source:
        state = (np.array(self.sigma) * rng.standard_normal(3)).tolist()
        noise = iter(())
        steps: list[formulas.MarkovStep] = []

        def begin(flow: Flow) -> None:
            nonlocal steps
            steps = [
                formulas.ornstein_uhlenbeck_coefficients(sigma, self.time_constant, flow.dt)
                for sigma in self.sigma
            ]

        def velocity(time: float, pos: Vector) -> Vector:
            nonlocal noise, state
            row = next(noise, None)
            if row is None:
                noise = iter(rng.standard_normal((NOISE_BLOCK, 3)).tolist())
                row = next(noise)
            state = tuple(map(formulas.ornstein_uhlenbeck_step, state, row, steps))
            return state

        return Source(velocity, begin=begin)
