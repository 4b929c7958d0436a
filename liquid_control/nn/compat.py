"""Weights from and to the ``ncps`` package, without importing it.

Source: ncps 1.0.1, ``ncps.torch.WiredCfCCell`` and ``ncps.torch.LTCCell``. Its neurons are
numbered motor, command, inter; here they are inter, command, motor. A CfC or LTC with
``compat="ncps"`` computes the same, except that here dt differs per sample and 0 is allowed::

    wiring = wiring_from_ncps(theirs.rnn_cell._wiring)
    cell = CfC(wiring, mode="default", nominal_dt=1.0, compat="ncps", rng=rng)
    load_ncps(cell, theirs.state_dict())
    theirs.rnn_cell.load_state_dict(ncps_state_dict(cell))

A network with ``mixed_memory=True`` is a ``MixedMemory`` of such a cell::

    mixed = MixedMemory(cell, rng=rng)
    load_ncps(mixed, theirs.state_dict())
    theirs.load_state_dict(ncps_state_dict(mixed))

On a wiring of one layer (fully connected, random) their CfC outputs all its neurons, the motor
neurons first; ours outputs the motor neurons. The outputs are the same in all other cases.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.circuit import Wiring
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.wrappers import MixedMemory

# our LSTM gates are input, forget, candidate, output; theirs candidate, input, forget, output
LSTM_GATES = (1, 2, 0, 3)
FORGET_OFFSET = 1.0  # which theirs adds to the forget gate's bias in every step

# their name, their shape, an index and our tensor, whose elements are those of theirs[index]
Entry = tuple[str, tuple[int, ...], object, Tensor]


def wiring_from_ncps(theirs) -> Wiring:
    """A built ``ncps.wirings.Wiring`` with its neurons in this package's order."""
    if not theirs.is_built():
        raise ValueError(
            "the ncps wiring is not built, expected one with inputs: call its build(input_size)"
        )
    layers = [theirs.get_neurons_of_layer(index) for index in range(theirs.num_layers)]
    motor = theirs.output_dim
    if len(layers) == 3:
        order = [neuron for layer in layers for neuron in layer]
        inter, command = len(layers[0]), len(layers[1])
    else:
        order = [*range(motor, theirs.units), *range(motor)]
        inter, command = theirs.units - motor, 0
    return Wiring(
        "ncp" if command else "random",
        theirs.input_dim,
        inter,
        command,
        motor,
        np.asarray(theirs.sensory_adjacency_matrix)[:, order],
        np.asarray(theirs.adjacency_matrix)[np.ix_(order, order)],
    )


def load_ncps(cell: CfC | LTC | MixedMemory, state_dict: dict[str, Tensor]) -> None:
    """Copy the weights of ``ncps.torch``'s CfC or LTC, or of its ``rnn_cell``, into ``cell``.

    Raises ValueError, with ``cell`` unchanged, unless names, shapes and wiring are those of
    ``cell``.
    """
    theirs = {name.removeprefix("rnn_cell."): value for name, value in state_dict.items()}
    _check_same(theirs, _state_dict(cell))
    with torch.no_grad():
        for name, _, index, ours in _entries(cell):
            ours.copy_(theirs[name][index])
        if isinstance(cell, MixedMemory):
            cell.bias.chunk(4)[1].add_(FORGET_OFFSET)


def ncps_state_dict(cell: CfC | LTC | MixedMemory) -> dict[str, Tensor]:
    """The weights of ``cell`` as ncps loads them into a network of the same wiring.

    Those of a CfC or LTC are for the network's ``rnn_cell``, those of a MixedMemory for the whole
    network.
    """
    values = _state_dict(cell)
    if isinstance(cell, MixedMemory):
        return {
            name if name.startswith("lstm.") else f"rnn_cell.{name}": value
            for name, value in values.items()
        }
    return values


def _state_dict(cell: CfC | LTC | MixedMemory) -> dict[str, Tensor]:
    """Copies of the weights under their names, but without the prefix of their ``rnn_cell``."""
    inner = cell.cell if isinstance(cell, MixedMemory) else cell
    if getattr(inner, "compat", None) != "ncps":
        raise ValueError(
            f"{type(inner).__name__} has no compat='ncps': ncps computes something else"
        )
    values = {}
    with torch.no_grad():
        for name, shape, index, ours in _entries(cell):
            values[name] = ours.new_zeros(shape)
            values[name][index] = ours
        if isinstance(cell, MixedMemory):
            values["lstm.input_map.bias"].chunk(4)[2].sub_(FORGET_OFFSET)
    return values


def _check_same(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> None:
    """ValueError unless names, shapes and sparsity masks are the same."""
    wrong = [f"{name} is missing" for name in ours if name not in theirs]
    wrong += [f"{name} is unexpected" for name in theirs if name not in ours]
    if not wrong:
        wrong = [
            f"{name} has shape {tuple(theirs[name].shape)}, expected {tuple(value.shape)}"
            for name, value in ours.items()
            if theirs[name].shape != value.shape
        ]
    if not wrong:
        wrong = [
            f"{name} is that of another wiring"
            for name, value in ours.items()
            if name.endswith("sparsity_mask")
            and not torch.equal(theirs[name].to(value.device), value)
        ]
    if wrong:
        raise ValueError(f"weights of another network: {', '.join(wrong)}")


def _entries(cell: CfC | LTC | MixedMemory) -> Iterator[Entry]:
    if isinstance(cell, MixedMemory):
        yield from _entries(cell.cell)
        yield from _lstm_entries(cell)
    elif isinstance(cell, CfC):
        yield from _cfc_entries(cell)
    else:
        yield from _ltc_entries(cell)


def _order(cell: CfC | LTC) -> np.ndarray:
    """(units,) place of each of our neurons in their state; in a CfC of groups it is the same."""
    groups = cell.wiring.groups
    if isinstance(cell, CfC) and cell.wiring.command:
        return np.arange(cell.wiring.units)
    return np.argsort([*groups["motor"], *groups["command"], *groups["inter"]])


def _cfc_entries(cell: CfC) -> Iterator[Entry]:
    heads = cell.mode.ncps.heads
    order = _order(cell)
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
    order = _order(cell)
    for name in ("gleak", "vleak", "cm"):
        yield name, order.shape, order, getattr(cell, name)
    for name in ("input_w", "input_b", "output_w", "output_b"):
        ours = getattr(cell, name)
        yield name, ours.shape, ..., ours
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
    order = _order(mixed.cell)
    units, inputs = len(order), mixed.input_size
    rows = np.concatenate([gate * units + order for gate in LSTM_GATES])
    yield "lstm.input_map.weight", (4 * units, inputs), rows, mixed.weight[:, :inputs]
    yield "lstm.input_map.bias", (4 * units,), rows, mixed.bias
    recurrent = mixed.weight[:, inputs:]
    yield "lstm.recurrent_map.weight", recurrent.shape, np.ix_(rows, order), recurrent
