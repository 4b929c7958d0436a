"""A target among trees: what the seed draws, what is told of it, and the pilot that is told."""

import math

import numpy as np
import pytest

from liquid_control.control.observation import at_rest, observer_of
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.sim.scenery.config import BoxConfig, CylinderConfig, draw_scene
from liquid_control.sim.scenery.grove import (
    CLEAR_START,
    CLEAR_TARGET,
    SPACING,
    GroveConfig,
    Target,
    target_of,
)
from liquid_control.sim.sensors.camera import Camera
from liquid_control.structs import TRUTH, VELOCITY, Reading, TruthSample
from liquid_control.training.views import views_of
from liquid_control.vehicles.quadrotor.sight import FAN, SLOTS, clearance, target_seen

STILL = (0.0, 0.0, 0.0)


def grove(**keys):
    return GroveConfig(**{"shape": "grove", "distance": 6.0, "height": 1.2, **keys})


def scene_of(seed, **keys):
    return draw_scene([grove(**keys)], np.random.default_rng(seed))


def truth(scene, pos=(0.0, 0.0, 1.2), yaw=0.0, time=0.0):
    quat = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    return TruthSample(round(time * 1e9), pos, quat, STILL, STILL, STILL, STILL, scene)


@pytest.mark.parametrize("seed", range(8))
def test_trees_keep_their_distances(seed):
    scene = scene_of(seed, trees=20, bearing_deg={"uniform": [-180, 180]})
    target = target_of(scene)
    trunks = [np.array(item.pos[:2]) for item in scene if isinstance(item, CylinderConfig)]
    assert len(trunks) == 20
    for k, trunk in enumerate(trunks):
        assert np.linalg.norm(trunk) > CLEAR_START
        assert np.linalg.norm(trunk - target.pos[:2]) > CLEAR_TARGET
        assert all(np.linalg.norm(trunk - other) > SPACING for other in trunks[:k])


def test_where_there_is_no_room_there_are_fewer():
    trunks = [i for i in scene_of(1, trees=100) if isinstance(i, CylinderConfig)]
    assert 10 < len(trunks) < 100


def test_a_target_that_moves_keeps_its_speed_and_stays_near():
    target = Target(grove(speed=0.7), np.random.default_rng(2))
    places = np.array([target.at(t) for t in np.arange(0, 100, 0.05)])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1) / 0.05
    assert steps.max() == pytest.approx(0.7, rel=1e-6)
    assert np.median(steps) > 0.69
    assert np.linalg.norm(places - places[0], axis=1).max() < 12.0
    for time in (0.1, 3.3, 50.2):
        ahead = (np.array(target.at(time + 1e-4)) - target.at(time)) / 1e-4
        assert ahead == pytest.approx(target.velocity(time), abs=1e-6)


def test_when_it_can_be_seen():
    hides = Target(
        grove(hidden={"first": 2.0, "span": 3.0, "every": 10.0}), np.random.default_rng(0)
    )
    assert [hides.is_shown(t) for t in (0, 1.9, 2.1, 4.9, 5.1, 11.9, 12.1)] == [
        *(True, True, False, False, True, True, False)
    ]
    gone = Target(grove(hidden={"first": 2.0, "span": 0.0}), np.random.default_rng(0))
    assert gone.is_shown(1.0)
    assert not gone.is_shown(2.1)
    assert not gone.is_shown(500.0)


@pytest.mark.parametrize("yaw", [-0.6, 0.0, 0.4])
def test_the_target_is_told_where_the_camera_sees_it(yaw):
    """Red pixels are where the pinhole says, and none where it is hidden."""
    world = read_world("target_approach")
    scene = scene_of(3)
    camera = Camera(world.camera, scene, np.random.default_rng(0))
    quat = np.array([0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)])
    pos = np.array([0.0, 0.0, 1.2])
    picture = camera.image(pos, quat, np.zeros(3), np.zeros(3)).astype(int)
    camera.close()
    red = (picture[..., 0] > 100) & (picture[..., 1] < 80) & (picture[..., 2] < 80)
    rows, columns = np.nonzero(red)
    ahead, left, up = target_seen(truth(scene, tuple(pos), yaw))
    assert columns.mean() + 0.5 == pytest.approx(40 - 40 * left / ahead, abs=1.5)
    assert rows.mean() + 0.5 == pytest.approx(30 - 40 * up / ahead, abs=1.5)


def test_what_is_hidden_is_not_seen():
    scene = scene_of(3, hidden={"first": 1.0, "span": 2.0})
    world = read_world("target_approach")
    camera = Camera(world.camera, scene, np.random.default_rng(0))
    place = np.array([0.0, 0.0, 1.2]), np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3), np.zeros(3)
    reds = [(camera.image(*place, t)[..., 0].astype(int) > 180).sum() for t in (0.5, 1.5, 3.5)]
    camera.close()
    told = [target_seen(truth(scene, time=t)) is None for t in (0.5, 1.5, 3.5)]
    assert told == [False, True, False]
    assert reds[0] == reds[2] > reds[1]


def test_a_trunk_before_it_hides_it_and_is_told():
    target = scene_of(3)[0]
    trunk = CylinderConfig(shape="cylinder", pos=(3.0, 0.0, 1.5), size=(0.8, 0.8, 3.0))
    low = BoxConfig(shape="box", pos=(3.0, 0.0, 0.2), size=(0.8, 0.8, 0.4))
    assert target_seen(truth((target, trunk))) is None
    assert target_seen(truth((target, low))) is not None
    told = clearance(truth((target, trunk)))
    assert told[FAN.index(0.0)] == pytest.approx(1 / 2.6)
    assert told[0] == told[-1] == 0.0
    assert set(clearance(truth((target, low)))) == {0.0}
    # out of view it is not seen either
    assert target_seen(truth((target,), yaw=1.0)) is None
    assert clearance(truth((target, trunk), yaw=math.radians(-12)))[
        FAN.index(math.radians(12))
    ] == pytest.approx(1 / 2.6)


def test_at_rest_nothing_is_told():
    observer = observer_of("quadrotor", VELOCITY).select(SLOTS)
    assert not observer(at_rest(VELOCITY)).any()


def test_views_are_labelled_as_the_pilot_would_be(vehicle):
    views = views_of(read_world("target_approach"), vehicle, SLOTS, np.random.default_rng(5))
    pictures, depths, told = views.draw(128)
    assert pictures.shape == (128, 60, 80, 3)
    assert depths.shape == (128, 60, 80)
    assert told.shape == (128, 3 + 1 + len(FAN) + 3 + 3 + 1)
    direction, near = told[:, :3], told[:, 4 : 4 + len(FAN)]
    seen = told[:, 3] > 0
    assert 0.3 < seen.mean() < 0.95
    assert np.linalg.norm(direction[seen], axis=1) == pytest.approx(1.0, abs=1e-5)
    assert not direction[~seen].any()
    # what is told to be near is near in the picture: the middle direction's columns
    middle = depths[:, 20:30, 39:41].min(axis=(1, 2))
    blocked = near[:, len(FAN) // 2] > 1 / 4
    assert blocked.sum() > 5
    assert (middle[blocked] < 4.6).mean() > 0.8


def test_another_sample_of_the_same_scene_is_told_anew():
    scene = scene_of(3)
    moved = target_seen(truth(scene, (1.0, 0.0, 1.2)))
    assert target_seen(truth(scene))[0] == pytest.approx(moved[0] + 1.0)
    assert target_seen(truth(scene_of(4, bearing_deg=180.0))) is None
    assert target_seen(truth(scene))[0] == pytest.approx(moved[0] + 1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_pilot_gets_there(seed):
    """Targets behind it too, among trees, in gusts; it turns until it sees, and stops before it."""
    world = read_world("target_approach", {"duration": 20.0})
    flight = prepare(world, "pilot")
    with flight.world(seed) as flown:
        log = flight.fly(flown)
        target = np.array(target_of(flown.scene).pos)
    assert not log.crashed
    away = np.linalg.norm((log.truth.pos_world - target)[log.time > 17, :2], axis=1)
    assert away == pytest.approx(1.5, abs=0.6)


def test_a_pilot_remembers_and_forgets(vehicle):
    """Out of sight it flies on to where the target was; later it turns to look for it."""
    from liquid_control.runtime.catalogue import make_controller, make_parameters

    pilot, _ = make_controller("pilot", vehicle, make_parameters(vehicle))
    observer = observer_of("quadrotor", VELOCITY).select(SLOTS)
    scene = scene_of(3)

    def told(scene):
        situation = at_rest(VELOCITY)
        if scene:
            situation = situation._replace(readings={TRUTH: Reading(truth(scene), 0.0)})
        return observer(situation)

    assert pilot.step(told(()), 0.02)[3] == pilot.gains.search_rate
    assert pilot.step(told(scene), 0.02)[0] > 1.0
    for _ in range(100):
        on = pilot.step(told(()), 0.02)
    assert on[0] > 1.0
    for _ in range(300):
        on = pilot.step(told(()), 0.02)
    assert on.tolist() == [0.0, 0.0, 0.0, pilot.gains.search_rate]
