"""The circuit of a closed-form cell, read from the graph that flies.

The nodes are those of mode ``closed``, as :mod:`liquid_control.nn.onnx_graph` has always written
them. In each layer the target of the neurons is ``A = Tanh(Gemm(source, weight, bias))``, their
rate k is made of another ``Gemm`` of the same source, and the new state is
``A + (old - A) * Exp(-k * dt)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from liquid_control.runtime.schema import PolicyMetadata


@dataclass(frozen=True)
class ClosedLayer:
    """Where a layer of neurons stands in the graph."""

    rows: np.ndarray  # what it reads: inputs from 0 on, neurons after them
    columns: range  # its neurons
    target: str  # name of the constant (len(rows), len(columns)) of the target's weights
    gate: str  # and of those of the rate
    decay: str  # name of the value -k (B, len(columns)), 1/s
    state: str  # name of the new state


def closed_layers(graph: Any, metadata: PolicyMetadata) -> tuple[ClosedLayer, ...]:
    """The layers of a closed-form cell of an `onnx` graph; none for any other cell.

    Use it to read or to change what flies, neuron by neuron.
    """
    cell = metadata.training.get("cell", {})
    if (cell.get("kind"), cell.get("mode")) != ("cfc", "closed"):
        return ()
    constants = _constants(graph)
    inputs, neurons = metadata.observation_layout.size, len(metadata.neuron_names)
    made = {name: node for node in graph.node for name in node.output}
    rows = {"observation": range(inputs), "state": range(inputs, inputs + neurons)}
    layers: list[ClosedLayer] = []
    done = 0  # neurons whose layers are passed
    for node in graph.node:
        if node.op_type in ("Sub", "Mul", "Clip") and node.input[0] in rows:
            rows[node.output[0]] = rows[node.input[0]]  # the normalised observation
        elif node.op_type == "Split" and node.input[0] == "state":
            parts = np.split(np.array(rows["state"]), np.cumsum(constants[node.input[1]])[:-1])
            rows |= dict(zip(node.output, parts, strict=True))
        elif node.op_type == "Concat" and all(name in rows for name in node.input):
            rows[node.output[0]] = np.concatenate([rows[name] for name in node.input])
        elif node.op_type == "Add" and made.get(node.input[0], node).op_type == "Tanh":
            target = made[made[node.input[0]].input[0]]
            decay = made[made[made[node.input[1]].input[1]].input[0]].input[0]
            gate = made[made[made[made[decay].input[0]].input[0]].input[0]]
            columns = range(done, done + constants[target.input[1]].shape[1])
            layers.append(
                ClosedLayer(
                    np.array(rows[target.input[0]]),
                    columns,
                    target.input[1],
                    gate.input[1],
                    decay,
                    node.output[0],
                )
            )
            rows[node.output[0]] = np.array(columns) + inputs
            done = columns.stop
    return tuple(layers) if done == neurons else ()


def graph_strengths(data: bytes, metadata: PolicyMetadata) -> np.ndarray | None:
    """(inputs + neurons, neurons) weights of the targets, NaN where the graph has no weight.

    A file of today's schema says them; this is for older ones. data: the ONNX file. The unit of an
    input is its scale in the training record, by which the exporter divided the weights. None for
    another cell, or a record without scales. Needs the onnx package.
    """
    import onnx

    graph = onnx.load_from_string(data).graph
    layers = closed_layers(graph, metadata)
    scale = _input_scale(metadata, clipped=any(node.op_type == "Clip" for node in graph.node))
    if not layers or scale is None:
        return None
    constants = _constants(graph)
    inputs, neurons = len(scale), len(metadata.neuron_names)
    strengths = np.full((inputs + neurons, neurons), np.nan)
    for layer in layers:
        strengths[np.ix_(layer.rows, layer.columns)] = constants[layer.target]
    strengths[:inputs] *= scale[:, None]
    return strengths


def _constants(graph: Any) -> dict[str, np.ndarray]:
    import onnx

    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _input_scale(metadata: PolicyMetadata, *, clipped: bool) -> np.ndarray | None:
    """(inputs,) by what the weights of the inputs are to be multiplied; None if nothing says it."""
    size = metadata.observation_layout.size
    if clipped:  # then the observation is normalised by nodes of its own
        return np.ones(size)
    scales = metadata.training.get("config", {}).get("observation", {})
    if not all(isinstance(scales.get(slot.name), int | float) for slot in metadata.observation):
        return None
    return np.array([scales[slot.name] for slot in metadata.observation for _ in range(slot.size)])
