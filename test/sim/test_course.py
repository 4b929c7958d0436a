"""Courses of gates: where they stand, how they are passed and missed, what is told of them."""

import math

import numpy as np
import pytest

from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.sim.scenery.config import draw_scene
from liquid_control.sim.scenery.course import CourseConfig, Gate
from liquid_control.sim.world import World
from liquid_control.structs import VELOCITY, TruthSample
from liquid_control.training.views import views_of
from liquid_control.vehicles.quadrotor.gate_sight import SLOTS, gate_seen

STILL = (0.0, 0.0, 0.0)


def gates_of(seed, **keys):
    config = CourseConfig(**{"shape": "course", **keys})
    scene = draw_scene([config], np.random.default_rng(seed))
    return scene, [item for item in scene if isinstance(item, Gate)]


def truth(scene, pos, yaw=0.0, time=0.0):
    quat = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    return TruthSample(round(time * 1e9), pos, quat, STILL, STILL, STILL, STILL, scene)


def test_they_stand_in_a_row_and_the_ball_behind_them():
    scene, gates = gates_of(1, gates=3, spacing=4.0, aside=0.5, yaw_deg=90.0, turn_deg=10.0)
    for number, gate in enumerate(gates, 1):
        assert gate.pos == pytest.approx((-0.5, 4.0 * number, 1.3))
        assert gate.heading == pytest.approx(math.radians(100))
    assert scene[0].pos == pytest.approx((0.0, 16.0, 1.3))


def test_one_that_sways_comes_back():
    _, (gate,) = gates_of(2, gates=1, swaying=1.0, sway=0.4, period=6.0)
    places = np.array([gate.at(t) for t in np.arange(0, 6, 0.01)])
    assert np.ptp(places[:, 1]) == pytest.approx(0.8, abs=1e-3)
    assert np.ptp(places[:, [0, 2]], axis=0) == pytest.approx([0, 0])
    assert gate.at(1.3) == pytest.approx(gate.at(7.3))


@pytest.mark.parametrize(
    ("aside", "up", "missed"),
    [
        (0.0, 0.0, False),
        (0.55, 0.0, False),
        (0.65, 0.0, True),
        (-0.2, 0.65, True),
        (0, -0.65, True),
    ],
)
def test_what_leads_past_beside_the_opening_misses(aside, up, missed):
    _, (gate,) = gates_of(3, gates=1, opening=1.2, yaw_deg=30.0)
    cos, sin = math.cos(gate.heading), math.sin(gate.heading)

    def place(behind):
        x, y, z = gate.pos
        return x + behind * cos - aside * sin, y + behind * sin + aside * cos, z + up

    assert gate.missed(place(-0.01), place(0.01), 0.0) is missed
    assert not gate.missed(place(-0.03), place(-0.01), 0.0)
    assert not gate.missed(place(0.01), place(0.03), 0.0)
    assert not gate.missed(place(0.01), place(-0.01), 0.0)


def test_a_flight_that_misses_a_gate_ends(vehicle):
    """Told to fly along beside the row."""
    world = read_world(
        "gate_course", {"wind": [], "start": {"pos": [0.0, 2.0, 1.2], "yaw_spread_deg": 0.0}}
    )
    with World(world, vehicle, 1) as flown:
        for _ in range(400):
            flown.step(VELOCITY.command(1.5, 0.0, 0.0, 0.0))
            if flown.crashed:
                break
        assert flown.crash_reason == "missed gate 1"
        assert flown.truth[0][0] > min(g.at(0)[0] for g in flown.scene[1:]) - 0.5


@pytest.mark.parametrize(("height", "reason"), [(1.3, ""), (2.1, "hit an obstacle")])
def test_a_bar_can_be_hit_and_the_opening_not(vehicle, height, reason):
    start = {"pos": [0.0, 0.0, height], "pos_spread": 0.0, "yaw_spread_deg": 0.0, "vel_spread": 0.0}
    row = {"shape": "course", "gates": 1, "spacing": 2.0, "bar": 0.4}
    changes = {"wind": [], "vehicle_spread": 0.0, "start": start, "obstacles": [row]}
    with World(read_world("gate_course", changes), vehicle, 1) as flown:
        for _ in range(130):
            flown.step(VELOCITY.command(1.2, 0.0, 0.0, 0.0))
        assert flown.crash_reason == reason
        assert (flown.truth[0][0] > 2.3) is (not reason)


def test_the_next_gate_is_told_and_a_passed_one_is_not():
    scene, gates = gates_of(4, gates=2, spacing=3.0)
    before = gate_seen(truth(scene, (1.0, 0.5, 1.3)))
    assert before == pytest.approx((2.0, -0.5, 0.0, 0.0))
    assert gate_seen(truth(scene, (3.1, 0.0, 1.3)))[0] == pytest.approx(2.9)
    assert gate_seen(truth(scene, (1.0, 0.5, 1.3), yaw=0.2))[3] == pytest.approx(-0.2)
    assert gate_seen(truth(scene, (1.0, 0.5, 1.3), yaw=2.0)) is None
    assert gate_seen(truth(scene, (gates[1].pos[0] + 1, 0.0, 1.3))) is None


def test_views_are_labelled_as_the_pilot_would_be(vehicle):
    views = views_of(read_world("gate_training"), vehicle, SLOTS, np.random.default_rng(1))
    pictures, _, told = views.draw(64)
    assert pictures.shape == (64, 60, 80, 3)
    seen = told[:, 3] > 0
    assert 0.4 < seen.mean() < 0.95
    assert np.linalg.norm(told[seen, :3], axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_pilot_flies_through(seed):
    flight = prepare("gate_course", "gate_pilot")
    with flight.world(seed) as flown:
        log = flight.fly(flown)
        last = flown.scene[-1].pos
    assert not log.crashed, log.crash_reason
    assert log.truth.pos_world[-1, 0] > last[0]
