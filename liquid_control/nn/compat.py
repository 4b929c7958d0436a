"""Weights from and to the ``ncps`` package, without importing it.

Source: ncps 1.0.1, ``ncps.torch.WiredCfCCell`` and ``ncps.torch.LTCCell``. Its neurons are
numbered motor, command, inter; here they are inter, command, motor. A CfC or LTC with
``compat="ncps"`` computes the same, except that here dt differs per sample and 0 is allowed::

    wiring = wiring_from_ncps(theirs._wiring)
    cell = CfC(wiring, mode="default", nominal_dt=1.0, compat="ncps", rng=rng)
    load_ncps(cell, theirs.state_dict())
    theirs.load_state_dict(ncps_state_dict(cell))
"""

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.cfc import CfC
from liquid_control.nn.ltc import LTC
from liquid_control.nn.wiring import Wiring

CFC_HEADS = {"pure": ("ff1",), "default": ("ff1", "ff2", "time_a", "time_b")}
CFC_HEADS["no_gate"] = CFC_HEADS["default"]


def wiring_from_ncps(theirs) -> Wiring:
    """A built ``ncps.wirings.Wiring`` with its neurons in this package's order."""
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


def load_ncps(cell: CfC | LTC, state_dict: dict[str, Tensor]) -> None:
    """Copy the weights of ``ncps.torch``'s CfC or LTC, or of its ``rnn_cell``, into ``cell``."""
    _check(cell)
    theirs = {name.removeprefix("rnn_cell."): value for name, value in state_dict.items()}
    with torch.no_grad():
        if isinstance(cell, CfC):
            _load_cfc(cell, theirs)
        else:
            _load_ltc(cell, theirs)


def ncps_state_dict(cell: CfC | LTC) -> dict[str, Tensor]:
    """The weights of ``cell`` as an ncps network's ``rnn_cell`` of the same wiring loads them."""
    _check(cell)
    with torch.no_grad():
        return _cfc_state_dict(cell) if isinstance(cell, CfC) else _ltc_state_dict(cell)


def _check(cell: CfC | LTC) -> None:
    if getattr(cell, "compat", None) != "ncps":
        raise ValueError(
            f"{type(cell).__name__} has no compat='ncps': ncps computes something else"
        )


def _cfc_blocks(cell: CfC):
    """Per layer: their prefix, our neurons, their rows and columns of our weights."""
    for index, layer in enumerate(cell.layers):
        rows = np.arange(layer.stop - layer.start)
        columns = np.arange(layer.source_stop - layer.source_start)
        if not cell.wiring.command:
            rows = _their_order(cell.wiring)
            columns = np.concatenate([np.arange(cell.input_size), cell.input_size + rows])
        yield index, f"layer_{index}", slice(layer.start, layer.stop), rows, columns


def _load_cfc(cell: CfC, theirs: dict[str, Tensor]) -> None:
    heads = CFC_HEADS[cell.mode]
    for index, prefix, neurons, rows, columns in _cfc_blocks(cell):
        weights = [theirs[f"{prefix}.{head}.weight"][np.ix_(rows, columns)] for head in heads]
        cell.weight[index].copy_(torch.cat(weights))
        cell.bias[index].copy_(torch.cat([theirs[f"{prefix}.{head}.bias"][rows] for head in heads]))
        if cell.mode == "pure":
            cell.w_tau[neurons] = theirs[f"{prefix}.w_tau"][0, rows]
            cell.amplitude[neurons] = theirs[f"{prefix}.A"][0, rows]


def _cfc_state_dict(cell: CfC) -> dict[str, Tensor]:
    values = {}
    heads = CFC_HEADS[cell.mode]
    for index, prefix, neurons, rows, columns in _cfc_blocks(cell):
        here = np.ix_(np.argsort(rows), np.argsort(columns))
        for head, part in zip(heads, cell.weight[index].chunk(len(heads))):
            values[f"{prefix}.{head}.weight"] = part[here].clone()
        for head, part in zip(heads, cell.bias[index].chunk(len(heads))):
            values[f"{prefix}.{head}.bias"] = part[here[0][:, 0]].clone()
        mask = getattr(cell, f"free{index}")[: len(rows)]
        values[f"{prefix}.sparsity_mask"] = mask[here].clone()
        if cell.mode == "pure":
            values[f"{prefix}.w_tau"] = cell.w_tau[neurons][here[0].T].clone()
            values[f"{prefix}.A"] = cell.amplitude[neurons][here[0].T].clone()
    return values


def _blocks(cell: LTC):
    """Per block: its name here, prefix there, and (their source, their target) of each synapse."""
    theirs = _their_order(cell.wiring)
    for block, prefix, matrix in (
        ("sensory", "sensory_", cell.wiring.sensory_adjacency),
        ("neural", "", cell.wiring.adjacency),
    ):
        target, source = np.nonzero(matrix.T)
        yield block, prefix, (source if prefix else theirs[source], theirs[target])


def _their_order(wiring: Wiring) -> np.ndarray:
    """(units,) their number of each of our neurons."""
    groups = wiring.groups
    order = [*groups["motor"], *groups["command"], *groups["inter"]]
    return np.argsort(order)


def _load_ltc(cell: LTC, theirs: dict[str, Tensor]) -> None:
    order = _their_order(cell.wiring)
    for name in ("gleak", "vleak", "cm"):
        getattr(cell, name).copy_(theirs[name][order])
    for name in ("input_w", "input_b", "output_w", "output_b"):
        getattr(cell, name).copy_(theirs[name])
    for block, prefix, synapses in _blocks(cell):
        for name in ("w", "sigma", "mu", "erev"):
            getattr(cell, f"{block}_{name}").copy_(theirs[prefix + name][synapses])


def _ltc_state_dict(cell: LTC) -> dict[str, Tensor]:
    order = _their_order(cell.wiring)
    values = {name: getattr(cell, name).clone() for name in ("input_w", "input_b")}
    values |= {name: getattr(cell, name).clone() for name in ("output_w", "output_b")}
    for name in ("gleak", "vleak", "cm"):
        ours = getattr(cell, name)
        values[name] = torch.empty_like(ours)
        values[name][order] = ours
    for block, prefix, synapses in _blocks(cell):
        shape = (cell.input_size if prefix else cell.state_size, cell.state_size)
        mask = torch.zeros(shape)
        mask[synapses] = 1.0
        values[f"{prefix}sparsity_mask"] = mask
        for name in ("w", "sigma", "mu", "erev"):
            values[prefix + name] = torch.zeros(shape)
            values[prefix + name][synapses] = getattr(cell, f"{block}_{name}")
    return values
