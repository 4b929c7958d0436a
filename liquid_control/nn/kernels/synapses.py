"""Synapses and neurons as the compiled kernels read them: a list per neuron.

What a neuron of a closed-form cell may read in a step is a row of that step's *sources*::

    1 | t = dt / nominal_dt | inputs | old states | fresh states

so that a bias is a synapse from the first row, and neurons of earlier groups are read fresh and
others old.

Shapes: N neurons of a layer, H neurons of all, Z synapses, S heads.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from liquid_control.nn.cells.circuit import Layer


class SynapseValues(NamedTuple):
    """Effective values of an LTC's synapses."""

    w: Tensor
    w_erev: Tensor
    sigma: Tensor
    sigma_mu: Tensor


class NeuronValues(NamedTuple):
    """Effective values of an LTC's neurons."""

    gleak: Tensor
    gleak_vleak: Tensor
    cm: Tensor


class SourceRows(NamedTuple):
    """Where things begin among the rows of a step's sources; ``end`` is their number."""

    one: int
    time: int
    input: int
    old: int
    fresh: int
    end: int


def source_rows(inputs: int, units: int) -> SourceRows:
    """The rows of a cell's sources; the kernel calls this too."""
    one, time, first = 0, 1, 2
    old = first + inputs
    return SourceRows(one, time, first, old, old + units, old + 2 * units)


class Synapses(NamedTuple):
    """Neuron n has synapses start[n] : start[n + 1]; the same for all calls of a cell.

    A synapse has a weight per head, w = |p|*sign + p*free with p = parameters[parameter]. Where a
    head lacks a synapse both factors are 0 and p is one past the last parameter.
    """

    start: np.ndarray  # (H + 1,)
    source: np.ndarray  # (Z,) row of the sources
    parameter: np.ndarray  # (Z, S)
    sign: np.ndarray  # (Z, S)
    free: np.ndarray  # (Z, S)


def list_synapses(
    inputs: int, layers: tuple[Layer, ...], signs: list[Tensor], frees: list[Tensor]
) -> Synapses:
    """signs, frees: per layer (heads*N, its sources) factors of the weights.

    The parameters are the layers' weights, then their biases, each flattened. The heads are made
    up to an even number, which the kernel computes in pairs.
    """
    units = layers[-1].stop
    rows = source_rows(inputs, units)
    weights = sum(sign.numel() for sign in signs)
    absent = weights + sum(len(sign) for sign in signs)
    next_weight, next_bias = 0, weights
    count, parts = [], []
    for layer, sign, free in zip(layers, signs, frees):
        neurons = layer.stop - layer.start
        heads, width = len(sign) // neurons, sign.shape[1]
        column = np.arange(layer.source_start, layer.source_stop)
        fresh = (inputs <= column) & (column < inputs + layer.start)
        row = np.concatenate([[rows.one], rows.input + column + units * fresh])
        weight = next_weight + np.arange(sign.numel()).reshape(heads, neurons, width)
        bias = next_bias + np.arange(len(sign)).reshape(heads, neurons, 1)
        next_weight, next_bias = next_weight + weight.size, next_bias + bias.size
        of_weight = (factor.numpy().reshape(weight.shape) for factor in (sign, free))
        values = [
            np.concatenate([first, rest], axis=2).transpose(1, 2, 0)  # (N, 1 + width, heads)
            for first, rest in zip((bias, 0.0 * bias, 1.0 + 0.0 * bias), (weight, *of_weight))
        ]
        exists = (values[1] != 0) | (values[2] != 0)
        values[0] = np.where(exists, values[0], absent)
        here = exists.any(axis=2)
        count.extend(here.sum(axis=1))
        even = ((0, 0), (0, heads % 2))
        fillings = (absent, 0, 0)
        padded = (np.pad(v[here], even, constant_values=f) for v, f in zip(values, fillings))
        parts.append((row[np.nonzero(here)[1]], *padded))
    start = np.concatenate([[0], np.cumsum(count)])
    return Synapses(start, *(np.concatenate(part) for part in zip(*parts)))
