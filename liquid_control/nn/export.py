"""From torch to `policy.onnx`: one step, batch dimension free, as few nodes as can be.

`export_policy` writes a `Policy`: a closed-form cell node by node where its mode says how, any
other cell through torch's exporter. `export_module` writes any torch module. Both are compared with
torch in the tests and, through the golden pairs, each time the file is loaded.
"""

import copy
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from liquid_control.config import ConfigError
from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.onnx_graph import backbone_graph, cfc_graph
from liquid_control.nn.policy import Policy
from liquid_control.nn.vision import Encoder
from liquid_control.runtime.adopt import adopt_graph, golden_steps
from liquid_control.runtime.artifact import (
    INPUTS,
    OUTPUTS,
    SCHEMA_VERSION,
    Artifact,
    Golden,
    PolicyMetadata,
    Wiring,
    slot_entries,
    write_artifact,
)
from liquid_control.runtime.eye import EYE_INPUTS, EYE_OUTPUTS, golden_image
from liquid_control.runtime.schema import EyeEntry, four_digits, motors_named
from liquid_control.structs import CommandKind, Layout

GOLDEN_SEED = 1  # of an encoder's golden picture
_GRAPHS = {CfC: cfc_graph, BackboneCfC: backbone_graph}  # written node by node


def export_policy(
    policy: Policy,
    path: str | Path,
    *,
    observation: Layout,
    command: CommandKind,
    control_period: float,
    network: str,
    vehicle: str,
    training: dict,
    rng: np.random.Generator,
    encoder: Encoder | None = None,
    intrinsics: tuple[float, float, float, float] | None = None,
) -> Artifact:
    """Write the policy with its metadata and golden pairs; returns the loaded, checked artifact.

    Use it for a `Policy` around a cell that you trained yourself; `training.run.train` calls it,
    and `export_module` takes any other module.

    Synapses are written with the strength that they have in the weights, see `Cell.strengths`.
    Motor neurons get the names of the command's components, as sensory neurons have those of the
    observation. rng draws the golden inputs: observations of the size that the policy expects, and
    periods from half to twice the nominal one.

    A policy that sees has an ``encoder``, whose features are its last observation slot, for a
    camera of these ``intrinsics``: focal length x and y, principal point x and y, px.
    """
    cell = policy.cell
    wiring = getattr(cell, "wiring", None)
    names = motors_named(cell.state_names, command.layout, cell.config())
    neurons = names if wiring is None else names[: wiring.units]
    metadata = PolicyMetadata(
        schema_version=SCHEMA_VERSION,
        network=network,
        observation=slot_entries(observation),
        command_kind=command.name,
        command=slot_entries(command.layout),
        control_period=control_period,
        state_names=names,
        neuron_names=neurons,
        neuron_index=[names.index(name) for name in neurons],
        wiring=None if wiring is None else _wiring_metadata(cell),
        weights=cell.parameter_count(),
        vehicle=vehicle,
        training={**training, "cell": cell.config()},
        golden=golden_pairs(policy, control_period, rng),
    )
    if encoder is None:
        return write_artifact(path, policy_graph(policy), metadata)
    metadata = metadata.model_copy(update={"eye": _eye_entry(encoder, intrinsics)})
    return write_artifact(path, policy_graph(policy), metadata, _encoder_graph(encoder))


def _eye_entry(encoder: Encoder, intrinsics: tuple[float, float, float, float]) -> EyeEntry:
    fx, fy, cx, cy = intrinsics
    entry = EyeEntry(
        width=encoder.width,
        height=encoder.height,
        focal_length=(fx, fy),
        principal_point=(cx, cy),
        weights=encoder.parameter_count(),
        golden_seed=GOLDEN_SEED,
        golden_features=[],
    )
    with torch.no_grad():
        features = _detached(encoder)(torch.from_numpy(golden_image(entry)))[0]
    return entry.model_copy(update={"golden_features": features.tolist()})


def _encoder_graph(encoder: Encoder) -> bytes:
    """The ONNX graph of an encoder, batch free."""
    size = (2, encoder.height, encoder.width, 3)
    example = (torch.zeros(size, dtype=torch.uint8),)
    return _traced_graph(_detached(encoder), example, EYE_INPUTS, EYE_OUTPUTS).SerializeToString()


def export_module(
    module: nn.Module,
    path: str | Path,
    *,
    observation: Layout,
    command: CommandKind,
    control_period: float,
    vehicle: str,
    state_size: int = 0,
    network: str | None = None,
    training: dict | None = None,
    observation_offset: np.ndarray | float = 0.0,
    observation_scale: np.ndarray | float = 1.0,
    seed: int = 0,
) -> Artifact:
    """Any torch module as a checked `policy.onnx`; use it for a network that is no `Cell`.

    module: ``forward(observation (B, n), dt (B, 1), state (B, state_size)) -> (command (B, c),
        next_state (B, state_size))``, or with state_size 0 ``forward(observation) -> command``.
        All in SI units and s: normalisation and scaling belong into the module. It is exported as
        it evaluates, in float32, and stays as it is.
    control_period: s, nominal. network: what to call it, the module's class if None.
    observation_offset, observation_scale: usual values of an observation and their spread, for
        the golden inputs; numbers or (n,).
    training: a record of how it came to be.

    Raises ConfigError, which names the path and what does not fit: a shape, a type, an operation
    that ONNX has none for, a value that is not finite.
    """
    step = _detached(module)
    example = torch.zeros(2, observation.size), torch.ones(2, 1), torch.zeros(2, state_size)
    expected = {"command": (2, command.layout.size), "next_state": (2, state_size)}
    if not state_size:
        example, expected = example[:1], {"command": (2, command.layout.size)}
    try:
        with torch.no_grad():
            results = step(*example)
    except Exception as error:  # whatever a stranger's module raises
        shapes = ", ".join(str(tuple(value.shape)) for value in example)
        raise ConfigError(f"{path}: module does not take {shapes}: {error}") from error
    results = (results,) if not isinstance(results, tuple | list) else results
    found = {name: tuple(getattr(r, "shape", ())) for name, r in zip(expected, results)}
    if found != expected or len(results) != len(expected):
        raise ConfigError(f"{path}: module gives {found}, expected {expected} for a batch of 2")
    try:
        inputs, outputs = INPUTS[: len(example)], OUTPUTS[: len(expected)]
        graph = _traced_graph(step, example, inputs, outputs)
    except Exception as error:  # torch's exporter has many
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{path}: module can't be exported: {reason}") from error

    def with_state(given, dt, state):
        return (step(given), state) if not state_size else step(given, dt, state)

    return adopt_graph(
        graph,
        path,
        source=str(path),
        observation=observation,
        command=command,
        control_period=control_period,
        vehicle=vehicle,
        network=network or type(module).__name__,
        training=training or {},
        observation_offset=observation_offset,
        observation_scale=observation_scale,
        seed=seed,
        step=_in_numpy(with_state),
    )


def policy_graph(policy: Policy) -> bytes:
    """The serialized ONNX graph of one step, without metadata."""
    policy = _detached(policy)
    by_hand = _GRAPHS.get(type(policy.cell))
    if by_hand is not None and policy.cell.mode.nodes is not None:
        graph = by_hand(policy)
    else:
        example = torch.zeros(2, policy.cell.input_size), torch.ones(2, 1), policy.initial_state(2)
        graph = _traced_graph(_FrozenStep(policy), example, INPUTS, OUTPUTS)
    onnx.checker.check_model(graph)
    return graph.SerializeToString(deterministic=True)


def golden_pairs(policy: Policy, control_period: float, rng: np.random.Generator) -> Golden:
    """A few steps of the torch policy from the zero state, batch 1."""
    policy = _detached(policy)
    offset, scale = policy.observation_offset.numpy(), policy.observation_scale.numpy()
    return golden_steps(
        _in_numpy(policy), offset, scale, policy.cell.state_size, control_period, rng
    )


def _in_numpy(module: Callable) -> Callable:
    """A step of torch as one of float32 arrays."""

    def step(*arrays):
        with torch.no_grad():
            results = module(*(torch.from_numpy(array) for array in arrays))
        return tuple(result.numpy() for result in results)

    return step


def _wiring_metadata(cell) -> Wiring:
    """Groups and synapses, these as strong as the cell's weights make them now."""
    inputs = cell.input_size
    found = cell.wiring.edges(_detached(cell).strengths().numpy())
    synapses = [(source, target, four_digits(value)) for source, target, value in found]
    return Wiring(
        layers={name: list(ids) for name, ids in cell.wiring.groups.items()},
        sensory_synapses=[s for s in synapses if s[0] < inputs],
        synapses=[(s - inputs, t, value) for s, t, value in synapses if s >= inputs],
    )


def _detached(module: nn.Module) -> Any:
    """A float32 copy on the CPU, so that exporting changes nothing."""
    return copy.deepcopy(module).cpu().float().eval()


class _FrozenStep(nn.Module):
    """The step with its effective weights as constants, so that the graph doesn't derive them."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        values = policy.weights()
        self.count = len(values)
        for index, value in enumerate(values):
            self.register_buffer(f"frozen{index}", value.detach().clone())

    def forward(self, observation, dt, state):
        weights = tuple(getattr(self, f"frozen{index}") for index in range(self.count))
        return self.policy.step(observation, dt, state, weights)


def _traced_graph(
    module: nn.Module, example: tuple, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> onnx.ModelProto:
    """What torch's exporter makes of a module; example: inputs of batch 2."""
    buffer = io.BytesIO()
    # it would tell on stderr that torchvision is not installed
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns about itself
        batch = torch.export.Dim("B")
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=({0: batch},) * len(example),
        )
        program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())
