"""RAPTOR: what it is shown and what becomes of its actions, by geometry and in flight."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from liquid_control.config import ConfigError, MissingPackages
from liquid_control.evaluation.suite.config import load_suite
from liquid_control.frames import quat_from_rotation_vector, quat_multiply, rotate_inverse
from liquid_control.peers.raptor import PERIOD, Raptor, rotor_order
from liquid_control.runtime.catalogue import make_controller, make_parameters
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.params import QuadrotorParams
from liquid_control.vehicles.quadrotor.physics import wrench

FAST = {"control_rate": 400, "physics_rate": 1200, "imu": {"update_rate": 400.0}}


def turned(vehicle, degrees, flip=False, shuffle=(0, 1, 2, 3)):
    """The same vehicle with its rotors elsewhere, turning the other way, or counted otherwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    positions = [(c * x - s * y, s * x + c * y, z) for x, y, z in vehicle.rotor_positions]
    directions = [-d if flip else d for d in vehicle.rotor_directions]
    changes = {
        "rotor_positions": tuple(positions[i] for i in shuffle),
        "rotor_directions": tuple(directions[i] for i in shuffle),
    }
    return vehicle.model_copy(update=changes)


ALIKE = {
    "as it is": (0.0, False, (0, 1, 2, 3)),
    "other senses": (0.0, True, (0, 1, 2, 3)),
    "plus": (45.0, False, (0, 1, 2, 3)),
    "plus, other senses": (45.0, True, (0, 1, 2, 3)),
    "counted otherwise": (0.0, False, (2, 0, 3, 1)),
    "a little askew": (12.0, True, (3, 1, 0, 2)),
}


@pytest.fixture
def scripted(monkeypatch):
    """In place of the package: a policy that keeps what it is shown and acts as it is told."""

    class Memory:
        state = None

    class Policy:
        def __init__(self):
            self.layers, self.seen, self.told = [Memory()], [], np.zeros(4)

        def reset(self):
            self.layers[0].state = np.zeros((1, 16))

        def evaluate_step(self, observation):
            assert observation.shape == (1, 22)
            self.seen.append(observation[0])
            self.layers[0].state = self.layers[0].state + 1
            return np.array([self.told])

    monkeypatch.setitem(sys.modules, "foundation_policy", SimpleNamespace(Raptor=Policy))
    monkeypatch.setattr("liquid_control.peers.raptor.require_packages", lambda *_: None)


def observation(pos=(0, 0, 0), vel=(0, 0, 0), quat=(0, 0, 0, 1), ang_vel=(0, 0, 0), yaw=0.0):
    """Our slots, of a motion relative to the setpoint in the world."""
    quat = np.array(quat, float)
    heading = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    world = (-np.array(pos), -np.array(vel), np.array([0.0, 0.0, 1.0]), heading)
    parts = [rotate_inverse(quat, np.asarray(v, float)) for v in world]
    return np.concatenate([*parts, np.asarray(ang_vel, float)])


@pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE)
@pytest.mark.parametrize("name", ["crazyflie", "hummingbird"])
def test_its_rotors_are_found_by_place_and_sense(scripted, name, alike):
    """A torque in its own frame has the sign that its rotor layout says."""
    vehicle = turned(load_vehicle(name), *alike)
    policy, params = Raptor(vehicle), QuadrotorParams.from_vehicle(vehicle)
    # front right, back right, back left, front left: what more speed of some does to its body
    roll, pitch, yaw = (-1, -1, 1, 1), (-1, 1, 1, -1), (-1, 1, -1, 1)
    for axis, change in enumerate((roll, pitch, yaw)):
        policy._policy.told = -0.4 + 0.1 * np.array(change)
        command = policy.step(observation(), PERIOD)
        speeds = tuple((vehicle.hover_speed * command).tolist())
        still = (0.0, 0.0, 0.0)
        _, torque = wrench(9.0, (0.0, 0.0, 0.0, 1.0), still, still, speeds, (0.0,) * 4, params)
        torque = policy._view @ np.array(torque)  # in the frame that it is shown
        assert torque[axis] > 0
        assert np.abs(np.delete(torque, axis)).max() < 0.3 * torque[axis]
        # from −1 for standstill to 1 for the largest speed
        shares = np.sort(command * vehicle.hover_speed / vehicle.motor.max_speed)
        np.testing.assert_allclose(shares, [0.25, 0.25, 0.35, 0.35])


def test_the_vehicles_that_ship_look_as_it_knows_them(vehicle):
    assert rotor_order(vehicle) == (pytest.approx(0.0, abs=1e-12), (1, 2, 3, 0))


def test_a_plus_is_met_by_an_eighth_of_a_turn(vehicle):
    turn, order = rotor_order(turned(vehicle, 45.0))
    assert abs(turn) == pytest.approx(math.pi / 4)
    # other senses: the side is its front
    turn, order = rotor_order(turned(vehicle, 0.0, flip=True))
    assert abs(turn) == pytest.approx(math.pi / 2)
    assert [vehicle.rotor_directions[i] for i in order] == [-1, 1, -1, 1]


def test_other_rotors_are_refused(vehicle):
    side_by_side = vehicle.model_copy(update={"rotor_directions": (1, 1, -1, -1)})
    with pytest.raises(ConfigError, match=r"crazyflie has rotor_positions .* rotor_directions"):
        rotor_order(side_by_side)
    (x, _, z), *rest = vehicle.rotor_positions
    with pytest.raises(ConfigError, match="RAPTOR flies rotors in a square"):
        rotor_order(vehicle.model_copy(update={"rotor_positions": ((x, 0.0, z), *rest)}))


def test_it_is_shown_what_its_authors_show_it(scripted, vehicle, rng):
    """Errors and attitude in a level frame of the wanted heading, rates in the body's."""
    policy = Raptor(vehicle)
    yaw, pos, vel = 0.8, np.array([0.1, -0.7, 0.3]), np.array([0.2, 2.0, -0.4])
    quat = quat_from_rotation_vector(0.5 * rng.normal(size=3))
    ang_vel = rng.normal(size=3)
    policy.step(observation(pos, vel, quat, ang_vel, yaw), PERIOD)
    (seen,) = policy._policy.seen
    c, s = math.cos(yaw), math.sin(yaw)
    level = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    axes = np.stack([rotate_inverse(quat, axis) for axis in np.eye(3)])  # body to world
    np.testing.assert_allclose(seen[:3], np.clip(level @ pos, -0.5, 0.5))
    np.testing.assert_allclose(seen[3:12].reshape(3, 3), level @ axes, atol=1e-12)
    np.testing.assert_allclose(seen[12:15], np.clip(level @ vel, -1.0, 1.0))
    np.testing.assert_array_equal(seen[15:18], ang_vel)
    np.testing.assert_array_equal(seen[18:], 0.0)


def test_a_turned_vehicle_is_shown_as_an_upright_one(scripted, vehicle, rng):
    """The same motion of the frame that it knows: rotors elsewhere in the body change nothing."""
    quat = quat_from_rotation_vector(0.4 * rng.normal(size=3))
    ang_vel = rng.normal(size=3)
    seen = []
    for degrees in (0.0, 30.0, -75.0):
        policy = Raptor(turned(vehicle, degrees))
        view = policy._view  # from the body to the frame that it knows
        back = quat_from_rotation_vector(np.array([0.0, 0.0, math.atan2(view[1, 0], view[0, 0])]))
        turn = math.atan2(view[0, 1], view[0, 0])
        state = {"pos": [0.1, 0.2, -0.1], "vel": [0.3, 0.1, 0.2], "ang_vel": view.T @ ang_vel}
        policy.step(observation(**state, quat=quat_multiply(quat, back), yaw=-turn), PERIOD)
        seen.append(policy._policy.seen[0])
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-12)
    np.testing.assert_allclose(seen[2], seen[0], atol=1e-12)


@pytest.mark.parametrize(("rate", "steps"), [(100, 1), (200, 2), (400, 4), (50, 1)])
def test_its_memory_steps_at_a_hundred_hertz(scripted, vehicle, rate, steps):
    policy = Raptor(vehicle)
    memory, actions = [], [np.zeros(4)]
    for k in range(8):
        policy._policy.told = np.full(4, 0.1 * k - 0.3)
        policy.step(observation(), 1 / rate)
        memory.append(policy.neurons[0])
        # the mean of the actions since the memory's step, of those that were told by then
        since = actions[-((k - 1) % steps + 1) :] if k else actions
        np.testing.assert_allclose(policy._policy.seen[-1][18:], np.mean(since, axis=0), atol=1e-12)
        actions.append(policy._policy.told)
    assert memory == [1 + k // steps for k in range(8)]
    policy.reset()
    assert policy.neurons[0] == 0
    policy.step(observation(), 1 / rate)
    assert not policy._policy.seen[-1][18:].any()


def test_without_its_package_one_line_says_so(vehicle, monkeypatch):
    monkeypatch.setitem(sys.modules, "foundation_policy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackages, match=r"this needs foundation_policy: pip install .*peers"):
        make_controller("raptor", vehicle, make_parameters(vehicle))


def test_a_suite_leaves_it_out_and_says_why(tmp_path, monkeypatch):
    def missing(*_):
        raise MissingPackages("this needs foundation_policy: pip install it")

    monkeypatch.setattr("liquid_control.peers.raptor.require_packages", missing)
    options = {"policies": {"peer": ["raptor"]}, "conditions": ["calm"], "flights": 1}
    suite = load_suite("storm", **options)
    assert list(suite.absent) == ["peer"]
    assert suite.absent["peer"].endswith("this needs foundation_policy: pip install it")
    assert "peer" not in {cell.policy for cell in suite.chosen}
    with pytest.raises(MissingPackages, match="foundation_policy"):
        load_suite("storm", only=["peer"], **options)


class TestFlights:
    """With its own weights."""

    @pytest.fixture(autouse=True)
    def package(self):
        pytest.importorskip("foundation_policy")

    def error(self, world="hover_calm", seed=3, **changes):
        scenario = read_world(world, {"duration": 8.0, **changes}, source="test")
        flight = prepare(scenario, "raptor")
        with flight.world(seed) as world:
            log = flight.fly(world)
        assert set(log.mode[10:]) == {"policy"}  # once all sensors have come
        assert not log.crashed
        return np.linalg.norm((log.truth.pos_world - log.setpoint_pos_world)[-300:], axis=1)

    @pytest.mark.parametrize(("name", "largest"), [("crazyflie", 0.02), ("hummingbird", 0.06)])
    def test_it_hovers_within_centimetres(self, name, largest):
        """Every vehicle that ships, turned and counted in any way; they weigh 27 g and 0.5 kg."""
        assert self.error(vehicle=name, **FAST).max() < largest

    @pytest.mark.parametrize("alike", ALIKE.values(), ids=ALIKE)
    def test_it_hovers_whatever_the_rotors(self, alike, tmp_path):
        vehicle = turned(load_vehicle("crazyflie"), *alike)
        scenario = read_world("hover_calm", {"duration": 6.0, **FAST}, source="test")
        flight = prepare(scenario, "raptor", vehicle=vehicle)
        with flight.world(4) as world:
            log = flight.fly(world)
        error = np.linalg.norm(log.truth.pos_world - log.setpoint_pos_world, axis=1)
        assert set(log.mode) == {"policy"}
        assert error[-200:].max() < 0.03

    @pytest.mark.parametrize(("lag", "least", "most"), [(0.035, 0.1, 0.2), (0.05, 0.0, 0.02)])
    def test_at_a_hundred_hertz_fast_motors_set_it_aside(self, lag, least, most):
        """Its attitude chatters where motors are as fast as any that it was trained with."""
        vehicle = load_vehicle("crazyflie")
        changes = {"time_constant_up": lag, "time_constant_down": lag}
        vehicle = vehicle.model_copy(update={"motor": vehicle.motor.model_copy(update=changes)})
        flight = prepare(
            read_world("hover_calm", {"duration": 6.0}, source="test"), "raptor", vehicle=vehicle
        )
        with flight.world(4) as world:
            log = flight.fly(world)
        error = np.linalg.norm(log.truth.pos_world - log.setpoint_pos_world, axis=1)[-200:]
        assert least < error.mean() < most

    def test_it_flies_in_wind(self):
        assert np.sqrt((self.error("hover_gusts", **FAST) ** 2).mean()) < 0.25

    def test_noise_of_the_sensors_does_not_reach_it(self):
        noisy = {"odometry": {"extends": "mocap", "position_noise": 0.1, "dropout": 0.5}}
        # but by rounding, where the setpoint is brought within reach of what is measured
        np.testing.assert_allclose(self.error(), self.error(**noisy), atol=1e-4)
