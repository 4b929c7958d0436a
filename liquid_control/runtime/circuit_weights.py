"""The strengths of a circuit's synapses, read from the weights that stand in its graph.

A file of today's schema says them. Older ones don't, and this reads them from the graph of a
closed-form cell of mode ``closed``, as :mod:`liquid_control.nn.onnx_graph` has always written it.
In each of its layers the target of the neurons is ``Tanh(Gemm(source, weight, bias))`` and the new
state ``Add(target, ...)``, so what is read is what flies.
"""

from __future__ import annotations

import numpy as np

from liquid_control.runtime.schema import PolicyMetadata


def graph_strengths(data: bytes, metadata: PolicyMetadata) -> np.ndarray | None:
    """(inputs + neurons, neurons) weights of the targets, NaN where the graph has no weight.

    data: the ONNX file. The unit of an input is its scale in the training record, by which the
    exporter divided the weights. None for another cell, or a record without scales. Needs the
    onnx package.
    """
    import onnx

    graph = onnx.load_from_string(data).graph
    cell = metadata.training.get("cell", {})
    scale = _input_scale(metadata, clipped=any(node.op_type == "Clip" for node in graph.node))
    if (cell.get("kind"), cell.get("mode")) != ("cfc", "closed") or scale is None:
        return None
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs, neurons = len(scale), len(metadata.neuron_names)
    strengths = np.full((inputs + neurons, neurons), np.nan)
    made = {name: node for node in graph.node for name in node.output}
    rows = {"observation": range(inputs), "state": range(inputs, inputs + neurons)}
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
            weight = constants[target.input[1]]
            columns = range(done, done + weight.shape[1])
            strengths[np.ix_(rows[target.input[0]], columns)] = weight
            rows[node.output[0]] = np.array(columns) + inputs
            done = columns.stop
    strengths[:inputs] *= scale[:, None]
    return strengths if done == neurons else None


def _input_scale(metadata: PolicyMetadata, *, clipped: bool) -> np.ndarray | None:
    """(inputs,) by what the weights of the inputs are to be multiplied; None if nothing says it."""
    size = metadata.observation_layout.size
    if clipped:  # then the observation is normalised by nodes of its own
        return np.ones(size)
    scales = metadata.training.get("config", {}).get("observation", {})
    if not all(isinstance(scales.get(slot.name), int | float) for slot in metadata.observation):
        return None
    return np.array([scales[slot.name] for slot in metadata.observation for _ in range(slot.size)])
