"""What is computed of a flight's columns, for metrics and pictures alike."""

from __future__ import annotations

import numpy as np

from liquid_control.flight_log import FlightLog

CALM = 1e-6  # m/s, what is no wind
LEAST_SCALE = 0.1  # m, of an error that nobody knows
_ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
LEAST_SIDE = 0.4  # of the box around a path, as a share of its longest side


def position_error(log: FlightLog) -> np.ndarray:
    """Distance to the setpoint ``(N,)`` in m; NaN where place or setpoint is unknown."""
    return np.linalg.norm(log.setpoint_pos_world - log.motion.pos_world, axis=1)


def left_of(log: FlightLog, vector_world: np.ndarray) -> np.ndarray:
    """How far each of ``(N, 3)`` vectors points to the vehicle's left, level ``(N,)``."""
    x, y, z, w = log.motion.quat_world_body.T
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return vector_world[:, 1] * np.cos(yaw) - vector_world[:, 0] * np.sin(yaw)


def error_scale(log: FlightLog) -> float:
    """What the colours of the error end at, m: a round number that 99 % of the errors are below.

    The same in every picture of a flight.
    """
    error = position_error(log)
    error = error[np.isfinite(error)]
    most = max(np.percentile(error, 99), 1e-4) if len(error) else LEAST_SCALE
    decade = 10 ** np.floor(np.log10(most))
    return float(next(step for step in _ROUND if step * decade >= most * (1 - 1e-9)) * decade)


def has_wind(log: FlightLog) -> bool:
    """Whether the wind is known and ever blew."""
    return log.wind_world is not None and bool(np.nanmax(np.abs(log.wind_world), initial=0) > CALM)


def flight_box(log: FlightLog) -> tuple[np.ndarray, np.ndarray]:
    """Middle and sides ``(3,)`` in m of a box around the path that is no needle."""
    pos = log.motion.pos_world
    known = pos[np.isfinite(pos).all(axis=1)]
    pos = known if len(known) else np.zeros((1, 3))
    low, high = pos.min(axis=0), pos.max(axis=0)
    sides = high - low
    return (low + high) / 2, np.maximum(sides, max(LEAST_SIDE * sides.max(), 1e-3))


def tilt(log: FlightLog) -> np.ndarray:
    """Angle ``(N,)`` in rad between body z and up."""
    x, y, _, _ = log.motion.quat_world_body.T
    return np.arccos(np.clip(1 - 2 * (x * x + y * y), -1, 1))


def neuron_activity(log: FlightLog) -> np.ndarray:
    """How far each neuron is from its median, ``(N, M)`` in [-1, 1] of its usual largest.

    Neurons that hardly move in this flight stay near zero, and steps without a record (NaN) are 0.
    """
    if not np.isfinite(log.neurons).any():
        return np.zeros(log.neurons.shape)
    deviation = log.neurons - np.nanmedian(log.neurons, axis=0)
    largest = np.nanpercentile(np.abs(deviation), 99, axis=0)
    usual = np.maximum(largest, max(0.05 * largest.max(), 1e-9))
    return np.nan_to_num(np.clip(deviation / usual, -1, 1))
