"""The wind of a world for a batch: what `wind.field` is for one vehicle.

Each environment draws what its seed would pick. Winds change once per control period, not with the
physics: the filters are exact at any step, so strength and correlation hold.

A kind of source that a batch can have is a row of `batch_source`, by the class of its YAML. The
others are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, NamedTuple, Protocol

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.sim.quantities import Uniform
from liquid_control.sim.wind import formulas
from liquid_control.sim.wind.sources import CosineGustsConfig, SteadyConfig, StepGustConfig
from liquid_control.sim.wind.turbulence import (
    MIN_AIRSPEED,
    DrydenConfig,
    OrnsteinUhlenbeckConfig,
    TurbulenceConfig,
)

MIN_HEIGHT = 0.1  # m, of the formulas of turbulence


class BatchFlow(NamedTuple):
    """What the sources of a batch of B are told once per control period."""

    time: np.ndarray  # (B) s since the start of each episode
    pos_world: np.ndarray  # (3, B) m
    airspeed: np.ndarray  # (B) m/s, through the mean wind
    axis_u: np.ndarray  # (2, B) unit, horizontal direction of the mean wind
    dt: float  # s, the control period


class BatchSource(Protocol):
    """One source of every environment of a batch."""

    def restart(self, which: np.ndarray, rng: np.random.Generator) -> None:
        """Draw anew for the episodes ``which`` (B) is true for."""

    def velocity(self, flow: BatchFlow, rng: np.random.Generator) -> np.ndarray:
        """Wind (3, B) in m/s of the control period to come."""


@singledispatch
def batch_source(config: Any, size: int, duration: float) -> BatchSource:
    """The source of a YAML for ``size`` environments whose episodes last up to ``duration`` s.

    Raises:
        ConfigError: for a kind that a batch can't have, naming the key.
    """
    raise ConfigError(f"kind: a batch has no wind of the kind {config.kind!r}")


def _draw(value: float | Uniform, rng: np.random.Generator, size: int) -> np.ndarray:
    if isinstance(value, Uniform):
        return rng.uniform(*value.uniform, size)
    return np.full(size, float(value))


def _direction(toward_deg, upward_deg, rng: np.random.Generator, size: int) -> np.ndarray:
    """Unit vectors (3, size), drawn; see `wind.sources.direction`."""
    heading = np.deg2rad(_draw(toward_deg, rng, size))
    up = np.deg2rad(_draw(upward_deg, rng, size))
    return np.stack([np.cos(heading) * np.cos(up), np.sin(heading) * np.cos(up), np.sin(up)])


class _Steady:
    def __init__(self, config: SteadyConfig, size: int):
        self._config = config
        self.mean = np.zeros((3, size))

    def restart(self, which, rng) -> None:
        size = int(which.sum())
        speed = _draw(self._config.speed, rng, size)
        self.mean[:, which] = speed * _direction(self._config.toward_deg, 0.0, rng, size)

    def velocity(self, flow, rng) -> np.ndarray:
        return self.mean


@batch_source.register
def _(config: SteadyConfig, size: int, duration: float) -> BatchSource:
    if config.shear is not None:
        raise ConfigError("shear: a batch has steady wind without a profile over height")
    return _Steady(config, size)


class _Filtered:
    """Dryden turbulence; the time scales follow airspeed and height."""

    def __init__(self, config: TurbulenceConfig | DrydenConfig, size: int):
        self._scales = config.scales
        self._states = np.zeros((formulas.NOISE_SIZE, size))

    def restart(self, which, rng) -> None:
        noise = rng.standard_normal((formulas.NOISE_SIZE, int(which.sum())))
        self._states[:, which] = formulas.turbulence_start(noise)

    def velocity(self, flow, rng) -> np.ndarray:
        sigma, lengths = self._scales(np.maximum(flow.pos_world[2], MIN_HEIGHT))
        airspeed = np.maximum(flow.airspeed, MIN_AIRSPEED)
        turbulence = formulas.turbulence_coefficients(
            sigma, tuple(length / airspeed for length in lengths), flow.dt
        )
        noise = rng.standard_normal(self._states.shape)
        states, (u, v, w) = formulas.turbulence_step(tuple(self._states), noise, turbulence)
        self._states = np.stack(states)
        cx, cy = flow.axis_u
        return np.stack([cx * u - cy * v, cy * u + cx * v, w])


@batch_source.register(TurbulenceConfig)
@batch_source.register(DrydenConfig)
def _(config: TurbulenceConfig | DrydenConfig, size: int, duration: float) -> BatchSource:
    return _Filtered(config, size)


class _OrnsteinUhlenbeck:
    def __init__(self, config: OrnsteinUhlenbeckConfig, size: int):
        self._sigma = np.array(config.sigma)[:, None]
        self._time_constant = config.time_constant
        self._state = np.zeros((3, size))

    def restart(self, which, rng) -> None:
        self._state[:, which] = self._sigma * rng.standard_normal((3, int(which.sum())))

    def velocity(self, flow, rng) -> np.ndarray:
        step = formulas.ornstein_uhlenbeck_coefficients(self._sigma, self._time_constant, flow.dt)
        noise = rng.standard_normal(self._state.shape)
        self._state = formulas.ornstein_uhlenbeck_step(self._state, noise, step)
        return self._state


@batch_source.register
def _(config: OrnsteinUhlenbeckConfig, size: int, duration: float) -> BatchSource:
    return _OrnsteinUhlenbeck(config, size)


class _CosineGusts:
    """All gusts of each episode, drawn when it starts: (K, B), as many rows as any episode has."""

    def __init__(self, config: CosineGustsConfig, size: int, duration: float):
        self._config, self._duration = config, duration
        self._start, self._rise, self._hold = (np.full((0, size), np.inf) for _ in range(3))
        self._gust = np.zeros((0, 3, size))

    def restart(self, which, rng) -> None:
        config, size = self._config, int(which.sum())
        self._start[:, which] = np.inf
        start, row = _draw(config.first, rng, size), 0
        while np.any(start < self._duration):
            if row == len(self._start):
                self._add_row()
            toward = _direction(config.toward_deg, config.upward_deg, rng, size)
            self._start[row, which] = start
            self._rise[row, which] = _draw(config.rise_time, rng, size)
            self._hold[row, which] = _draw(config.hold_time, rng, size)
            self._gust[row][:, which] = _draw(config.amplitude, rng, size) * toward
            if config.mean_interval is None:
                break
            start, row = start + rng.exponential(config.mean_interval, size), row + 1

    def _add_row(self) -> None:
        size = self._start.shape[1]
        self._start = np.vstack([self._start, np.full((1, size), np.inf)])
        self._rise, self._hold = (
            np.vstack([a, np.ones((1, size))]) for a in (self._rise, self._hold)
        )
        self._gust = np.concatenate([self._gust, np.zeros((1, 3, size))])

    def velocity(self, flow, rng) -> np.ndarray:
        since = np.maximum(flow.time - self._start, -1.0)  # one to come is at minus infinity
        share = formulas.one_minus_cosine(since, self._rise, self._hold)
        if self._config.reverses:
            since = np.maximum(since - 2 * self._rise - self._hold, -1.0)
            share = share - formulas.one_minus_cosine(since, self._rise, self._hold)
        return (share[:, None] * self._gust).sum(axis=0)


@batch_source.register
def _(config: CosineGustsConfig, size: int, duration: float) -> BatchSource:
    return _CosineGusts(config, size, duration)


class _StepGust:
    def __init__(self, config: StepGustConfig, size: int):
        self._config = config
        self._start, self._length = np.zeros(size), np.zeros(size)
        self._gust = np.zeros((3, size))

    def restart(self, which, rng) -> None:
        config, size = self._config, int(which.sum())
        toward = _direction(config.toward_deg, config.upward_deg, rng, size)
        self._gust[:, which] = _draw(config.amplitude, rng, size) * toward
        self._start[which] = _draw(config.start, rng, size)
        self._length[which] = _draw(config.length, rng, size)

    def velocity(self, flow, rng) -> np.ndarray:
        end = self._start + self._length
        share = ((self._start <= flow.time) & (flow.time < end)).astype(float)
        if self._config.reverses:
            share -= (end <= flow.time) & (flow.time < end + self._length)
        return self._gust * share


@batch_source.register
def _(config: StepGustConfig, size: int, duration: float) -> BatchSource:
    return _StepGust(config, size)


class BatchWind:
    """The sources of a world for ``size`` environments.

    Raises:
        ConfigError: for a source that a batch can't have, naming the key below ``wind``.
    """

    def __init__(self, configs: Sequence[Any], size: int, duration: float):
        self._sources = []
        for i, config in enumerate(configs):
            try:
                self._sources.append(batch_source(config, size, duration))
            except ConfigError as error:
                raise ConfigError(f"wind.{i}.{error}") from None
        self._mean = np.zeros((3, size))

    def restart(self, which: np.ndarray, rng: np.random.Generator) -> None:
        """New winds for the episodes ``which`` (B) is true for."""
        for source in self._sources:
            source.restart(which, rng)
        steady = [source.mean for source in self._sources if isinstance(source, _Steady)]
        self._mean = sum(steady, np.zeros_like(self._mean))

    def velocity(
        self,
        time: np.ndarray,
        pos_world: np.ndarray,
        vel_world: np.ndarray,
        dt: float,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Wind (3, B) in m/s of the control period of ``dt`` s from ``time`` (B) on."""
        mean = self._mean
        horizontal = np.hypot(mean[0], mean[1])
        still = horizontal == 0
        axis = np.where(still, [[1.0], [0.0]], mean[:2] / np.where(still, 1.0, horizontal))
        airspeed = np.sqrt(((vel_world - mean) ** 2).sum(axis=0))
        flow = BatchFlow(time, pos_world, airspeed, axis, dt)
        return sum((source.velocity(flow, rng) for source in self._sources), np.zeros_like(mean))
