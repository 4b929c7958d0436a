"""A flight seen from behind the vehicle, drawn by PyBullet's TinyRenderer: for people, not sensors.

It lives in an engine of its own, so that looking never touches the physics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pybullet

from liquid_control.frames import quat_from_yaw
from liquid_control.sim.scenery.config import SceneObject
from liquid_control.vehicles.kind import VehicleConfig

AWAY, ABOVE = 5.0, 2.0  # of the eye from the vehicle, in its sizes
FIELD_OF_VIEW = 50.0  # degrees, vertical
NEAR, FAR = 0.02, 40.0  # m, clipping planes
TILE, TILES = 0.5, 16  # m, and how many a side; they move with the vehicle
SKY = (178, 204, 230)
BACKGROUND = 0.999999  # depth buffer where nothing was drawn
BODY, FRONT, REAR, GOAL = (0.2, 0.2, 0.25), (0.9, 0.3, 0.1), (0.1, 0.35, 0.8), (0.1, 0.7, 0.2)
GROUND = ((0.55, 0.58, 0.55), (0.72, 0.75, 0.72))


class ChaseView:
    """A vehicle and its setpoint, a green ball, over the ground and between the obstacles.

    Rotors in front are red; a vehicle without rotors is its box.
    """

    def __init__(
        self, vehicle: VehicleConfig, obstacles: Sequence[SceneObject], size: tuple[int, int]
    ):
        """``size`` of the picture is width and height, px."""
        self._size = size
        self._client = pybullet.connect(pybullet.DIRECT)
        self._ground = [self._add(self._tiles(odd)) for odd in (0, 1)]
        for item in obstacles:
            turn = quat_from_yaw(np.float64(math.radians(item.yaw_deg))).tolist()
            for shape in item.visuals(None):
                visual = pybullet.createVisualShape(
                    rgbaColor=[*item.color, 1.0], physicsClientId=self._client, **shape
                )
                self._add(visual, item.pos, turn)
        self._reach = max(vehicle.collision_size)
        self._parts = self._vehicle(vehicle)
        goal = self._shape(pybullet.GEOM_SPHERE, GOAL, radius=0.1 * self._reach)
        self._goal = self._add(goal)
        width, height = size
        self._projection = pybullet.computeProjectionMatrixFOV(
            FIELD_OF_VIEW, width / height, NEAR, FAR
        )

    def close(self) -> None:
        """Release the renderer; a second time does nothing."""
        if self._client >= 0:
            pybullet.disconnect(physicsClientId=self._client)
            self._client = -1

    def picture(
        self, pos_world: Sequence[float], quat_world_body: Sequence[float], goal: Sequence[float]
    ) -> np.ndarray:
        """RGB (height, width, 3) uint8 of a pose and a setpoint."""
        pos, quat = [float(v) for v in pos_world], [float(v) for v in quat_world_body]
        for body, place in self._parts:
            there, _ = pybullet.multiplyTransforms(pos, quat, place, [0, 0, 0, 1])
            self._move(body, there, quat)
        self._move(self._goal, [float(v) for v in goal], [0, 0, 0, 1])
        # whole pairs of tiles, so that the ground seems to stand still
        corner = [2 * TILE * round(v / (2 * TILE)) for v in pos[:2]]
        for body in self._ground:
            self._move(body, [*corner, 0.0], [0, 0, 0, 1])
        x, y, z, w = quat
        yaw = math.atan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))
        back = AWAY * self._reach
        eye = [
            pos[0] - back * math.cos(yaw),
            pos[1] - back * math.sin(yaw),
            max(pos[2] + ABOVE * self._reach, 0.1),
        ]
        return self._draw(pybullet.computeViewMatrix(eye, pos, [0, 0, 1]))

    def _draw(self, view: Sequence[float]) -> np.ndarray:
        width, height = self._size
        *_, rgba, depth, _ = pybullet.getCameraImage(
            width,
            height,
            view,
            self._projection,
            lightDirection=[1.0, 1.0, 3.0],
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        picture = np.array(rgba, dtype=np.uint8).reshape(height, width, 4)[..., :3].copy()
        far = np.asarray(depth, dtype=np.float32).reshape(height, width) >= BACKGROUND
        picture[far] = SKY
        return picture

    def _vehicle(self, vehicle: VehicleConfig) -> list[tuple[int, list[float]]]:
        """Bodies of the vehicle, each with its place in the body frame, m."""
        rotors = getattr(vehicle, "rotor_positions", ())
        if not rotors:
            half = [0.5 * side for side in vehicle.collision_size]
            return [(self._add(self._shape(pybullet.GEOM_BOX, BODY, halfExtents=half)), [0, 0, 0])]
        arm = max(math.hypot(x, y) for x, y, _ in rotors)
        half = [0.5 * arm, 0.25 * arm, 0.15 * arm]
        parts = [(self._add(self._shape(pybullet.GEOM_BOX, BODY, halfExtents=half)), [0, 0, 0])]
        for x, y, z in rotors:
            color = FRONT if x > 0 else REAR
            disc = self._shape(pybullet.GEOM_CYLINDER, color, radius=0.5 * arm, length=0.06 * arm)
            parts.append((self._add(disc), [x, y, z + 0.2 * arm]))
            leg = self._shape(pybullet.GEOM_SPHERE, BODY, radius=0.12 * arm)
            parts.append((self._add(leg), [0.6 * x, 0.6 * y, z]))
        return parts

    def _tiles(self, odd: int) -> int:
        vertices, indices = [], []
        for i in range(-TILES, TILES):
            for j in range(-TILES, TILES):
                if (i + j) % 2 == odd:
                    first = len(vertices)
                    corners = ((0, 0), (1, 0), (1, 1), (0, 1))
                    vertices += [[(i + a) * TILE, (j + b) * TILE, 0.0] for a, b in corners]
                    indices += [first, first + 1, first + 2, first, first + 2, first + 3]
        return self._shape(
            pybullet.GEOM_MESH,
            GROUND[odd],
            vertices=vertices,
            indices=indices,
            normals=[[0, 0, 1]] * len(vertices),
        )

    def _shape(self, kind: int, color: Sequence[float], **shape: Any) -> int:
        return pybullet.createVisualShape(
            kind, rgbaColor=[*color, 1.0], physicsClientId=self._client, **shape
        )

    def _add(self, visual: int, pos: Sequence[float] = (0, 0, 0), quat=(0, 0, 0, 1)) -> int:
        return pybullet.createMultiBody(
            0, -1, visual, list(pos), list(quat), physicsClientId=self._client
        )

    def _move(self, body: int, pos: Sequence[float], quat: Sequence[float]) -> None:
        pybullet.resetBasePositionAndOrientation(body, pos, quat, physicsClientId=self._client)
