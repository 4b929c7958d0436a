"""What the nodes of a flight are told."""

from pathlib import Path

import pytest

pytest.importorskip("pybullet")

from liquid_control.parameters import RecorderParameters, SimulatorParameters, parameter_table
from liquid_control.session.plan import plan_flight
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
