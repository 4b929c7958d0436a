"""What can fly, by name: a policy artifact, or a geometric controller with its gains."""

from __future__ import annotations

from liquid_control.config import find_file, load_yaml
from liquid_control.control.loop import Controller
from liquid_control.parameters import BackupParameters, ControllerParameters
from liquid_control.runtime.artifact import PolicyMetadata
from liquid_control.runtime.policy import load_policy
from liquid_control.vehicles.quadrotor.geometric import GeometricController

GEOMETRIC = "geometric"


def make_controller(
    name: str, parameters: ControllerParameters
) -> tuple[Controller, PolicyMetadata | None]:
    """A controller by name, and the metadata of its artifact (``None`` for geometric ones).

    ``geometric`` is the backup controller of ``parameters``; a YAML file holds gains of one.

    Raises:
        ConfigError: if there is no such policy, or it fails a check.
    """
    if name == GEOMETRIC:
        return GeometricController(parameters.backup), None
    path = find_file(name, "config/policies")
    if path.suffix == ".yaml":
        return GeometricController(load_yaml(path, BackupParameters)), None
    policy = load_policy(path)
    return policy, policy.metadata


def set_gains(name: str, controller: Controller, parameters: ControllerParameters) -> None:
    """Give the controller of this name the gains of new ``parameters``, if it was made of them."""
    if name == GEOMETRIC:
        controller.gains = parameters.backup
