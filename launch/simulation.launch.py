"""Simulator, controller and, if wanted, recorder: one flight in a simulated world.

    ros2 launch liquid_control simulation.launch.py world:=hover_gusts seed:=3 record:=true
    ros2 launch liquid_control simulation.launch.py world:=target_approach

The controller flies the vehicle of the world, at the rate of the world. Ends when the flight is
over, or when the controller has ended.
"""

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from liquid_control.config import ConfigError, share_dir
from liquid_control.session.plan import plan_flight
from liquid_control.sim.flight import default_policy
from liquid_control.sim.scenario import load_world
from liquid_control.vehicles.catalogue import load_vehicle

ARGUMENTS = {
    "world": ("hover_gusts", "world file, or the name of a shipped one"),
    "policy": ("", "policy file, or the name of a shipped one; empty: that of world or vehicle"),
    "seed": ("0", "of wind, sensors and start"),
    "lockstep": ("false", "true: as fast as it goes, the world waits for each command"),
    "record": ("false", "true: write all topics to an MCAP file"),
    "path": ("flight.mcap", "the file that is recorded"),
}
# What ends the flight for all, and why
ENDS = {"controller": "the controller has ended", "simulator": "the flight is over"}


def start_nodes(context):
    """The nodes of the plan; a bad world or argument is an error before any of them starts."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    yes = {name: _yes(name, given[name]) for name in ("lockstep", "record")}
    if not given["seed"].isdigit():
        raise ConfigError(f"seed:={given['seed']}: expected a whole number of at least 0")
    scenario = load_world(given["world"])
    nodes = plan_flight(
        given["world"],
        scenario,
        given["policy"] or default_policy(scenario),
        seed=int(given["seed"]),
        lockstep=yes["lockstep"],
        recording=given["path"] if yes["record"] else None,
    )
    defaults = {}
    if load_vehicle(scenario.vehicle).kind == "quadrotor":  # whose parameters the file has
        defaults["controller"] = [str(share_dir() / "config" / "controller.yaml")]
    actions = {
        node.name: Node(
            package="liquid_control",
            executable=node.name,
            name=node.name,
            output="screen",
            parameters=[*defaults.get(node.name, ()), dict(node.parameters)],
        )
        for node in nodes
    }
    # Before the processes: one that can't start ends at once.
    return [*(_end_with(actions[name], reason) for name, reason in ENDS.items()), *actions.values()]


def _yes(name, text):
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
        raise ConfigError(f"{name}:={text}: expected true or false")
    return words[text.lower()]


def _end_with(action, reason):
    end = EmitEvent(event=Shutdown(reason=reason))
    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=[end]))


def generate_launch_description():
    """All nodes of a flight; the controller starts by itself."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_nodes)])
