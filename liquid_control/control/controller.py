"""What flies: the protocol of every controller, learned or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.structs import Layout


class Controller(Protocol):
    """What flies: `runtime.policy.OnnxPolicy`, or any controller with named observation slots.

    One that steers by camera has an attribute ``sees`` that is true and a method ``look(image)``,
    which the loop calls with each new `structs.ImageSample`, before the step that it is for; a new
    one after each ``reset``.

    Implement all of it for a `ControlLoop` that you make yourself; where a policy is named (fly,
    suites, the node) ``step`` is enough, see `runtime.custom`.
    """

    observation_layout: Layout
    command_layout: Layout

    def reset(self) -> None:
        """Forget all state: before a flight, and when it takes over again."""

    def warm_up(self) -> None:
        """Called shortly before a step is due; changes nothing."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command (`command_layout`) for an observation (`observation_layout`), SI units."""

    @property
    def neurons(self) -> np.ndarray:
        """Activity of each neuron, for display; an array that no later step changes."""


def neuron_names(controller: Controller, known: Sequence[str] = ()) -> tuple[str, ...]:
    """The ``known`` names of a controller's neurons, or a number for each that it shows."""
    return tuple(known) or tuple(f"neuron{k}" for k in range(len(controller.neurons)))


def slot_indices(layout: Layout, offered: Layout) -> np.ndarray:
    """Where each component of a policy's observation stands in the whole observation."""
    components = offered.component_names
    known = {slot.name: slot for slot in offered.slots}
    for slot in layout.slots:
        if known.get(slot.name) != slot:
            raise ConfigError(
                f"the policy wants the observation {slot}, this loop offers {list(known.values())}"
            )
    return np.array([components.index(name) for name in layout.component_names], dtype=int)
