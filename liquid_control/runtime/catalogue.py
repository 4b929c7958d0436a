"""What can fly, by name, and the loop that flies it: the one place where the two are put together.

| name | flies |
|---|---|
| ``geometric``, or another built into the vehicle's kind | it, with the gains of the parameters |
| ``hover_liquid``, or a path ``*.onnx`` | a policy |
| ``expert_searched``, or a path ``*.yaml`` | a built-in controller with these gains |
| ``raptor``, a row of `PEERS` | the controller of somebody else's package |
| ``package.module:Name``, or ``file.py:Name`` | a controller of your own, see `runtime.custom` |
"""

from __future__ import annotations

from typing import Any

from liquid_control.config import ConfigError, find_file, parse
from liquid_control.control.controller import Controller
from liquid_control.control.loop import ControlLoop
from liquid_control.control.rules import Backup, Rules
from liquid_control.importing import import_object, is_import_name
from liquid_control.parameters import ControllerParameters
from liquid_control.runtime.artifact import PolicyMetadata
from liquid_control.runtime.custom import adopt
from liquid_control.runtime.policy import load_policy
from liquid_control.vehicles.catalogue import VEHICLES, kind_of
from liquid_control.vehicles.kind import VehicleConfig

GEOMETRIC = "geometric"
PEERS = {"raptor": "liquid_control.peers.raptor:Raptor"}  # each needs a package of its own


def is_builtin(name: str) -> bool:
    """Whether a name is that of a controller that some kind of vehicle has built in."""
    return any(name in kind.controllers for kind in VEHICLES.values())


def make_rules(
    vehicle: VehicleConfig,
    parameters: ControllerParameters,
    backup: Backup | None = None,
    command: str = "",
) -> Rules:
    """The rules of a vehicle; with a backup given they have that one, see `VehicleKind.rules`.

    ``command`` is the name of the kind that is given; "" for the one that the vehicle takes first.

    Raises:
        ConfigError: for a kind that the vehicle does not take, and for rules that are none.
    """
    kind = kind_of(vehicle)
    if command and command not in (kind.command.name, *kind.further):
        known = ", ".join((kind.command.name, *kind.further))
        raise ConfigError(f"a {kind.name} takes the commands {known}, got {command}")
    rules = kind.further.get(command, kind.rules)
    try:
        return rules(vehicle, parameters, backup)
    except ValueError as error:
        raise ConfigError(f"rules of {vehicle.name}: {error}") from None


def make_parameters(vehicle: VehicleConfig, /, **values) -> ControllerParameters:
    """Parameters of the vehicle's kind: the defaults, and these.

    Use it before `make_loop`; the table of the documentation has all of them.

    Raises:
        ConfigError: for an unknown parameter or a value out of its range.
    """
    return parse(values, kind_of(vehicle).parameters, "parameters")


def make_controller(
    name: str, vehicle: VehicleConfig, parameters: ControllerParameters
) -> tuple[Controller, PolicyMetadata | None]:
    """A controller by name, and the metadata of its artifact (``None`` for what has none).

    Use it where a user says what flies; `load_policy` is enough for a policy file.

    Raises:
        ConfigError: if there is no such controller, or it fails a check.
    """
    kind = kind_of(vehicle)
    if name in kind.controllers:
        return kind.controllers[name](parameters), None
    name = PEERS.get(name, name)
    if is_import_name(name):
        return adopt_controller(import_object(name), name, vehicle, parameters), None
    path = find_file(name, "config/policies", also=(*kind.controllers, *PEERS))
    if path.suffix == ".yaml":
        if kind.gains is None:
            raise ConfigError(f"{path}: a {kind.name} has no controller with gains")
        return kind.gains(path), None
    policy = load_policy(path)
    return policy, policy.metadata


def adopt_controller(
    made: Any, name: str, vehicle: VehicleConfig, parameters: ControllerParameters
) -> Controller:
    """A controller that is there already, or the class of one; see `runtime.custom.adopt`."""
    rules = make_rules(vehicle, parameters, command=getattr(made, "command_kind", ""))
    return adopt(made, name, vehicle, rules)


def make_loop(
    controller: Controller,
    vehicle: VehicleConfig,
    parameters: ControllerParameters,
    *,
    simulated: bool = False,
) -> ControlLoop:
    """The loop that flies a controller in a vehicle: use it where the sensors are yours.

    Args:
        controller: what flies; its kind of command picks the rules.
        vehicle, parameters: the description, and what `make_parameters` gave.
        simulated: whether the vehicle is, and a world tells it what no real one can know.

    Raises:
        ConfigError: if the controller observes or commands what the vehicle does not offer.
    """
    rules = make_rules(vehicle, parameters, command=getattr(controller, "command_kind", ""))
    return ControlLoop(controller, rules, parameters, simulated=simulated)


def check_topic(loop: ControlLoop) -> None:
    """`ConfigError` for a loop whose commands no topic carries, so that it can't fly over ROS."""
    command = loop.rules.command
    if not command.twist:
        raise ConfigError(
            f"the policy commands {command.name}, which no topic carries: it flies in a simulated "
            "world without ROS (liquid-control fly --no-ros)"
        )


def set_parameters(
    name: str, loop: ControlLoop, vehicle: VehicleConfig, parameters: ControllerParameters
) -> None:
    """Give new parameters to a loop, its backup, and its controller if that was made of them."""
    if name in kind_of(vehicle).controllers:
        loop.policy.set_parameters(parameters)
    kept = loop.rules
    rules = make_rules(vehicle, parameters, kept.backup, kept.command.name)
    loop.set_parameters(parameters, rules)
