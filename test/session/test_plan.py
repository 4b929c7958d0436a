"""What the nodes of a flight are told."""

from pathlib import Path

import pytest

pytest.importorskip("pybullet")

from liquid_control.config import ConfigError
from liquid_control.parameters import RecorderParameters, SimulatorParameters, parameter_table
from liquid_control.session.plan import plan_flight
from liquid_control.sim.flight import default_policy
from liquid_control.sim.scenario import load_world, read_world
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters

TABLES = {
    "controller": QuadrotorParameters,
    "simulator": SimulatorParameters,
    "recorder": RecorderParameters,
}


@pytest.fixture
def nodes():
    scenario = load_world("motor_fault")
    recording = Path("flight.mcap")
    planned = plan_flight("motor_fault", scenario, "geometric", seed=3, recording=recording)
    return {node.name: dict(node.parameters) for node in planned}


def test_every_parameter_is_in_its_node_s_table(nodes):
    assert nodes.keys() == TABLES.keys()
    for name, given in nodes.items():
        rows = {row.name: row for row in parameter_table(TABLES[name])}
        for key, value in given.items():
            assert isinstance(value, rows[key].type), (name, key)


def test_controller_has_vehicle_and_rate_of_the_world(nodes):
    scenario = load_world("motor_fault")
    controller = nodes["controller"]
    assert controller["vehicle"] == nodes["simulator"]["vehicle"] == scenario.vehicle
    assert controller["control_rate"] == scenario.control_rate
    assert controller["lockstep"] == nodes["simulator"]["lockstep"]


def test_the_controller_is_told_how_late_the_odometry_of_the_world_is():
    def limit(**changes):
        scenario = read_world("hover_calm", changes)
        controller, _ = plan_flight("hover_calm", scenario, "geometric")
        return controller.parameters.get("input_gate.max_odometry_age")

    assert limit() is None
    assert limit(odometry="gps") == pytest.approx(0.12 + 3 / 10)
    assert limit(odometry={"update_rate": 1.0}) == 2.0  # the most that may be asked for


def test_simulator_waits_for_the_recorder_where_there_is_one(nodes):
    assert nodes["simulator"]["subscribers"] == 2
    alone = plan_flight("demo", load_world("demo"), "geometric")
    assert [node.name for node in alone] == ["controller", "simulator"]
    assert alone[-1].parameters["subscribers"] == 1


@pytest.mark.parametrize(
    ("world", "policy", "command"),
    [
        ("motor_fault", "hover_liquid", "rates_thrust"),
        ("lane_keeping", "lane_liquid", "steering"),
        ("target_approach", "target_liquid", "velocity"),
    ],
)
def test_all_nodes_are_told_the_command_of_the_policy_that_a_world_has(world, policy, command):
    scenario = load_world(world)
    assert default_policy(scenario) == policy
    planned = plan_flight(world, scenario, policy, recording=Path("flight.mcap"))
    given = {node.name: node.parameters.get("command") for node in planned}
    assert given == {"recorder": command, "controller": None, "simulator": command}


def test_a_policy_that_is_not_there_is_known_before_any_node_starts():
    with pytest.raises(ConfigError, match="no_such_policy"):
        plan_flight("demo", load_world("demo"), "no_such_policy")
