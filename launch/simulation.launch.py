"""Simulator, controller and, if wanted, recorder: one flight in a simulated world.

    ros2 launch liquid_control simulation.launch.py world:=hover_gusts seed:=3 record:=true

The controller flies the vehicle of the world, at the rate of the world. Ends when the flight is
over, or when the controller has ended.
"""

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetLaunchConfiguration,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription
from liquid_control.config import share_dir
from liquid_control.sim.scenario import load_world

ARGUMENTS = {
    "world": ("hover_gusts", "world file, or the name of a shipped one"),
    "policy": ("hover_liquid", "policy file, or the name of a shipped one"),
    "seed": ("0", "of wind, sensors and start"),
    "lockstep": ("false", "true: as fast as it goes, the world waits for each command"),
    "record": ("false", "true: write all topics to an MCAP file"),
    "path": ("flight.mcap", "the file that is recorded"),
}


def read_world(context):
    """Vehicle and rate of the world, before any process starts: a bad world leaves none behind."""
    world = load_world(LaunchConfiguration("world").perform(context))
    return [
        SetLaunchConfiguration("vehicle", world.vehicle),
        SetLaunchConfiguration("control_rate", str(world.control_rate)),
    ]


def generate_launch_description():
    """All nodes of a flight; the controller starts by itself."""

    def parameter(name, kind):
        return {name: ParameterValue(LaunchConfiguration(name), value_type=kind)}

    def node(name, *parameters, **keywords):
        return Node(
            package="liquid_control",
            executable=name,
            name=name,
            output="screen",
            parameters=list(parameters),
            **keywords,
        )

    record = LaunchConfiguration("record")
    lockstep = parameter("lockstep", bool)
    subscribers = PythonExpression(["2 if '", record, "'.lower() in ('true', '1') else 1"])
    recorder = node(
        "recorder",
        parameter("path", str),
        {"hold_simulator": True},
        condition=IfCondition(record),
    )
    controller = node(
        "controller",
        str(share_dir() / "config" / "controller.yaml"),
        {"autostart": True},
        parameter("policy", str),
        parameter("vehicle", str),
        parameter("control_rate", float),
        lockstep,
    )
    simulator = node(
        "simulator",
        parameter("world", str),
        parameter("seed", int),
        lockstep,
        {"subscribers": ParameterValue(subscribers, value_type=int)},
    )

    def end_with(action, reason):
        end = EmitEvent(event=Shutdown(reason=reason))
        return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=[end]))

    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=read_world),
            # Before the processes: one that can't start ends at once.
            end_with(controller, "the controller has ended"),
            end_with(simulator, "the flight is over"),
            recorder,
            controller,
            simulator,
        ]
    )
