"""From a torch policy to `policy.onnx`: one step, batch dimension free, as few nodes as can be.

A closed-form cell is written node by node: masks, signs and the observation's offset and scale are
folded into the weights, and a step of an NCP is three small matrix products and some thirty
elementwise nodes. Any other cell goes through torch's exporter. Both are compared with torch in
the tests and, through the golden pairs, each time the file is loaded.
"""

import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.policy import Policy
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
from liquid_control.structs import Layout

OPSET = 17
IR_VERSION = 8  # read by ONNX Runtime 1.14 and later
GOLDEN_STEPS = 8


def export_policy(
    policy: Policy,
    path: str | Path,
    *,
    observation: Layout,
    command: Layout,
    control_period: float,
    network: str,
    vehicle: str,
    training: dict,
    rng: np.random.Generator,
) -> Artifact:
    """Write the policy with its metadata and golden pairs; returns the loaded, checked artifact.

    rng draws the golden inputs: observations of the size that the policy expects, and periods
    from half to twice the nominal one.
    """
    cell = policy.cell
    names = list(cell.state_names)
    wiring = getattr(cell, "wiring", None)
    neurons = list(names if wiring is None else wiring.neuron_names)
    metadata = PolicyMetadata(
        schema_version=SCHEMA_VERSION,
        network=network,
        observation=slot_entries(observation),
        command=slot_entries(command),
        control_period=control_period,
        state_names=names,
        neuron_names=neurons,
        neuron_index=[names.index(name) for name in neurons],
        wiring=None if wiring is None else _wiring_metadata(wiring),
        weights=cell.parameter_count(),
        vehicle=vehicle,
        training={**training, "cell": cell.config()},
        golden=golden_pairs(policy, control_period, rng),
    )
    return write_artifact(path, policy_graph(policy), metadata)


def policy_graph(policy: Policy) -> bytes:
    """The serialized ONNX graph of one step, without metadata."""
    policy = _detached(policy)
    hand_written = isinstance(policy.cell, CfC) and policy.cell.mode in ("closed", "default")
    graph = _cfc_graph(policy) if hand_written else _traced_graph(policy)
    onnx.checker.check_model(graph)
    return graph.SerializeToString(deterministic=True)


def golden_pairs(policy: Policy, control_period: float, rng: np.random.Generator) -> Golden:
    """A few steps of the torch policy from the zero state, batch 1."""
    policy = _detached(policy)
    state = policy.initial_state(1)
    rows: dict[str, list] = {"observation": [], "dt": [], "command": [], "state": []}
    for _ in range(GOLDEN_STEPS):
        offset, scale = policy.observation_offset.numpy(), policy.observation_scale.numpy()
        observation = (offset + rng.standard_normal(scale.size) * scale).astype(np.float32)
        dt = np.float32(control_period * rng.uniform(0.5, 2.0))
        with torch.no_grad():
            command, state = policy(torch.tensor(observation[None]), torch.tensor([[dt]]), state)
        rows["observation"].append(observation.tolist())
        rows["dt"].append(float(dt))
        rows["command"].append(command[0].tolist())
        rows["state"].append(state[0].tolist())
    return Golden(**rows)


def _wiring_metadata(wiring) -> Wiring:
    synapses = wiring.config()["synapses"]
    inputs = wiring.sensory
    return Wiring(
        layers={name: list(ids) for name, ids in wiring.groups.items()},
        sensory_synapses=[s for s in synapses if s[0] < inputs],
        synapses=[(s - inputs, t, sign) for s, t, sign in synapses if s >= inputs],
    )


def _detached(policy: Policy) -> Policy:
    """A float32 copy on the CPU, so that exporting changes nothing."""
    import copy

    return copy.deepcopy(policy).cpu().float().eval()


class _Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values) -> str:
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(np.asarray(values))
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def split(self, source: str, sizes: list[int]) -> list[str]:
        if len(sizes) == 1:
            return [source]
        outputs = [f"n{len(self.nodes)}_{k}" for k in range(len(sizes))]
        inputs = [source, self.constant(np.array(sizes, np.int64))]
        self.nodes.append(helper.make_node("Split", inputs, outputs, axis=1))
        return outputs

    def linear(self, source: str, weight_HS: np.ndarray, bias_H: np.ndarray, **names) -> str:
        return self.op("Gemm", source, self.constant(weight_HS.T), self.constant(bias_H), **names)


def _cfc_graph(policy: Policy) -> onnx.ModelProto:
    cell = policy.cell
    graph = _Graph()
    with torch.no_grad():
        input_offset, input_scale, *weights = (value.numpy() for value in policy.weights())
    observation = "observation"
    if policy.observation_limit is not None:
        limit = [graph.constant(np.float32(s * policy.observation_limit)) for s in (-1, 1)]
        centered = graph.op("Sub", observation, graph.constant(input_offset))
        scaled = graph.op("Mul", centered, graph.constant(input_scale))
        observation = graph.op("Clip", scaled, *limit)
        input_offset, input_scale = np.zeros_like(input_offset), np.ones_like(input_scale)
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
        weight, bias = weights[2 * index].copy(), weights[2 * index + 1]
        if reads_input:
            weight[:, : cell.input_size] *= input_scale
            bias = bias - weight[:, : cell.input_size] @ input_offset
        neurons = slice(layer.start, layer.stop)
        constants = [value[neurons] for value in weights[2 * len(cell.layers) :]]
        output = "next_state" if len(cell.layers) == 1 else None
        update = _closed_nodes if cell.mode == "closed" else _default_nodes
        period = np.float32(cell.nominal_dt)
        fresh.append(update(graph, source, weight, bias, old[index], period, output, *constants))
    motor = fresh[-1]
    if len(fresh) > 1:
        graph.op("Concat", *fresh, axis=1, output="next_state")
    else:
        motor = graph.split("next_state", [cell.state_size - cell.output_size, cell.output_size])[
            -1
        ]
    scale, offset = policy.command_scale.numpy(), policy.command_offset.numpy()
    graph.linear(motor, np.diag(scale), offset, output="command")
    return _model(graph, cell.input_size, cell.state_size, cell.output_size)


def _closed_nodes(graph, source, weight, bias, old, period, output, k_leak, k_syn) -> str:
    # sigmoid(x) = (1 + tanh(x/2))/2: the gate's affine part goes into the rate's constants
    n = len(k_leak)
    target = graph.op("Tanh", graph.linear(source, weight[:n], bias[:n]))
    gate = graph.op("Tanh", graph.linear(source, weight[n:] / 2, bias[n:] / 2))
    rate = graph.op("Mul", gate, graph.constant(-k_syn / (2 * period)))
    rate = graph.op("Add", rate, graph.constant(-(k_leak + k_syn / 2) / period))
    decay = graph.op("Exp", graph.op("Mul", rate, "dt"))
    distance = graph.op("Mul", graph.op("Sub", old, target), decay)
    return graph.op("Add", target, distance, output=output)


def _default_nodes(graph, source, weight, bias, old, period, output) -> str:
    # one product for all heads: the gate's argument is linear in [source, source*dt, dt], and with
    # sigmoid(x) = (1 + tanh(x/2))/2 the update is h = (f1 + f2)/2 + tanh(x/2)*(f2 - f1)/2
    n = len(bias) // 4
    f_weight, (a_weight, b_weight) = weight[: 2 * n], (weight[2 * n : 3 * n], weight[3 * n :])
    f_bias, (a_bias, b_bias) = bias[: 2 * n], (bias[2 * n : 3 * n], bias[3 * n :])
    timed = graph.op("Concat", source, graph.op("Mul", source, "dt"), "dt", axis=1)
    no_time = np.zeros_like(f_weight), np.zeros_like(f_bias[:, None])
    gate = b_weight / 2, a_weight / (2 * period), a_bias[:, None] / (2 * period)
    of_all = np.block([[f_weight, *no_time], [*gate]])
    heads = graph.op("Tanh", graph.linear(timed, of_all, np.concatenate([f_bias, b_bias / 2])))
    mixing = np.kron([[0.5, 0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], np.eye(n))
    mixed = graph.linear(heads, mixing.astype(np.float32), np.zeros(3 * n, np.float32))
    middle, reach, gate = graph.split(mixed, [n, n, n])
    return graph.op("Add", middle, graph.op("Mul", gate, reach), output=output)


def _model(graph: _Graph, inputs: int, states: int, commands: int) -> onnx.ModelProto:
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


def _traced_graph(policy: Policy) -> onnx.ModelProto:
    example = (
        torch.zeros(2, policy.cell.input_size),
        torch.ones(2, 1),
        policy.initial_state(2),
    )
    buffer = io.BytesIO()
    # it would tell on stderr that torchvision is not installed
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns about itself
        batch = torch.export.Dim("B")
        program = torch.onnx.export(
            _FrozenStep(policy),
            example,
            dynamo=True,
            verbose=False,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
        )
        program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())
