"""A policy file without one of its neurons or synapses, and one that shows its rates.

The graph that flies is changed; everything around it, the eye and the loop, stays as it is.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.runtime.artifact import Artifact, load_artifact, open_session
from liquid_control.runtime.circuit_weights import closed_layers
from liquid_control.runtime.policy import OnnxPolicy

RATE = "rate of "  # before a neuron's name


class Circuit:
    """The neurons and synapses of a policy file, any of which may be taken away.

    Raises:
        ConfigError: for a file whose cell is no closed-form one with a wiring.
    """

    def __init__(self, path: Any):
        import onnx

        self._onnx = onnx
        self._artifact: Artifact = load_artifact(path)
        self.path = self._artifact.path
        self._data = self.path.read_bytes()
        self.metadata = self._artifact.metadata
        self.neurons = tuple(self.metadata.neuron_names)
        inputs = self.metadata.observation_layout.size
        self._layers = closed_layers(self._model().graph, self.metadata)
        wiring = self.metadata.wiring
        if not self._layers or wiring is None:
            raise ConfigError(
                f"{path}: {self.metadata.network}: expected a closed-form cell with a wiring, "
                "whose neurons and synapses can be removed"
            )
        names = (*self.metadata.observation_layout.component_names, *self.neurons)
        sources = [(source, target) for source, target, _ in wiring.sensory_synapses]
        sources += [(inputs + source, target) for source, target, _ in wiring.synapses]
        # row of the source among inputs and neurons, and the neuron that it acts on
        self.synapses = {f"{names[i]} → {self.neurons[j]}": (i, j) for i, j in sources}

    def whole(self) -> OnnxPolicy:
        """Nothing removed. Its neurons are followed by their rates in 1/s, negative: exp(−k dt)."""
        model = self._model()
        graph, helper = model.graph, self._onnx.helper
        size, count = len(self.metadata.state_names), len(self.neurons)
        for node in graph.node:
            node.input[:] = ["state/own" if name == "state" else name for name in node.input]
            node.output[:] = ["next/own" if n == "next_state" else n for n in node.output]
        sizes = self._onnx.numpy_helper.from_array(np.array([size, count]), "state/sizes")
        graph.initializer.append(sizes)
        parts = ["state/own", "state/rates"]
        graph.node.insert(0, helper.make_node("Split", ["state", "state/sizes"], parts, axis=1))
        all_states = ["next/own", *(layer.decay for layer in self._layers)]
        graph.node.append(helper.make_node("Concat", all_states, ["next_state"], axis=1))
        for value in (*graph.input, *graph.output):
            if value.name in ("state", "next_state"):
                value.type.tensor_type.shape.dim[1].dim_value = size + count
        rates = [RATE + name for name in self.neurons]
        update = {
            "state_names": [*self.metadata.state_names, *rates],
            "neuron_names": [*self.neurons, *rates],
            "neuron_index": [*self.metadata.neuron_index, *range(size, size + count)],
        }
        return self._policy(model, self.metadata.model_copy(update=update))

    def without_neuron(self, name: str, held: float = 0.0) -> OnnxPolicy:
        """That neuron's state is ``held`` for all that read it, itself and the command among
        them."""
        neuron, model = self.neurons.index(name), self._model()
        layer = self._layer(neuron)
        mask = np.ones(len(layer.columns), np.float32)
        mask[neuron - layer.columns.start] = 0.0
        graph, helper = model.graph, self._onnx.helper
        instead = np.float32(held) * (1.0 - mask)
        for value, called in ((mask, "mask"), (instead, "instead")):
            graph.initializer.append(self._onnx.numpy_helper.from_array(value, called))
        place = next(k for k, node in enumerate(graph.node) if layer.state in node.output)
        graph.node[place].output[0] = "unmasked"
        graph.node.insert(place + 1, helper.make_node("Mul", ["unmasked", "mask"], ["masked"]))
        graph.node.insert(place + 2, helper.make_node("Add", ["masked", "instead"], [layer.state]))
        return self._policy(model, self.metadata)

    def without_synapse(self, name: str) -> OnnxPolicy:
        """That synapse weighs nothing, neither in the target nor in the rate of its neuron."""
        source, neuron = self.synapses[name]
        layer, model = self._layer(neuron), self._model()
        at = (int(np.flatnonzero(layer.rows == source)[0]), neuron - layer.columns.start)
        numpy_helper = self._onnx.numpy_helper
        for tensor in model.graph.initializer:
            if tensor.name in (layer.target, layer.gate):
                weight = numpy_helper.to_array(tensor).copy()
                weight[at] = 0.0
                tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
        return self._policy(model, self.metadata)

    def _layer(self, neuron: int) -> Any:
        return next(layer for layer in self._layers if neuron in layer.columns)

    def _model(self) -> Any:
        return self._onnx.load_from_string(self._data)

    def _policy(self, model: Any, metadata: Any) -> OnnxPolicy:
        # no file any more, so neither digest nor golden pairs stand for it
        session, _ = open_session(self.path, model.SerializeToString())
        return OnnxPolicy(dataclasses.replace(self._artifact, metadata=metadata, session=session))
