"""Rotor speeds as a command: its kernel, its rules, its backup, and the flight."""

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.control.observation import at_rest
from liquid_control.runtime.catalogue import check_topic, make_loop, make_parameters, make_rules
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor import step
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams
from liquid_control.vehicles.quadrotor.physics import rotor_speed_command, rotor_torque, wrench
from liquid_control.vehicles.quadrotor.rotors import ROTORS

LEVEL, STILL = (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0)


class Hovers:
    """Always the same speeds."""

    observation = ("pos_error", "previous_rotor_speed")
    command_kind = "rotors"
    speeds = (1.0,) * 4

    def step(self, observation, dt):
        return self.speeds


class GivesUp(Hovers):
    """After a second it has nothing more to say."""

    def __init__(self):
        self.left = 100

    def step(self, observation, dt):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("tired")
        return (1.0, 1.001, 1.0, 1.001)


def fly(policy, world="hover_calm", vehicle="crazyflie", **changes):
    changes = {"duration": 6.0, "vehicle": vehicle, **changes}
    flight = prepare(read_world(world, changes, source="test"), policy)
    with flight.world(2) as world:
        return flight, flight.fly(world)


def rotors_of(vehicle):
    return make_rules(vehicle, make_parameters(vehicle), command="rotors")


def test_the_two_kernels_are_one_vehicle(vehicle, rng):
    """Told the speeds that the rate loop asks for, it feels what it feels when told the rates."""
    loop = RateLoopParams.from_vehicle(vehicle)
    packed = step.pack(QuadrotorParams.from_vehicle(vehicle), loop)
    for _ in range(20):
        quat = rng.normal(size=4)
        quat = tuple((quat / np.linalg.norm(quat)).tolist())
        pos, vel, wind = (tuple(rng.normal(size=3).tolist()) for _ in range(3))
        speeds = tuple(rng.uniform(500, 2000, 4).tolist())
        command = (rng.uniform(5, 20), *rng.normal(size=3).tolist())
        rest = (1.0, speeds, 0.9, 0.8, 0.002, packed)
        rates = tuple(rng.normal(size=3).tolist())
        by_rates = step.vehicle_wrench(pos, quat, vel, rates, wind, command, *rest)
        wanted = rotor_speed_command(command[0], command[1:], by_rates[1], loop)
        assert step.rotor_wrench(pos, quat, vel, rates, wind, wanted, *rest) == by_rates


@pytest.mark.parametrize("name", ["crazyflie", "hummingbird"])
def test_one_carries_the_weight(name):
    ideal = {"imu": "imu_ideal", "odometry": "odometry_ideal"}
    start = {"pos_spread": 0.0, "vel_spread": 0.0, "tilt_deg": 0.0, "yaw_spread_deg": 0.0}
    start["pos"] = [0.0, 0.0, 9.0]  # above the ground effect
    flight, log = fly(Hovers, vehicle=name, duration=4.0, start=start, **ideal)
    assert flight.loop.rules.command is log.kind is ROTORS
    assert set(log.mode) == {"policy"}
    assert log.command.shape == (400, 4)
    np.testing.assert_allclose(log.actuators[50:], load_vehicle(name).hover_speed, rtol=1e-6)
    np.testing.assert_allclose(log.truth.pos_world[-1], [0.0, 0.0, 9.0], atol=0.01)


def test_it_knows_its_last_command(vehicle):
    rules = rotors_of(vehicle)
    assert "previous_rotor_speed" in rules.observer.layout.names
    assert "previous_thrust" not in rules.observer.layout.names
    assert rules.needs == {"imu": pytest.approx(0.02)}
    hover = vehicle.hover_speed
    assert rules.low == (vehicle.motor.min_speed / hover,) * 4
    assert rules.high == (vehicle.motor.max_speed / hover,) * 4
    # as thrust of the other kind may change
    slew = make_parameters(vehicle).output_gate.max_thrust_slew
    assert 2 * GRAVITY * rules.slew[0] == pytest.approx(slew)


@pytest.mark.parametrize("name", ["crazyflie", "hummingbird"])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1, -1])
def test_backup_turns_against_a_body_rate(name, axis, sign):
    """Speeds for a pure roll, pitch or yaw demand give a torque about that axis, of that sign."""
    vehicle = load_vehicle(name)
    rules, params = rotors_of(vehicle), QuadrotorParams.from_vehicle(vehicle)
    rates = np.zeros(3)
    rates[axis] = -0.5 * sign
    seen = at_rest(ROTORS)._replace(ang_vel_body=tuple(rates))
    speeds = tuple(vehicle.hover_speed * s for s in rules.backup.step(seen, 0.01))
    _, torque = wrench(1.0, LEVEL, STILL, STILL, speeds, (0.0,) * 4, params)
    assert sign * torque[axis] > 0
    others = [abs(torque[k]) for k in range(3) if k != axis]
    assert max(others) < 0.02 * abs(torque[axis])
    # yaw by reaction alone
    assert rotor_torque(speeds, (0.0,) * 4, STILL, STILL, params)[2] == pytest.approx(torque[2])


def test_backup_flies_on_in_rotor_speeds():
    """It holds the place in wind, which its observer of disturbances sees through the speeds."""
    _, log = fly(GivesUp, "hover_gusts", duration=8.0)
    assert "tired" in log.fault
    assert set(log.mode[150:]) == {"backup"}
    assert not log.crashed
    error = np.linalg.norm(log.truth.pos_world - log.setpoint_pos_world, axis=1)
    assert error[-300:].max() < 0.15


def test_without_commands_the_autopilot_lands_it(make_world):
    world = make_world()
    world.reset()
    for k in range(600):
        world.step(ROTORS.command(1.0, 1.0, 1.0, 1.0) if k < 50 else None)
    assert world.plant.failsafe
    assert not world.crashed
    assert world.state.pos_world[2] < 0.1


def test_what_no_vehicle_takes_is_named(vehicle):
    parameters = make_parameters(vehicle)
    with pytest.raises(
        ConfigError, match="a quadrotor takes the commands rates_thrust, velocity, rotors,"
    ):
        make_rules(vehicle, parameters, command="push")
    flight, _ = fly(Hovers, duration=4.0)
    loop = make_loop(flight.loop.policy, vehicle, parameters)
    with pytest.raises(ConfigError, match="commands rotors, which no topic carries"):
        check_topic(loop)


def test_its_metrics_are_those_of_its_command():
    from liquid_control.evaluation.metrics import flight_metrics

    _, log = fly(Hovers, duration=4.0)
    metrics = flight_metrics(log, after=1.0)
    assert metrics["rotor_speed_rms"] == pytest.approx(2.0)
    assert "thrust_rms_mps2" not in metrics


CHEATS = """
class Rotors:
    command_kind = "rotors"
    def step(self, observation, dt):
        return [1.0] * 4

class Told:
    observation = ("true_wind",)
    def step(self, observation, dt):
        return [9.8, 0.0, 0.0, 0.0]
"""


@pytest.mark.parametrize(
    ("policy", "reason"),
    [("Rotors", "commands rotors, which no topic carries"), ("Told", "observes true_wind, which")],
)
def test_what_flies_in_simulation_alone_is_refused_over_ros(tmp_path, policy, reason):
    """Before any process of a flight over ROS begins."""
    from liquid_control.session.flight import fly

    file = tmp_path / "cheats.py"
    file.write_text(CHEATS)
    with pytest.raises(ConfigError, match=reason):
        fly("hover_calm", f"{file}:{policy}", ros=True)
    prepare("hover_calm", f"{file}:{policy}")


def test_a_suite_flies_it_beside_others(tmp_path):
    """Each row keeps the metrics of the command that flew."""
    from liquid_control.evaluation.suite.config import load_suite
    from liquid_control.evaluation.suite.flights import run_suite
    from liquid_control.evaluation.suite.summary import Summary

    file = tmp_path / "cheats.py"
    file.write_text(CHEATS)
    suite = load_suite(
        "storm",
        policies={"rotors": [f"{file}:Rotors"]},
        only=["rotors", "geometric"],
        conditions=["calm"],
        flights=1,
    )
    rows = {row["policy"]: row for row in run_suite(suite, tmp_path / "out")}
    assert rows["rotors"]["rotor_speed_rms"] == pytest.approx(2.0)
    assert "rate_rms_radps" in rows["geometric"]
    assert not set(rows["rotors"]) & {"rate_rms_radps", "thrust_rms_mps2"}
    results = Summary(suite, list(rows.values()), "").to_dict()
    assert results["metrics"]["rmse_m"]["calm"]["geometric"]["mean"] < 0.02
