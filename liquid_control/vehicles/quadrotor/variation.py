"""Vehicles that differ from the nominal one: spread of a kind, payload."""

from __future__ import annotations

import numpy as np

from liquid_control.vehicles.quadrotor.config import QuadrotorConfig
from liquid_control.vehicles.quadrotor.params import Array, Quad, QuadrotorParams, Triple


def scaled(
    nominal: QuadrotorParams,
    *,
    mass: Array,
    inertia: Triple,
    efficiency: Quad,
    drag: Array,
    time_constant: Array,
) -> QuadrotorParams:
    """A vehicle whose values are these factors of the nominal one's, each ``(*batch)``.

    ``efficiency`` is that of each rotor itself; ``drag`` counts for all three kinds of it.
    """
    return nominal._replace(
        mass=nominal.mass * mass,
        inertia=tuple(i * factor for i, factor in zip(nominal.inertia, inertia, strict=True)),
        time_constant_up=nominal.time_constant_up * time_constant,
        time_constant_down=nominal.time_constant_down * time_constant,
        efficiency=efficiency,
        drag_linear=tuple(c * drag for c in nominal.drag_linear),
        drag_quadratic=tuple(c * drag for c in nominal.drag_quadratic),
        drag_rotor=tuple(c * drag for c in nominal.drag_rotor),
    )


def draw_params(
    vehicle: QuadrotorConfig,
    rng: np.random.Generator,
    spread: float,
    batch: tuple[int, ...] = (),
) -> QuadrotorParams:
    """Vehicles of the kind: ``spread`` 0 is the nominal one, 1 uses the whole tolerances.

    Fields are floats for one vehicle, arrays ``(*batch)`` where a batch is asked for.
    """
    tolerances, nominal = vehicle.tolerances, QuadrotorParams.from_vehicle(vehicle)

    def factors(half_width: float, size: int) -> tuple:
        drawn = 1 + spread * half_width * rng.uniform(-1, 1, (size, *batch))
        return tuple(drawn if batch else drawn.tolist())

    (mass,) = factors(tolerances.mass, 1)
    inertia = factors(tolerances.inertia, 3)
    efficiency = factors(tolerances.thrust, 4)
    (drag,) = factors(tolerances.drag, 1)
    (lag,) = factors(tolerances.time_constant, 1)
    return scaled(
        nominal, mass=mass, inertia=inertia, efficiency=efficiency, drag=drag, time_constant=lag
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
