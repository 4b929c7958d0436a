"""Turbulence and gusts as array-neutral formulas; `wind.sources` and
`wind.turbulence` compose them for a world, `wind.batched` for a batch, training for its windows.

Dryden turbulence, MIL-F-8785C (1980) and MIL-HDBK-1797B, written for a time scale T = L / V:

    H_u = σ √(2T) / (1 + Ts)          H_v, H_w = σ √T (1 + √3 Ts) / (1 + Ts)²

driven by white noise of unit density. Both are linear, so they are sampled exactly: variance and
correlation hold at any dt. With r = dt / T and a = e^(−r), the v and w filters keep two states

    x₁⁺ = a x₁ + e₁,   x₂⁺ = a x₂ + a r x₁ + e₂,   y = σ [√3 x₁ + (1 − √3) x₂]
    var e₁ = (1 − a²)/2,  cov = (1 − (1 + 2r) a²)/4,  var e₂ = (1 − (1 + 2r + 2r²) a²)/4

The axes are u along the mean wind, v to its left, w up. Where a filter is not wanted, three
Ornstein–Uhlenbeck processes, of the u filter's form, serve as turbulence.

For a batch: `turbulence_coefficients` once in float64 (float32 loses the small differences above),
`turbulence_start`, then `wind_step` with fresh normal noise each step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from liquid_control import packing
from liquid_control.frames import Array, namespace, stack

SQRT3 = math.sqrt(3.0)
NOISE_SIZE = 5  # normals per step of the turbulence: u, v₁, v₂, w₁, w₂

Noise = tuple[Array, Array, Array, Array, Array]


class AxisFilter(NamedTuple):
    """Exact discretisation of the v or w filter for one dt; the u filter uses the first two."""

    decay: Array  # a
    gain_1: Array  # Cholesky factor of cov(e₁, e₂)
    cross: Array  # a r
    gain_21: Array
    gain_2: Array


class Turbulence(NamedTuple):
    """Turbulence for one dt: strength and filters per axis, each ``(*batch)``."""

    sigma: tuple[Array, Array, Array]  # m/s, axes u, v, w
    filters: tuple[AxisFilter, AxisFilter, AxisFilter]


def _axis_filter(time_scale: Array, dt: float) -> AxisFilter:
    if isinstance(time_scale, float):  # the scalar world, where NumPy would cost ten times as much
        exp, sqrt, maximum = math.exp, math.sqrt, max
    else:
        exp, sqrt, maximum = np.exp, np.sqrt, np.maximum
    r = dt / time_scale
    a = exp(-r)
    square = a * a
    q11 = 0.5 * (1 - square)
    q12 = 0.25 * (1 - (1 + 2 * r) * square)
    q22 = 0.25 * (1 - (1 + 2 * r + 2 * r * r) * square)
    gain_1 = sqrt(q11)
    gain_21 = q12 / gain_1
    return AxisFilter(a, gain_1, a * r, gain_21, sqrt(maximum(q22 - gain_21 * gain_21, 0.0)))


def turbulence_coefficients(
    sigma: tuple[Array, Array, Array], time_scale: tuple[Array, Array, Array], dt: float
) -> Turbulence:
    """Filters for strengths in m/s and time scales L / V in s, axes u, v, w, at one ``dt``.

    Floats, or float64 NumPy arrays ``(*batch)``.
    """
    return Turbulence(tuple(sigma), tuple(_axis_filter(t, dt) for t in time_scale))


def turbulence_start(noise: Noise) -> Noise:
    """Filter states drawn from their stationary distribution by five standard normals."""
    u, v1, v2, w1, w2 = noise
    # stationary cov(x₁, x₂) = [[1/2, 1/4], [1/4, 1/4]], Cholesky [[1, 0], [1/2, 1/2]] / √2
    half = 0.5 * math.sqrt(0.5)
    return u, 2 * half * v1, half * (v1 + v2), 2 * half * w1, half * (w1 + w2)


def turbulence_step(states: Noise, noise: Noise, turbulence: Turbulence):
    """One step of the filters: new states and the velocity ``(u, v, w)`` in m/s, components."""
    u, v1, v2, w1, w2 = states
    n0, n1, n2, n3, n4 = noise
    sigma_u, sigma_v, sigma_w = turbulence.sigma
    fu, fv, fw = turbulence.filters
    # the u state has unit variance: its gain √(1 − a²) is √2 times that of x₁
    u = fu.decay * u + math.sqrt(2.0) * fu.gain_1 * n0
    v2 = fv.decay * v2 + fv.cross * v1 + fv.gain_21 * n1 + fv.gain_2 * n2
    v1 = fv.decay * v1 + fv.gain_1 * n1
    w2 = fw.decay * w2 + fw.cross * w1 + fw.gain_21 * n3 + fw.gain_2 * n4
    w1 = fw.decay * w1 + fw.gain_1 * n3
    velocity = (
        sigma_u * u,
        sigma_v * (SQRT3 * v1 + (1 - SQRT3) * v2),
        sigma_w * (SQRT3 * w1 + (1 - SQRT3) * w2),
    )
    return (u, v1, v2, w1, w2), velocity


def pack_turbulence(turbulence: Turbulence) -> np.ndarray:
    """The numbers of one place as a flat array, for `turbulence_series`."""
    return packing.pack(turbulence)


_unpack_turbulence = packing.unpacker(Turbulence)


def turbulence_series(
    states: Noise,
    noise: np.ndarray,
    packed: np.ndarray,
    axis_u: tuple[float, float],
    velocity: np.ndarray,
):
    """As many steps as ``noise (n, 5)`` has rows, for one place; returns the new states.

    Fills ``velocity (n, 3)``, m/s in the world; ``packed`` is from `pack_turbulence`, ``axis_u``
    the unit vector of the u axis, horizontal.
    """
    cx, cy = axis_u
    turbulence = _unpack_turbulence(packed)
    for k in range(len(noise)):
        row = noise[k]
        states, (u, v, w) = turbulence_step(
            states, (row[0], row[1], row[2], row[3], row[4]), turbulence
        )
        velocity[k, 0], velocity[k, 1], velocity[k, 2] = cx * u - cy * v, cy * u + cx * v, w
    return states


class MarkovStep(NamedTuple):
    """Exact discretisation of an Ornstein–Uhlenbeck process for one dt, each ``(*batch)``."""

    keep: Array  # share of the state that is left
    gain: Array  # m/s of fresh noise


def ornstein_uhlenbeck_coefficients(sigma: Array, time_constant: Array, dt: Array) -> MarkovStep:
    """For a stationary strength in m/s and a correlation time in s; floats or arrays."""
    exponent = -dt / time_constant
    keep = namespace(exponent).exp(exponent)
    return MarkovStep(keep, sigma * (1 - keep * keep) ** 0.5)


def ornstein_uhlenbeck_step(state: Array, noise: Array, step: MarkovStep) -> Array:
    """The state in m/s after a step, for standard normal ``noise`` of the same shape."""
    return step.keep * state + step.gain * noise


def raised_cosine(phase: Array) -> Array:
    """½(1 − cos πφ): rises from 0 at φ = 0 to 1 at φ = 1, and falls to 0 at φ = 2."""
    return 0.5 - 0.5 * namespace(phase).cos(math.pi * phase)


def one_minus_cosine_pulse(time: Array, duration: Array) -> Array:
    """Share of the amplitude of a gust that rises and falls in ``duration`` s, without a hold."""
    return raised_cosine(2 * namespace(time).clip(time / duration, 0.0, 1.0))


def one_minus_cosine(time: Array, rise_time: Array, hold_time: Array) -> Array:
    """Share of the amplitude of a discrete gust ``time`` s after its start (MIL-F-8785C, 3.7.1.3).

    Rises as ½(1 − cos πt/rise), holds, and falls the same way; zero before and after.
    """
    xp = namespace(time)
    falling = time - rise_time - hold_time
    return raised_cosine(
        xp.clip(time / rise_time, 0.0, 1.0) - xp.clip(falling / rise_time, 0.0, 1.0)
    )


class WindParams(NamedTuple):
    """Wind of each environment of a batch: mean, turbulence and one gust."""

    mean_world: Array  # (3, *batch) m/s
    axis_u_world: Array  # (2, *batch) unit, horizontal direction of the turbulence's u axis
    turbulence: Turbulence
    gust_world: Array  # (3, *batch) m/s, amplitude
    gust_start: Array  # (*batch) s
    gust_rise_time: Array  # (*batch) s
    gust_hold_time: Array  # (*batch) s


def wind_step(states: Array, noise: Array, time: Array, params: WindParams) -> tuple[Array, Array]:
    """New filter states ``(5, *batch)`` and the wind ``(3, *batch)`` in m/s at ``time`` s.

    ``noise`` ``(5, *batch)`` is standard normal; ``states`` starts as ``turbulence_start(noise)``.
    """
    new_states, (u, v, w) = turbulence_step(tuple(states), tuple(noise), params.turbulence)
    cx, cy = params.axis_u_world
    share = one_minus_cosine(time - params.gust_start, params.gust_rise_time, params.gust_hold_time)
    turbulence_world = stack(states, cx * u - cy * v, cy * u + cx * v, w)
    wind = params.mean_world + turbulence_world + share * params.gust_world
    return stack(states, *new_states), wind
