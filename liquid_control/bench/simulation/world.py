"""Physics steps per second of the world against the bare engine."""

from __future__ import annotations

from statistics import median
from typing import Any

import pybullet

from liquid_control.bench.timing import in_turns
from liquid_control.sim.scenario import load_world
from liquid_control.sim.world import World
from liquid_control.structs import GRAVITY, RATES_THRUST
from liquid_control.vehicles.catalogue import load_vehicle

WORLD = "hover_gusts"
ALTITUDE = 900.0  # m; nobody controls the vehicle here, so it needs room


def measure_world(turns: int) -> dict[str, Any]:
    """The world with motors, drag, wind and IMU against the bare loop."""
    scenario = load_world(WORLD)
    start = scenario.start.model_copy(update={"pos": (0.0, 0.0, ALTITUDE)})
    arena = scenario.arena.model_copy(update={"max_distance": 1e6})
    scenario = scenario.model_copy(update={"start": start, "arena": arena})
    vehicle = load_vehicle(scenario.vehicle)
    command = RATES_THRUST.command(*RATES_THRUST.neutral)
    with World(scenario, vehicle, seed=0) as world, _Floor(vehicle) as floor:
        for _ in range(50):
            world.step(command)
        table = in_turns([floor.step, lambda: world.step(command)], 500, turns)
    table[:, 1] /= scenario.substeps
    return {
        "floor_steps_per_s": float(1 / median(table[:, 0])),
        "world_steps_per_s": float(1 / median(table[:, 1])),
        "world_fraction_of_floor": float(median(table[:, 0] / table[:, 1])),
    }


class _Floor:
    """Four forces, a step and the state, in PyBullet alone."""

    def __init__(self, vehicle):
        self._client = client = pybullet.connect(pybullet.DIRECT)
        pybullet.setGravity(0, 0, -GRAVITY, physicsClientId=client)
        pybullet.setTimeStep(1 / 500, physicsClientId=client)
        half = [size / 2 for size in vehicle.collision_size]
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=half, physicsClientId=client
        )
        self._body = pybullet.createMultiBody(
            vehicle.mass, shape, basePosition=[0, 0, 1], physicsClientId=client
        )
        pybullet.changeDynamics(
            self._body, -1, linearDamping=0, angularDamping=0, physicsClientId=client
        )
        self._force = [0, 0, vehicle.mass * GRAVITY / 4]
        self._positions = [list(position) for position in vehicle.rotor_positions]

    def __enter__(self) -> _Floor:
        return self

    def __exit__(self, *_) -> None:
        pybullet.disconnect(physicsClientId=self._client)

    def step(self) -> None:
        client, body, force = self._client, self._body, self._force
        for position in self._positions:
            pybullet.applyExternalForce(
                body, -1, force, position, pybullet.LINK_FRAME, physicsClientId=client
            )
        pybullet.stepSimulation(physicsClientId=client)
        pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        pybullet.getBaseVelocity(body, physicsClientId=client)
