"""What can fly, by name: a policy artifact, or the geometric controller."""

from __future__ import annotations

from liquid_control.control.geometric import GeometricController
from liquid_control.control.loop import Controller
from liquid_control.parameters import ControllerParameters
from liquid_control.runtime.artifact import PolicyMetadata
from liquid_control.runtime.policy import load_policy

GEOMETRIC = "geometric"


def make_controller(
    name: str, parameters: ControllerParameters
) -> tuple[Controller, PolicyMetadata | None]:
    """A controller by name, and the metadata of its artifact (``None`` for the geometric one).

    Raises:
        ConfigError: if there is no such policy, or it fails a check.
    """
    if name == GEOMETRIC:
        return GeometricController(parameters.backup), None
    policy = load_policy(name)
    return policy, policy.metadata
