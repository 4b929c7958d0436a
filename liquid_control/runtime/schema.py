"""What a policy says about itself, in today's schema, and what older files say in it.

Schema 4 says how strong each synapse is in the trained weights. Schemas 2 and 3 held the signs that
the wiring was drawn with, which training may have changed: they are dropped when such a file is
read, and `artifact.upgrade_artifact` reads the strengths from the graph where it can. The drawn
signs remain in ``training["cell"]["wiring"]``, which says how the network was built.
Schema 3 says which kind of command the policy gives, and names each motor neuron after the
component of the command that it gives: ``thrust``, ``ang_vel.x``. In schema 2 they were
``motor0`` ..., which reads as a rotor, and every command was thrust and body rates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from liquid_control.config import PositiveFloat, StrictModel
from liquid_control.structs import COMMAND_KINDS, Layout, Slot

SCHEMA_VERSION = 4
READABLE = (2, 3, 4)
_MOTOR = re.compile(r"motor(\d+)(\..+)?")


class SlotEntry(StrictModel):
    """A `structs.Slot` as JSON."""

    name: str
    size: int = Field(gt=0)
    unit: str
    frame: str


Synapse = tuple[int, int, float | None]  # source, target, strength


class Wiring(StrictModel):
    """Who is connected to whom, and how strongly: `synapses` are between neurons, by their indices.

    A strength above 0 excites, below 0 inhibits; it is what a unit of the source adds to the value
    that the target is drawn to, as :mod:`liquid_control.nn.cells.strength` defines it, read from
    the weights that fly. The unit of an observation is its `observation_scale`, that of a neuron
    its state. ``None``: the file does not say, see `SCHEMA_VERSION`.
    `layers` maps each layer's name to the indices of its neurons; sensory neurons are the inputs.
    """

    layers: dict[str, list[int]]
    sensory_synapses: list[Synapse]  # from inputs
    synapses: list[Synapse]

    def with_strengths(self, strengths: np.ndarray | None) -> Wiring:
        """The same synapses with these strengths, or with none that is known.

        strengths: (inputs + neurons, neurons), row = source, column = target; kept to four digits.
        """

        def renewed(synapses: list[Synapse], first: int) -> list[Synapse]:
            if strengths is None:
                return [(source, target, None) for source, target, _ in synapses]
            values = [strengths[first + source, target] for source, target, _ in synapses]
            return [(*end[:2], four_digits(value)) for end, value in zip(synapses, values)]

        inputs = 0 if strengths is None else strengths.shape[0] - strengths.shape[1]
        return self.model_copy(
            update={
                "sensory_synapses": renewed(self.sensory_synapses, 0),
                "synapses": renewed(self.synapses, inputs),
            }
        )

    def counts(self) -> dict[str, int]:
        """Numbers of ``excitatory``, ``inhibitory``, ``silent`` (0) and ``unknown`` synapses."""
        words = [polarity(s) for *_, s in (*self.sensory_synapses, *self.synapses)]
        return {word: words.count(word) for word in POLARITIES}


POLARITIES = ("excitatory", "inhibitory", "silent", "unknown")


def polarity(strength: float | None) -> str:
    """What a synapse of this strength does, one of `POLARITIES`."""
    if strength is None:
        return "unknown"
    return "excitatory" if strength > 0 else "inhibitory" if strength < 0 else "silent"


def four_digits(value: float) -> float:
    """A strength as it is written down."""
    return float(f"{float(value):.4g}")


class Golden(StrictModel):
    """T steps from the zero state, batch 1; the state is carried from step to step."""

    observation: list[list[float]]  # (T, n)
    dt: list[float]  # (T,) s
    command: list[list[float]]  # (T, c)
    state: list[list[float]]  # (T, m), after the step


class EyeEntry(StrictModel):
    """The camera that an encoder was trained with, and what it gives for a golden picture."""

    width: int  # px
    height: int  # px
    focal_length: tuple[float, float]  # x and y, px
    principal_point: tuple[float, float]  # from the top left corner, px
    weights: int
    golden_seed: int  # of the golden picture's pixels, drawn by numpy's PCG64
    golden_features: list[float]


class PolicyMetadata(StrictModel):
    """All that a policy says about itself."""

    schema_version: int
    network: str  # kind of network, e.g. "cfc_ncp"
    observation: list[SlotEntry]
    command_kind: str  # name of a kind of command, e.g. "rates_thrust"
    command: list[SlotEntry]
    control_period: PositiveFloat  # s, nominal
    state_names: list[str]  # one name per component of the state
    neuron_names: list[str]  # one name per neuron; neuron i is state component neuron_index[i]
    neuron_index: list[int]
    wiring: Wiring | None
    eye: EyeEntry | None = None  # of a policy that sees; its features are the last slot
    weights: int  # non-zero weights
    vehicle: str
    training: dict[str, Any]  # configuration, seed, versions, result: the training record
    golden: Golden

    @property
    def observation_layout(self) -> Layout:
        """Slots of the observation vector."""
        return Layout(tuple(Slot(**slot.model_dump()) for slot in self.observation))

    @property
    def command_layout(self) -> Layout:
        """Slots of the command vector."""
        return Layout(tuple(Slot(**slot.model_dump()) for slot in self.command))


def slot_entries(layout: Layout) -> list[SlotEntry]:
    """The slots of a layout in the form that the metadata holds."""
    return [SlotEntry(name=s.name, size=s.size, unit=s.unit, frame=s.frame) for s in layout.slots]


def read_metadata(text: str) -> PolicyMetadata:
    """The metadata of a file's JSON, of any readable schema.

    Raises ValueError, which names the key and what was expected.
    """
    try:
        data = json.loads(text)
        version = data["schema_version"]
    except (ValueError, TypeError, KeyError):
        raise ValueError("no schema_version in the data") from None
    if version not in READABLE:
        raise ValueError(f"version {version!r}, this release reads {READABLE}")
    if version < 3:
        data["command_kind"] = ""
    try:
        metadata = PolicyMetadata.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise ValueError(first_mistake(error)) from None
    return metadata if version == SCHEMA_VERSION else _upgraded(metadata)


def first_mistake(error: ValidationError) -> str:
    """The key that a model found wrong first, and why."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _upgraded(metadata: PolicyMetadata) -> PolicyMetadata:
    """What a file of an older schema says, as today's says it; names of schema 3 stay."""
    command, cell = metadata.command_layout, metadata.training.get("cell", {})
    return metadata.model_copy(
        update={
            "schema_version": SCHEMA_VERSION,
            "wiring": metadata.wiring and metadata.wiring.with_strengths(None),
            "command_kind": metadata.command_kind or _kind_of(command),
            "state_names": motors_named(metadata.state_names, command, cell),
            "neuron_names": motors_named(metadata.neuron_names, command, cell),
        }
    )


def _kind_of(command: Layout) -> str:
    """Name of the kind of command with these slots, in files that don't say it."""
    for kind in COMMAND_KINDS.values():
        if kind.layout == command:
            return kind.name
    raise ValueError(f"command slots {list(command.names)} are of no known kind of command")


def motors_named(names: Iterable[str], command: Layout, cell: Mapping[str, Any]) -> list[str]:
    """Names of neurons or states with the command's components in place of ``motor<k>``.

    cell: the network's config. Unchanged where motor neurons and components do not correspond one
    by one: a readout mixes them.
    """
    names, components = list(names), command.component_names
    found = [_MOTOR.fullmatch(name) for name in names]
    motors = {int(match[1]) for match in found if match}
    if _has_readout(cell) or motors != set(range(len(components))):
        return names
    return [
        components[int(match[1])] + (match[2] or "") if match else name
        for name, match in zip(names, found, strict=True)
    ]


def _has_readout(cell: Any) -> bool:
    return isinstance(cell, Mapping) and (
        cell.get("kind") == "readout" or _has_readout(cell.get("cell"))
    )
