"""The ONNX nodes of one step, written one by one, and closed-form policies made of them.

Masks, signs and the observation's offset and scale are folded into the weights, so that a step of
an NCP is three small matrix products and some thirty elementwise nodes.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from liquid_control.nn.policy import Policy
from liquid_control.runtime.artifact import INPUTS, OUTPUTS

OPSET = 17
IR_VERSION = 8  # read by ONNX Runtime 1.14 and later


class Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values) -> str:
        """Add a constant array, in the type that it has."""
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(np.asarray(values))
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes) -> str:
        """Add a node with one result."""
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def split(self, source: str, sizes: list[int]) -> list[str]:
        """Cut (B, n) into parts of these sizes along the second axis."""
        if len(sizes) == 1:
            return [source]
        outputs = [f"n{len(self.nodes)}_{k}" for k in range(len(sizes))]
        inputs = [source, self.constant(np.array(sizes, np.int64))]
        self.nodes.append(helper.make_node("Split", inputs, outputs, axis=1))
        return outputs

    def linear(self, source: str, weight_HS: np.ndarray, bias_H: np.ndarray, **names) -> str:
        """Add ``source @ weight_HS.T + bias_H``, for a source (B, S)."""
        return self.op("Gemm", source, self.constant(weight_HS.T), self.constant(bias_H), **names)


def cfc_graph(policy: Policy) -> onnx.ModelProto:
    """The graph of a policy around a `CfC` whose mode has ``nodes``."""
    cell, graph = policy.cell, Graph()
    with torch.no_grad():
        weights = [value.numpy() for value in cell.weights()]
    observation, offset, scale = _observed(graph, policy)
    groups = [layer.stop - layer.start for layer in cell.layers]
    old = graph.split("state", groups)
    fresh: list[str] = []
    for index, layer in enumerate(cell.layers):
        reads_input = layer.source_start < cell.input_size
        parts = [observation] if reads_input else []
        for other, name in enumerate((*fresh, *old[index:])):
            start = cell.input_size + cell.layers[other].start
            if layer.source_start <= start < layer.source_stop:
                parts.append(name)
        source = parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=1)
        weight, bias = weights[2 * index], weights[2 * index + 1]
        if reads_input:
            weight, bias = _normalising(weight, bias, offset, scale)
        neurons = slice(layer.start, layer.stop)
        c = cell.mode.Constants(*(value[neurons] for value in weights[2 * len(cell.layers) :]))
        output = "next_state" if len(cell.layers) == 1 else None
        period = np.float32(cell.nominal_dt)
        fresh.append(cell.mode.nodes(graph, source, weight, bias, old[index], period, output, c))
    motor = fresh[-1]
    if len(fresh) > 1:
        graph.op("Concat", *fresh, axis=1, output="next_state")
    else:
        motor = graph.split("next_state", [cell.state_size - cell.output_size, cell.output_size])[
            -1
        ]
    return _commanding(graph, policy, motor)


def backbone_graph(policy: Policy) -> onnx.ModelProto:
    """The graph of a policy around a `BackboneCfC` whose mode has ``nodes``."""
    cell, graph = policy.cell, Graph()
    with torch.no_grad():
        weights = [value.numpy() for value in cell.weights()]
    observation, offset, scale = _observed(graph, policy)
    source = graph.op("Concat", observation, "state", axis=1)
    last = 2 * cell.backbone_layers
    weights[:2] = _normalising(weights[0], weights[1], offset, scale)
    for layer in range(0, last, 2):
        source = cell.activation.nodes(graph, graph.linear(source, *weights[layer : layer + 2]))
    c = cell.mode.Constants(*weights[last + 2 : last + 2 + len(cell.constants)])
    period = np.float32(cell.nominal_dt)
    output = cell.mode.nodes(
        graph, source, *weights[last : last + 2], "state", period, "next_state", c
    )
    if cell.has_readout:
        output = graph.linear(output, *weights[-2:])
    return _commanding(graph, policy, output)


def _observed(graph: Graph, policy: Policy) -> tuple[str, np.ndarray, np.ndarray]:
    """The observation, and the offset and scale that the layer which reads it has to apply."""
    offset, scale = policy.observation_offset.numpy(), 1.0 / policy.observation_scale.numpy()
    if policy.observation_limit is None:
        return "observation", offset, scale
    limit = [graph.constant(np.float32(s * policy.observation_limit)) for s in (-1, 1)]
    centered = graph.op("Sub", "observation", graph.constant(offset))
    scaled = graph.op("Mul", centered, graph.constant(scale))
    return graph.op("Clip", scaled, *limit), np.zeros_like(offset), np.ones_like(scale)


def _normalising(weight, bias, offset, scale) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a layer whose first sources are not yet (source - offset)*scale."""
    weight = weight.copy()
    weight[:, : len(scale)] *= scale
    return weight, bias - weight[:, : len(scale)] @ offset


def _commanding(graph: Graph, policy: Policy, output: str) -> onnx.ModelProto:
    """The whole graph, with the command made of a cell's output."""
    cell = policy.cell
    if not cell.unit_output:
        output = graph.op("Tanh", output)
    scale, offset = policy.command_scale.numpy(), policy.command_offset.numpy()
    graph.linear(output, np.diag(scale), offset, output="command")
    return _model(graph, cell.input_size, cell.state_size, cell.output_size)


def _model(graph: Graph, inputs: int, states: int, commands: int) -> onnx.ModelProto:
    def tensors(names, sizes):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", size])
            for name, size in zip(names, sizes)
        ]

    proto = helper.make_graph(
        graph.nodes,
        "policy",
        tensors(INPUTS, (inputs, 1, states)),
        tensors(OUTPUTS, (commands, states)),
        graph.constants,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model
