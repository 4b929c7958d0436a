"""Roads that the seed draws, and the views of them that are painted without PyBullet."""

import math

import numpy as np
import pytest

pytest.importorskip("pybullet")

from liquid_control.config import ConfigError
from liquid_control.evaluation.columns import position_error
from liquid_control.frames import quat_from_yaw
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import load_world, read_world
from liquid_control.sim.scenery.config import draw_scene
from liquid_control.sim.scenery.road import SPACING, Road, RoadConfig, road_of
from liquid_control.sim.scenery.road_views import RoadPainter
from liquid_control.sim.sensors.camera import Camera
from liquid_control.sim.world import World
from liquid_control.vehicles.catalogue import load_vehicle

CAR = load_vehicle("car")


def road(seed, **keys):
    return Road(RoadConfig(shape="road", **keys), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(8))
def test_a_road_is_as_its_file_says(seed):
    one = road(seed, min_radius=30.0, max_turn_deg=60.0, yaw_deg=20.0, pos=(3.0, -2.0, 0.0))
    steps = np.linalg.norm(np.diff(one.points, axis=0), axis=1)
    np.testing.assert_allclose(steps, SPACING, rtol=1e-9)
    assert np.abs(one.curvatures).max() <= 1 / 30 + 1e-12
    turned = np.degrees(one.headings) - 20.0
    assert np.abs(turned).max() <= 60.0 + 1e-6
    assert one.headings[0] == pytest.approx(math.radians(20.0))
    assert one.points[0].tolist() == [3.0, -2.0]


@pytest.mark.parametrize("seed", range(4))
def test_a_place_on_the_road_is_found_again(seed):
    one, rng = road(seed, length=400.0), np.random.default_rng(seed)
    for s, offset in zip(rng.uniform(5, 390, 40), rng.uniform(-1.5, 1.5, 40), strict=True):
        x, y = one.point(s, offset)
        place = one.locate(x, y)
        assert place.s == pytest.approx(s, abs=0.15)
        assert place.offset == pytest.approx(offset, abs=0.02)
        assert place.curvature == one.curvature(place.s)


def test_the_seed_picks_the_road_and_nothing_else_does():
    scenario = load_world("lane_keeping")
    points = []
    for seed in (1, 1, 2):
        with World(scenario, CAR, seed) as world:
            points.append(road_of(world.scene).points)
    np.testing.assert_array_equal(points[0], points[1])
    assert np.abs(points[0] - points[2]).max() > 1.0


def test_a_drive_needs_a_road():
    with pytest.raises(ConfigError, match=r"task.0: drive needs an obstacle of the shape 'road'"):
        read_world("hover_calm", {"task": [{"kind": "drive", "speed": 8.0, "duration": 5.0}]})


@pytest.mark.parametrize("world", ["lane_keeping", "lane_training"])
def test_the_teacher_keeps_the_lane(world):
    """Wherever it teaches: it is never far from the middle, whatever the road and the car."""
    flight = prepare(world, "pursuit")
    for seed in range(4):
        with flight.world(seed) as there:
            log = flight.fly(there, duration=20.0)
        assert not log.crashed, log.crash_reason
        assert not log.fault
        assert position_error(log)[250:].mean() < 0.08


def test_the_setpoint_is_the_nearest_place_in_the_lane():
    with World(load_world("lane_keeping"), CAR, 3) as world:
        one = road_of(world.scene)
        x, y, _ = world.truth[0]
        setpoint, place = world.setpoint(), one.locate(x, y)
        away = math.hypot(setpoint.pos_world[0] - x, setpoint.pos_world[1] - y)
        assert away == pytest.approx(abs(place.offset), abs=1e-3)
        assert setpoint.yaw == pytest.approx(place.heading)
        assert np.linalg.norm(setpoint.vel_world) == pytest.approx(8.0)


def paint_of(rgb, dark):
    """Where a picture is brighter than the asphalt and the grass, which are dark."""
    return rgb.min(axis=-1) > dark


def test_a_painted_view_is_what_the_camera_sees():
    """Lines, asphalt and horizon are in the same pixels as in the picture that PyBullet draws."""
    look = {"ground": [[0.1, 0.3, 0.1], [0.1, 0.3, 0.1]], "light_toward_deg": 0.0}
    world = read_world(
        "lane_keeping",
        {
            "camera": {"appearance": look},
            "obstacles": [
                {
                    **{"shape": "road", "straight": 1.0, "color": [0.1, 0.1, 0.1]},
                    "markings": {"dash": 900.0, "gap": 0.1, "color": [1.0, 1.0, 1.0]},
                }
            ],
        },
    )
    height = 0.5 * CAR.collision_size[2]
    painter = RoadPainter(world.obstacles[0], world.camera, height, np.random.default_rng(0))
    views = painter.draw(12, (0.0, 10.0))
    assert not views.curvature.any()
    scene = draw_scene(world.obstacles, np.random.default_rng(0))
    camera = Camera(world.camera, scene, np.random.default_rng(0), depth=True)
    same, lines = [], []
    for picture, depth, offset, heading in zip(*views[:4], strict=True):
        pos = np.array([150.0, offset, height])
        seen = camera.image(pos, quat_from_yaw(np.float64(heading)), np.zeros(3), np.zeros(3))
        below = np.isfinite(depth) & np.isfinite(camera.depth)
        np.testing.assert_allclose(camera.depth[below], depth[below], rtol=0.03)
        painted, drawn = paint_of(picture, 150), paint_of(seen, 110)
        same.append((painted == drawn)[below].mean())
        lines.append((painted & drawn)[below].sum() / max((painted | drawn)[below].sum(), 1))
    camera.close()
    assert min(same) > 0.97
    assert np.mean(lines) > 0.7


def test_a_camera_loses_as_many_images_as_its_file_says():
    world = read_world("lane_keeping", {"camera": {"loss": 0.4}})
    with World(world, CAR, 1) as there:
        stamps = set()
        for _ in range(1000):
            frame = there.step(None)
            if frame.image is not None:
                stamps.add(frame.image.sample.stamp)
    assert 0.5 < len(stamps) / 500 < 0.7
