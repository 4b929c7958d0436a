"""An ONNX graph from anywhere becomes a checked `policy.onnx`. Needs the onnx package, not torch.

The graph keeps its nodes. Around them its inputs and outputs get the names that a policy has, and
what it lacks is added: a graph without state gets one that passes through and means nothing.

Shapes: B batch, n observation components, c command components, m state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from liquid_control.config import ConfigError, missing_packages
from liquid_control.runtime.artifact import (
    INPUTS,
    OUTPUTS,
    SCHEMA_VERSION,
    Artifact,
    Golden,
    PolicyMetadata,
    open_session,
    slot_entries,
    write_artifact,
)
from liquid_control.runtime.schema import first_mistake
from liquid_control.structs import CommandKind, Layout

GOLDEN_STEPS = 8
_PREFIX = "step/"  # before the graph's own names, lest they meet a policy's


def adopt_step(
    onnx_file: str | Path,
    path: str | Path,
    *,
    observation: Layout,
    command: CommandKind,
    control_period: float,
    vehicle: str,
    names: Mapping[str, str] | None = None,
    network: str = "adopted",
    training: dict | None = None,
    observation_offset: np.ndarray | float = 0.0,
    observation_scale: np.ndarray | float = 1.0,
    seed: int = 0,
) -> Artifact:
    """One control step in ONNX as a checked `policy.onnx`; use it for a network made elsewhere.

    onnx_file: a graph of observation (B, n), perhaps dt (B, 1) in s and state (B, m), that gives
        command (B, c) and, with a state, next_state (B, m); float32, SI units, batch free or 1.
    names: what these are called there, e.g. ``{"observation": "obs", "command": "actions"}``;
        those left out are called as here, and a lone input or output needs no name.
    control_period: s, nominal. network: what to call it.
    observation_offset, observation_scale: usual values of an observation and their spread, for
        the golden inputs; numbers or (n,).

    Raises ConfigError, which names onnx_file and what does not fit; nothing is written then.
    """
    onnx = _onnx()
    source = Path(onnx_file)
    if not source.is_file():
        raise ConfigError(f"{source}: no such file")
    try:
        graph = onnx.load(source)
    except Exception as error:  # protobuf's own
        raise ConfigError(f"{source}: not an ONNX file: {error}") from None
    return adopt_graph(
        graph,
        path,
        source=str(source),
        names=names or {},
        observation=observation,
        command=command,
        control_period=control_period,
        vehicle=vehicle,
        network=network,
        training=training or {},
        observation_offset=observation_offset,
        observation_scale=observation_scale,
        seed=seed,
    )


def adopt_graph(
    graph,
    path: str | Path,
    *,
    source: str,
    observation: Layout,
    command: CommandKind,
    control_period: float,
    vehicle: str,
    network: str,
    training: dict,
    observation_offset: np.ndarray | float,
    observation_scale: np.ndarray | float,
    seed: int,
    names: Mapping[str, str] | None = None,
    step: Callable | None = None,
) -> Artifact:
    """`adopt_step` of a loaded ``onnx.ModelProto``, which is called ``source`` in errors.

    step: gives the golden outputs, ``(observation, dt, state) -> (command, next_state)`` of
        arrays; the graph itself if None.
    """
    found = _tensors(graph, names or {}, source)
    sizes = {"observation": observation.size, "dt": 1, "command": command.layout.size}
    for name, tensor in found.items():
        _check_tensor(tensor, name, sizes.get(name), source)
    states = 1
    if "state" in found:
        states = _last(found["state"])
        if _last(found["next_state"]) != states:
            raise ConfigError(
                f"{source}: next_state has {_last(found['next_state'])} values, state {states}"
            )
    neurons = [f"state{k}" for k in range(states)] if "state" in found else []
    data = _wrapped(graph, found, observation.size, command.layout.size, states).SerializeToString()
    if step is None:
        session, _ = open_session(source, data)

        def step(*arrays):
            return session.run(OUTPUTS, dict(zip(INPUTS, arrays, strict=True)))

    try:
        offset, scale = (
            np.broadcast_to(np.asarray(value, np.float32), (observation.size,))
            for value in (observation_offset, observation_scale)
        )
        golden = golden_steps(
            step, offset, scale, states, control_period, np.random.default_rng(seed)
        )
        metadata = PolicyMetadata(
            schema_version=SCHEMA_VERSION,
            network=network,
            observation=slot_entries(observation),
            command_kind=command.name,
            command=slot_entries(command.layout),
            control_period=control_period,
            state_names=neurons or ["unused"],
            neuron_names=neurons,
            neuron_index=list(range(len(neurons))),
            wiring=None,
            weights=_weights(graph),
            vehicle=vehicle,
            training=training,
            golden=golden,
        )
    except ValidationError as error:
        raise ConfigError(f"{source}: {first_mistake(error)}") from None
    except Exception as error:  # of the graph's runtime, of a stranger's step
        raise ConfigError(f"{source}: {error}") from error
    return write_artifact(path, data, metadata)


def golden_steps(
    step: Callable,
    offset: np.ndarray,
    scale: np.ndarray,
    states: int,
    control_period: float,
    rng: np.random.Generator,
) -> Golden:
    """A few steps from the zero state, batch 1, of observations offset (n,) + noise*scale (n,).

    dt is drawn from half to twice the period. Raises ValueError where a step is not finite.
    """
    state = np.zeros((1, states), np.float32)
    rows: dict[str, list] = {"observation": [], "dt": [], "command": [], "state": []}
    for k in range(GOLDEN_STEPS):
        observation = (offset + rng.standard_normal(scale.size) * scale).astype(np.float32)
        dt = np.float32(control_period * rng.uniform(0.5, 2.0))
        command, state = step(observation[None], np.array([[dt]]), state)
        for name, value in (("command", command), ("next_state", state)):
            if not np.isfinite(value).all():
                raise ValueError(f"{name} is {value[0].tolist()} in step {k}, expected finite")
        rows["observation"].append(observation.tolist())
        rows["dt"].append(float(dt))
        rows["command"].append(command[0].tolist())
        rows["state"].append(state[0].tolist())
    return Golden(**rows)


def _onnx():
    try:
        import onnx
    except ModuleNotFoundError:
        raise missing_packages("train", ["onnx"]) from None
    return onnx


def _tensors(graph, names: Mapping[str, str], source: str) -> dict:
    """The graph's inputs and outputs by a policy's names."""
    if unknown := set(names) - {*INPUTS, *OUTPUTS}:
        raise ConfigError(f"{source}: names has {sorted(unknown)}, expected {[*INPUTS, *OUTPUTS]}")
    stored = {tensor.name for tensor in graph.graph.initializer}
    inputs = [tensor for tensor in graph.graph.input if tensor.name not in stored]
    found = {}
    for kind, allowed, tensors in (
        ("input", INPUTS, inputs),
        ("output", OUTPUTS, list(graph.graph.output)),
    ):
        ours = {names.get(name, name): name for name in allowed}
        if len(tensors) == 1 and allowed[0] not in names:
            ours.setdefault(tensors[0].name, allowed[0])
        present = [tensor.name for tensor in tensors]
        strange = [name for name in present if name not in ours]
        absent = [theirs for name, theirs in names.items() if name in allowed]
        absent = [theirs for theirs in absent if theirs not in present]
        if strange or absent:
            raise ConfigError(
                f"{source}: {kind}s are {present}, expected of {list(ours)}: say which is which "
                f"in names, e.g. names={{{allowed[0]!r}: {(strange or present or ['x'])[0]!r}}}"
            )
        found |= {ours[tensor.name]: tensor for tensor in tensors}
    for name in ("observation", "command"):
        if name not in found:
            raise ConfigError(f"{source}: has no {name}, only {list(found)}")
    if ("state" in found) != ("next_state" in found):
        raise ConfigError(f"{source}: state and next_state belong together, found {list(found)}")
    return found


def _last(tensor) -> int:
    return tensor.type.tensor_type.shape.dim[-1].dim_value


def _check_tensor(tensor, name: str, size: int | None, source: str) -> None:
    """ConfigError unless it is float32 (B, size), of any known size if None, with B free or 1."""
    kind = tensor.type.tensor_type
    if kind.elem_type != _onnx().TensorProto.FLOAT:
        raise ConfigError(f"{source}: {name} ({tensor.name}) is not float32")
    shape = [dim.dim_value or dim.dim_param or "?" for dim in kind.shape.dim]
    fits = len(shape) == 2 and (shape[0] == 1 or isinstance(shape[0], str))
    if not fits or not isinstance(shape[1], int) or size not in (None, shape[1]):
        expected = f"(B, {'m' if size is None else size})"
        raise ConfigError(
            f"{source}: {name} ({tensor.name}) has shape {shape}, expected {expected} with B free"
        )


def _wrapped(graph, found: dict, observation: int, command: int, states: int):
    """The graph with a policy's inputs and outputs around it."""
    onnx = _onnx()
    helper = onnx.helper
    model = onnx.compose.add_prefix(graph, _PREFIX)
    inner = {name: _PREFIX + tensor.name for name, tensor in found.items()}
    sizes = dict(zip((*INPUTS, *OUTPUTS), (observation, 1, states, command, states), strict=True))
    before = [
        helper.make_node("Identity", [name], [inner[name]]) for name in INPUTS if name in inner
    ]
    after = [helper.make_node("Identity", [inner.get(name, "state")], [name]) for name in OUTPUTS]
    nodes = [*before, *model.graph.node, *after]
    del model.graph.node[:], model.graph.input[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    for tensors, ours in ((model.graph.input, INPUTS), (model.graph.output, OUTPUTS)):
        tensors.extend(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["B", sizes[name]])
            for name in ours
        )
    del model.metadata_props[:]
    return model


def _weights(graph) -> int:
    """Number of non-zero weights."""
    onnx = _onnx()
    floats = (t for t in graph.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    return sum(int(np.count_nonzero(onnx.numpy_helper.to_array(tensor))) for tensor in floats)
