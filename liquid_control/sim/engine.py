"""The rigid body of a vehicle in PyBullet, with the ground and the obstacles it may touch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pybullet

from liquid_control.sim.scenery import shapes
from liquid_control.sim.scenery.config import SceneObject
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig
from liquid_control.vehicles.quadrotor.params import QuadrotorParams


class Engine:
    """One PyBullet client without display; the caller applies forces and steps it.

    Attributes:
        client, body: what PyBullet's functions take as ``physicsClientId`` and body.
    """

    def __init__(self, dt: float):
        """``dt`` is the physics step, s."""
        self._dt = dt
        self.client = pybullet.connect(pybullet.DIRECT)

    def close(self) -> None:
        """Release the client; a second time does nothing."""
        if self.client >= 0:
            pybullet.disconnect(physicsClientId=self.client)
            self.client = -1

    def start(
        self,
        vehicle: QuadrotorConfig,
        params: QuadrotorParams,
        obstacles: Sequence[SceneObject],
        pos: np.ndarray,
        quat: np.ndarray,
        vel: np.ndarray,
    ) -> None:
        """Build everything anew; nothing of an earlier flight is left."""
        client = {"physicsClientId": self.client}
        pybullet.resetSimulation(**client)
        pybullet.setGravity(0, 0, -GRAVITY, **client)
        pybullet.setTimeStep(self._dt, **client)
        ground = pybullet.createCollisionShape(pybullet.GEOM_PLANE, **client)
        self._ground = pybullet.createMultiBody(0, ground, **client)
        half = [0.5 * size for size in vehicle.collision_size]
        box = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, **client)
        self.body = pybullet.createMultiBody(
            params.mass,
            box,
            basePosition=pos.tolist(),
            baseOrientation=quat.tolist(),
            **client,
        )
        self.set_inertia(params)
        pybullet.resetBaseVelocity(self.body, vel.tolist(), [0, 0, 0], **client)
        self._moving = []
        for obstacle in obstacles:
            turn = shapes.turn(obstacle.yaw_deg)
            for shape in obstacle.collision():
                body = pybullet.createMultiBody(
                    0,
                    pybullet.createCollisionShape(**shape, **client),
                    basePosition=list(obstacle.pos),
                    baseOrientation=turn,
                    **client,
                )
                if hasattr(obstacle, "at"):
                    self._moving.append((obstacle, body, turn))

    def move_obstacles(self, time: float) -> None:
        """Have what moves where it is ``time`` s after the start."""
        for obstacle, body, turn in self._moving:
            pybullet.resetBasePositionAndOrientation(
                body, obstacle.at(time), turn, physicsClientId=self.client
            )

    def set_inertia(self, params: QuadrotorParams) -> None:
        """Mass and principal inertia of the body, which nothing damps."""
        pybullet.changeDynamics(
            self.body,
            -1,
            mass=params.mass,
            localInertiaDiagonal=list(params.inertia),
            linearDamping=0,
            angularDamping=0,
            restitution=0,
            physicsClientId=self.client,
        )

    def read(self) -> tuple[tuple, tuple]:
        """Pose (position, quaternion) and twist (velocity, rates), all in the world frame."""
        return (
            pybullet.getBasePositionAndOrientation(self.body, physicsClientId=self.client),
            pybullet.getBaseVelocity(self.body, physicsClientId=self.client),
        )

    def touched(self) -> str:
        """What the body is in contact with: "obstacle", "ground" or "" for nothing."""
        contacts = pybullet.getContactPoints(self.body, physicsClientId=self.client)
        if any(other != self._ground for _, _, other, *_ in contacts):
            return "obstacle"
        return "ground" if contacts else ""
