"""Views with labels from the simulator, on which an eye learns to see before anything moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.observation import at_rest, observer_of
from liquid_control.frames import quat_from_rotation_vector, quat_from_yaw, quat_multiply
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.scenery.config import draw_scene
from liquid_control.sim.scenery.course import CourseConfig
from liquid_control.sim.scenery.grove import GroveConfig, target_of
from liquid_control.sim.scenery.road import RoadConfig
from liquid_control.sim.scenery.road_views import RoadPainter
from liquid_control.sim.sensors.camera import Camera
from liquid_control.structs import TRUTH, VELOCITY, Reading, TruthSample
from liquid_control.vehicles.car.pursuit import AHEAD
from liquid_control.vehicles.kind import VehicleConfig

VIEWS_A_SCENE = 32  # a new scene costs as much as five pictures
NEAREST, FARTHEST = 0.8, 9.0  # m from the target
FREE = 0.3  # m around the place of a view
HEIGHTS = 0.7, 2.2  # m
LOOKING_AWAY = 0.3  # share of the views whose heading is any
TILT = 0.12  # rad, 1 σ of roll and of pitch
_STILL = np.zeros(3)


class Views(Protocol):
    """One kind of scene."""

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pictures (B, height, width, 3) uint8, depths (B, height, width) m, and what the expert is
        told there (B, E) float32."""


class RoadLessons:
    """Views of a world's road, with what the named slots of its lane follower tell."""

    def __init__(
        self,
        world: WorldConfig,
        vehicle: VehicleConfig,
        slots: Sequence[str],
        rng: np.random.Generator,
    ):
        road = next(item for item in world.obstacles if isinstance(item, RoadConfig))
        height = 0.5 * vehicle.collision_size[2]
        self._painter = RoadPainter(road, world.camera, height, rng)
        self._slots = tuple(slots)

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Views`; what a picture can't tell is 0."""
        views = self._painter.draw(count, AHEAD)
        known = {
            "lane_deviation": views.offset[:, None],
            "lane_heading": views.heading[:, None],
            "lane_curvature": views.curvature,
        }
        nothing = np.zeros((count, 1), np.float32)
        told = [known.get(name, nothing) for name in self._slots]
        return views.pictures, views.depths, np.concatenate(told, axis=1).astype(np.float32)


class SceneLessons:
    """Views of a world's target and gates from places where a flight may lead, with what the named
    slots of its pilot tell; drawn by the camera of the world."""

    def __init__(
        self,
        world: WorldConfig,
        vehicle: VehicleConfig,
        slots: Sequence[str],
        rng: np.random.Generator,
    ):
        self._world, self._rng = world, rng
        self._observer = observer_of(vehicle.kind, VELOCITY).select(slots)

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Views`; what a picture can't tell is that of a vehicle at rest."""
        pictures, depths, told = [], [], []
        while len(pictures) < count:
            # one of its own: how often a generator has spawned is not in its state
            rng = np.random.default_rng(self._rng.integers(2**63))
            scene = draw_scene(self._world.obstacles, rng)
            camera = Camera(self._world.camera, scene, rng, depth=True)
            for _ in range(min(VIEWS_A_SCENE, count - len(pictures))):
                pos, quat = self._pose(scene)
                pictures.append(camera.image(pos, quat, _STILL, _STILL))
                depths.append(camera.depth)
                truth = TruthSample(
                    0, tuple(pos), tuple(quat), _STILL, _STILL, _STILL, _STILL, scene
                )
                situation = at_rest(VELOCITY)._replace(readings={TRUTH: Reading(truth, 0.0)})
                told.append(self._observer(situation))
            camera.close()
        return np.array(pictures), np.array(depths), np.array(told, np.float32)

    def _pose(self, scene: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """A free place from which something to fly to is seen, or not, (3,) m, and an attitude (4,)
        xyzw."""
        rng, columns = self._rng, [item.column for item in scene if hasattr(item, "column")]
        gates = [item for item in scene if hasattr(item, "missed")]
        goals = [target_of(scene), *gates]
        while True:
            goal = goals[rng.integers(len(goals))]
            away, around = rng.uniform(NEAREST, FARTHEST), rng.uniform(-math.pi, math.pi)
            if goal in gates:  # from before it
                away, around = rng.uniform(0.1, FARTHEST / 2), goal.heading + rng.uniform(2.2, 4.1)
            x, y, _ = goal.at(0.0)
            x, y = x + away * math.cos(around), y + away * math.sin(around)
            if all(math.dist((x, y), (c.x, c.y)) - c.radius > FREE for c in columns):
                break
        z = rng.uniform(*HEIGHTS)
        yaw = around + math.pi + rng.uniform(-0.9, 0.9)
        if rng.random() < LOOKING_AWAY:
            yaw = rng.uniform(-math.pi, math.pi)
        roll, pitch = TILT * rng.standard_normal(2)
        tilt = quat_from_rotation_vector(np.array([roll, pitch, 0.0]))
        return np.array([x, y, z]), quat_multiply(quat_from_yaw(np.float64(yaw)), tilt)


def views_of(
    world: WorldConfig, vehicle: VehicleConfig, slots: Sequence[str], rng: np.random.Generator
) -> Views:
    """The views that belong to a world.

    Raises:
        ConfigError: for a world of a kind that none are drawn of.
    """
    if any(isinstance(item, RoadConfig) for item in world.obstacles):
        return RoadLessons(world, vehicle, slots, rng)
    if any(isinstance(item, GroveConfig | CourseConfig) for item in world.obstacles):
        return SceneLessons(world, vehicle, slots, rng)
    raise ConfigError(f"views: {world.name}: expected a world with a road, a grove or a course")
