"""Which number of ours is which of the ``ncps`` package's, by its names and shapes.

Source: ncps 1.0.1, ``ncps.torch``. Used by :mod:`liquid_control.nn.compat`, which checks and
copies.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor

from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC, MAPPINGS
from liquid_control.nn.cells.wrappers import MixedMemory, Readout

# our LSTM gates are input, forget, candidate, output; theirs candidate, input, forget, output
LSTM_GATES = (1, 2, 0, 3)
FORGET_OFFSET = 1.0  # which theirs adds to the forget gate's bias in every step

# their name, their shape, an index and our tensor, whose elements are those of theirs[index]
Entry = tuple[str, tuple[int, ...], object, Tensor]


class Parts(NamedTuple):
    """A cell of ours taken apart as ncps builds it."""

    inner: Cell  # their rnn_cell
    mixed: MixedMemory | None  # their lstm is in it
    readout: tuple[Tensor, Tensor] | None  # weight and bias of their fc


def parts_of(cell: Cell) -> Parts:
    """The cell inside of its wrappers, and those."""
    readout, mixed = None, None
    if isinstance(cell, Readout):
        readout, cell = (cell.weight, cell.bias), cell.cell
    if isinstance(cell, MixedMemory):
        mixed, cell = cell, cell.cell
    if isinstance(cell, BackboneCfC) and cell.has_readout:
        if readout:
            raise ValueError("the cell has a readout of a readout, expected one at most")
        readout = cell.weight_output, cell.bias_output
    return Parts(cell, mixed, readout)


def entries(cell: Cell) -> Iterator[Entry]:
    """All weights of a network that ncps has, too."""
    inner, mixed, readout = parts_of(cell)
    if isinstance(inner, CfC):
        yield from _cfc_entries(inner)
    elif isinstance(inner, BackboneCfC):
        yield from _backbone_entries(inner)
    else:
        yield from _ltc_entries(inner)
    if mixed:
        yield from _lstm_entries(mixed)
    if readout:
        for name, ours in zip(("weight", "bias"), readout):
            yield f"fc.{name}", ours.shape, ..., ours


def order_of(cell: Cell) -> np.ndarray:
    """(units,) place of each of our neurons in their state; in a CfC of groups it is the same."""
    if isinstance(cell, BackboneCfC) or (isinstance(cell, CfC) and cell.wiring.command):
        return np.arange(cell.state_size)
    groups = cell.wiring.groups
    return np.argsort([*groups["motor"], *groups["command"], *groups["inter"]])


def _backbone_entries(cell: BackboneCfC) -> Iterator[Entry]:
    *layers, heads = zip(cell.weight, cell.bias)
    # their dropout has a place in the row of modules, after each layer but the first
    place = 0
    for index, (weight, bias) in enumerate(layers):
        yield f"backbone.{place}.weight", weight.shape, ..., weight
        yield f"backbone.{place}.bias", bias.shape, ..., bias
        place += 3 if index and cell.backbone_dropout else 2
    names = cell.mode.ncps.heads
    for name, weight, bias in zip(names, *(part.chunk(len(names)) for part in heads)):
        yield f"{name}.weight", weight.shape, ..., weight
        yield f"{name}.bias", bias.shape, ..., bias
    for constant in cell.constants:
        values = getattr(cell, constant.parameter)
        yield constant.theirs, (1, cell.units), 0, values


def _cfc_entries(cell: CfC) -> Iterator[Entry]:
    heads = cell.mode.ncps.heads
    order = order_of(cell)
    sources = np.concatenate([np.arange(cell.input_size), cell.input_size + order])
    for index, layer in enumerate(cell.layers):
        prefix, neurons = f"layer_{index}", slice(layer.start, layer.stop)
        rows = order[neurons] - layer.start
        columns = sources[layer.source_start : layer.source_stop] - layer.source_start
        block = np.ix_(rows, columns)
        for head, weight, bias in zip(
            heads, cell.weight[index].chunk(len(heads)), cell.bias[index].chunk(len(heads))
        ):
            yield f"{prefix}.{head}.weight", weight.shape, block, weight
            yield f"{prefix}.{head}.bias", bias.shape, rows, bias
        mask = getattr(cell, f"free{index}")[: len(rows)]
        yield f"{prefix}.sparsity_mask", mask.shape, block, mask
        for constant in cell.constants:
            values = getattr(cell, constant.parameter)[neurons]
            yield f"{prefix}.{constant.theirs}", (1, len(rows)), (0, rows), values


def _ltc_entries(cell: LTC) -> Iterator[Entry]:
    order = order_of(cell)
    for name in ("gleak", "vleak", "cm"):
        yield name, order.shape, order, getattr(cell, name)
    for end, mapping in (("input", cell.input_mapping), ("output", cell.output_mapping)):
        for part in MAPPINGS[mapping]:
            ours = getattr(cell, f"{end}_{part}")
            yield f"{end}_{part}", ours.shape, ..., ours
    for block, prefix, matrix, place in (
        ("sensory", "sensory_", cell.wiring.sensory_adjacency, np.arange(cell.input_size)),
        ("neural", "", cell.wiring.adjacency, order),
    ):
        target, source = np.nonzero(matrix.T)
        synapses = place[source], order[target]
        for name in ("w", "sigma", "mu", "erev"):
            yield prefix + name, matrix.shape, synapses, getattr(cell, f"{block}_{name}")
        yield f"{prefix}sparsity_mask", matrix.shape, synapses, cell.cm.new_ones(len(target))


def _lstm_entries(mixed: MixedMemory) -> Iterator[Entry]:
    order = order_of(mixed.cell)
    units, inputs = len(order), mixed.input_size
    rows = np.concatenate([gate * units + order for gate in LSTM_GATES])
    yield "lstm.input_map.weight", (4 * units, inputs), rows, mixed.weight[:, :inputs]
    yield "lstm.input_map.bias", (4 * units,), rows, mixed.bias
    recurrent = mixed.weight[:, inputs:]
    yield "lstm.recurrent_map.weight", recurrent.shape, np.ix_(rows, order), recurrent
