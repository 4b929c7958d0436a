"""The nodes of a simulated flight and what each is told, for the launch file and for processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liquid_control.importing import is_import_name
from liquid_control.runtime.catalogue import make_controller, make_parameters
from liquid_control.sim.flight import sensor_limits
from liquid_control.sim.scenario import WorldConfig
from liquid_control.vehicles.catalogue import kind_of, load_vehicle
from liquid_control.vehicles.kind import VehicleConfig


@dataclass(frozen=True)
class NodeSpec:
    """One node: the name of its executable and of itself, and its ROS parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def plan_flight(
    world: str,
    scenario: WorldConfig,
    policy: str,
    *,
    seed: int = 0,
    duration: float | None = None,
    lockstep: bool = True,
    recording: Path | None = None,
    progress: bool = False,
) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they start.

    Args:
        world: name or path by which the simulator finds it.
        scenario: the same, read.
        policy: what flies, by name; its kind of command is that of all nodes.
        duration: simulated seconds; the world's own if ``None``.
        lockstep: as fast as it goes, the world waits for each command; else in real time.
        recording: the file that a recorder writes, if there is to be one.
        progress: the simulator tells where it is, on its standard output.

    Raises:
        ConfigError: for a policy that is not there, or fails a check.
    """
    common = {"lockstep": lockstep}
    command = _command_of(policy, load_vehicle(scenario.vehicle))
    limits = {
        f"{group}.{name}": value
        for group, values in sensor_limits(scenario).items()
        for name, value in values.items()
    }
    recorder = NodeSpec(
        "recorder",
        {
            "path": str(recording),
            "command": command,
            "images": scenario.camera is not None,
            "hold_simulator": True,
        },
    )
    controller = NodeSpec(
        "controller",
        {
            **common,
            "vehicle": scenario.vehicle,
            "policy": policy,
            "control_rate": float(scenario.control_rate),
            "arming": scenario.start.armed_at > 0,
            **limits,
            "autostart": True,
        },
    )
    simulator = NodeSpec(
        "simulator",
        {
            **common,
            "vehicle": scenario.vehicle,
            "world": world,
            "command": command,
            "seed": seed,
            "duration": float(duration or 0.0),
            "subscribers": 1 if recording is None else 2,
            "imports": policy if is_import_name(policy) else "",
            "progress": progress,
        },
    )
    nodes = (controller, simulator)
    return nodes if recording is None else (recorder, *nodes)


def _command_of(policy: str, vehicle: VehicleConfig) -> str:
    """The name of the kind of command that a policy gives."""
    controller, _ = make_controller(policy, vehicle, make_parameters(vehicle))
    return getattr(controller, "command_kind", "") or kind_of(vehicle).command.name
