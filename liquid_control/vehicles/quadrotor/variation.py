"""Vehicles that differ from the nominal one: spread of a kind, payload."""

from __future__ import annotations

import numpy as np

from liquid_control.vehicles.quadrotor.config import QuadrotorConfig
from liquid_control.vehicles.quadrotor.params import Array, QuadrotorParams


def draw_params(
    vehicle: QuadrotorConfig, rng: np.random.Generator, spread: float
) -> QuadrotorParams:
    """A vehicle of the kind: ``spread`` 0 is the nominal one, 1 uses the whole tolerances."""
    tolerances, nominal = vehicle.tolerances, QuadrotorParams.from_vehicle(vehicle)

    def factors(half_width: float, size: int) -> list[float]:
        return (1 + spread * half_width * rng.uniform(-1, 1, size)).tolist()

    def times(values: tuple[float, ...], factor: list[float]) -> tuple[float, ...]:
        return tuple(v * f for v, f in zip(values, factor, strict=True))

    (mass,) = factors(tolerances.mass, 1)
    inertia = factors(tolerances.inertia, 3)
    efficiency = factors(tolerances.thrust, 4)
    drag = factors(tolerances.drag, 1)
    (lag,) = factors(tolerances.time_constant, 1)
    return nominal._replace(
        mass=nominal.mass * mass,
        inertia=times(nominal.inertia, inertia),
        efficiency=tuple(efficiency),
        drag_linear=times(nominal.drag_linear, drag * 3),
        drag_quadratic=times(nominal.drag_quadratic, drag * 3),
        drag_rotor=times(nominal.drag_rotor, drag * 3),
        time_constant_up=nominal.time_constant_up * lag,
        time_constant_down=nominal.time_constant_down * lag,
    )


def with_payload(params: QuadrotorParams, mass: Array, below: Array) -> QuadrotorParams:
    """A point mass fixed ``below`` m under the centre of mass.

    The body frame moves to the common centre of mass; roll and pitch inertia grow by the reduced
    mass times the distance squared (parallel axes).
    """
    total = params.mass + mass
    rise = below * mass / total  # of the rotors over the new centre of mass
    ix, iy, iz = params.inertia
    added = params.mass * mass / total * below**2
    x, y, z = params.rotor_pos_body
    return params._replace(
        mass=total,
        inertia=(ix + added, iy + added, iz),
        rotor_pos_body=(x, y, tuple(height + rise for height in z)),
    )
