"""Figures of the simulation, with matplotlib: the wind page, the cost of the batched dynamics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from liquid_control.sim.faults import WindFault, drawn_faults
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.streams import Streams
from liquid_control.sim.wind.field import Wind
from liquid_control.sim.wind.turbulence import MIN_AIRSPEED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPECTRUM_SECONDS = 20.0  # per flight
SPECTRUM_FLIGHTS = 40
SAMPLE_RATE = 50.0  # Hz


def dryden_spectrum(frequency: np.ndarray, sigma: float, time_scale: float, axis: str):
    """One-sided power spectral density, (m/s)²/Hz, of the Dryden filter of an axis u, v or w.

    MIL-F-8785C, 3.7.1.2: Φ_u = σ² (2T/π) / (1 + (Tω)²), Φ_v,w = σ² (T/π) (1 + 3(Tω)²) /
    (1 + (Tω)²)², per rad/s, with T = L / V; times 2π per Hz.
    """
    x = (2 * math.pi * frequency * time_scale) ** 2
    shape = 1 / (1 + x) if axis == "u" else 0.5 * (1 + 3 * x) / (1 + x) ** 2
    return 4 * sigma**2 * time_scale * shape


def wind_figure(scenario: WorldConfig, seed: int) -> Figure:
    """The wind of a world at its start position: one flight over time, and spectra.

    The seed's gusts are those of a flight in `World`, with those among its faults; its turbulence
    is another draw, since it is sampled at 50 Hz here. Spectra are averages over flights of other
    seeds and without faults, against the theory of the world's Dryden sources where it has any.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    over_time, spectra = figure.subplots(2, 1)
    series = _series(scenario, seed, scenario.duration)
    time = np.arange(len(series)) / SAMPLE_RATE
    for values, name in zip(series.T, ("east", "north", "up"), strict=True):
        over_time.plot(time, values, label=name, linewidth=1)
    over_time.set(title=f"{scenario.name}, seed {seed}", xlabel="time, s", ylabel="wind, m/s")
    over_time.legend(loc="upper right", ncols=3)

    frequency, density = _spectrum(scenario)
    for axis, name in enumerate("uvw"):
        _plot_density(spectra, frequency, density[axis], f"C{axis}-", f"{name}, simulated")
    for sigma, scales in _theory(scenario):
        for axis, name in enumerate("uvw"):
            expected = dryden_spectrum(frequency, sigma[axis], scales[axis], name)
            _plot_density(spectra, frequency, expected, f"C{axis}--", f"{name}, Dryden")
    spectra.set(xlabel="frequency, Hz", ylabel="power density, (m/s)²/Hz")
    if spectra.lines:
        spectra.legend(loc="lower left", ncols=2)
    else:
        spectra.text(0.5, 0.5, "steady", ha="center", transform=spectra.transAxes)
    for axes in (over_time, spectra):
        axes.grid(alpha=0.3)
    return figure


def _plot_density(axes: Axes, frequency: np.ndarray, density: np.ndarray, line: str, label: str):
    """Nothing where the wind does not change along an axis: zero has no place on a log scale."""
    if np.any(density > 0):
        axes.loglog(frequency, density, line, linewidth=1, label=label)


def _field(scenario: WorldConfig, seed: int, duration: float) -> Wind:
    return Wind(scenario.wind, Streams(seed).wind, duration, 1 / SAMPLE_RATE)


def _sample(field: Wind, scenario: WorldConfig, duration: float) -> np.ndarray:
    """Wind (n, 3) at the start position."""
    pos, still = scenario.start.pos, (0.0, 0.0, 0.0)
    steps = round(duration * SAMPLE_RATE)
    field.begin(pos, still, steps)
    return np.array([field.velocity(k / SAMPLE_RATE, pos) for k in range(steps)])


def _series(scenario: WorldConfig, seed: int, duration: float) -> np.ndarray:
    streams = Streams(seed)
    faults = drawn_faults(scenario.faults, streams.faults)
    gusts = [fault for fault in faults if isinstance(fault, WindFault)]
    field = Wind([*scenario.wind, *gusts], streams.wind, duration, 1 / SAMPLE_RATE)
    return _sample(field, scenario, duration)


def _spectrum(scenario: WorldConfig) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and densities (3, n) along u (the mean wind), v and w."""
    steps = round(SPECTRUM_SECONDS * SAMPLE_RATE)
    window = np.hanning(steps)
    total = np.zeros((3, steps // 2 + 1))
    for seed in range(SPECTRUM_FLIGHTS):
        field = _field(scenario, seed, SPECTRUM_SECONDS)
        east, north, up = (_sample(field, scenario, SPECTRUM_SECONDS) - field.mean).T
        cx, cy = field.axis_u
        axes = np.stack([cx * east + cy * north, cx * north - cy * east, up])
        total += np.abs(np.fft.rfft(axes * window)) ** 2
    frequency = np.fft.rfftfreq(steps, 1 / SAMPLE_RATE)
    density = 2 * total / (SPECTRUM_FLIGHTS * SAMPLE_RATE * np.sum(window**2))
    return frequency[2:], density[:, 2:]


def _theory(scenario: WorldConfig):
    """(σ, T) per axis of each Dryden source, for a vehicle that hovers at the start position."""
    mean = _field(scenario, 0, 1.0).mean
    airspeed = max(math.hypot(*mean), MIN_AIRSPEED)
    for source in scenario.wind:
        if hasattr(source, "scales"):
            sigma, lengths = source.scales(scenario.start.pos[2])
            yield sigma, tuple(length / airspeed for length in lengths)


def cost_figure(cost: dict[str, Any]) -> Figure:
    """Environment-steps per second over environments, a line for each number of substeps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for substeps, row in zip(cost["substeps"], cost["steps_per_s"], strict=True):
        axes.loglog(cost["environments"], row, "o-", label=f"{substeps} physics steps per step")
    axes.set(xlabel="environments", ylabel="environment-steps per second, one core")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure
