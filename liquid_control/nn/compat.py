"""Weights from and to the ``ncps`` package, without importing it.

Source: ncps 1.0.1, ``ncps.torch``'s ``CfCCell``, ``WiredCfCCell`` and ``LTCCell``. Use it for cells
of one's own making; :mod:`liquid_control.nn.ncps` has its networks with its signatures.

| theirs | ours |
|---|---|
| ``CfC(inputs, units, ...)`` | :class:`BackboneCfC` |
| ``CfC(inputs, wiring)``, ``LTC(inputs, wiring)`` | ``CfC``, ``LTC`` with ``compat="ncps"`` |
| ``mixed_memory=True`` | ``MixedMemory(cell)`` |
| ``proj_size=n`` | ``Readout(cell, output_size=n)``, or ``BackboneCfC(output_size=n)`` |

Their neurons are numbered motor, command, inter; here they are inter, command, motor. A cell then
computes the same, except that here dt differs per sample and 0 is allowed::

    wiring = wiring_from_ncps(theirs.rnn_cell._wiring)
    cell = CfC(wiring, mode="default", nominal_dt=1.0, compat="ncps", rng=rng)
    load_ncps(cell, theirs)
    theirs.load_state_dict(ncps_state_dict(cell))

A ``state_dict`` does not say all that a network computes: whether its mode is ``default`` or
``no_gate``, what bends its backbone, an LTC's unfolds. Given one, :func:`load_ncps` wants these by
name, and refuses what the cell does not compute.

On a wiring of one layer (fully connected, random) their CfC outputs all its neurons, the motor
neurons first; ours outputs the motor neurons. The outputs are the same in all other cases.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.circuit import Wiring
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.compat_entries import FORGET_OFFSET, entries, parts_of
from liquid_control.nn.compat_settings import check_settings, ncps_settings, settings_of

__all__ = ["load_ncps", "ncps_settings", "ncps_state_dict", "wiring_from_ncps"]


def wiring_from_ncps(theirs) -> Wiring:
    """A built ``ncps.wirings.Wiring`` with its neurons in this package's order.

    Raises ValueError for one without inputs or outputs, and for layers that no cell here has.
    """
    if not theirs.is_built():
        raise ValueError(
            "the ncps wiring is not built, expected one with inputs: call its build(input_size)"
        )
    if theirs.output_dim is None:
        raise ValueError(
            "the ncps wiring has output_dim None, expected the number of its motor neurons: "
            "call its set_output_dim(n)"
        )
    if theirs.num_layers not in (1, 3):
        raise ValueError(
            f"the ncps wiring has num_layers {theirs.num_layers}, expected 3 (inter, command, "
            "motor) or 1 (all neurons)"
        )
    layers = [list(theirs.get_neurons_of_layer(index)) for index in range(theirs.num_layers)]
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


def load_ncps(cell: Cell, theirs: nn.Module | dict[str, Tensor], **settings: Any) -> None:
    """Copy the weights of ``ncps.torch``'s CfC or LTC, or of its ``rnn_cell``, into ``cell``.

    theirs: the network, or its ``state_dict()``. settings: of a ``state_dict``, the arguments of
        the network that it does not tell, as :func:`ncps_settings` names them (``mode="default"``,
        ``ode_unfolds=6``, ...); of a network they are read.

    Raises ValueError, with ``cell`` unchanged, unless names, shapes, wiring and settings are those
    of ``cell``: each that differs is named with its value and what was expected.
    """
    if isinstance(theirs, nn.Module):
        if settings:
            raise ValueError(f"settings {sorted(settings)} of a network are read from it")
        settings, theirs = settings_of(theirs), theirs.state_dict()
    _of_ncps(cell)
    _check_same(_bare(theirs), _state_dict(cell))
    check_settings(cell, settings)
    copy_weights(cell, theirs)


def copy_weights(cell: Cell, state_dict: dict[str, Tensor]) -> None:
    """Copy a ``state_dict`` of theirs whose settings are known to be those of ``cell``.

    Raises ValueError, with ``cell`` unchanged, unless names, shapes and wiring are the same.
    """
    theirs = _bare(state_dict)
    _check_same(theirs, _state_dict(cell))
    with torch.no_grad():
        for name, _, index, ours in entries(cell):
            ours.copy_(theirs[name][index])
        if mixed := parts_of(cell).mixed:
            mixed.bias.chunk(4)[1].add_(FORGET_OFFSET)


def converted(cell: Cell, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ``state_dict`` of theirs as one that ``cell``, which stays as it is, can load.

    Errors are those of :func:`copy_weights`.
    """
    other = copy.deepcopy(cell)
    copy_weights(other, state_dict)
    return other.state_dict()


def ncps_state_dict(cell: Cell) -> dict[str, Tensor]:
    """The weights of ``cell`` as ncps loads them into a network of the same wiring and settings.

    The names are those of the whole network, except that a ``CfC`` or ``LTC`` by itself has the
    names of the network's ``rnn_cell``.
    """
    values = _state_dict(cell)
    if isinstance(cell, (CfC, LTC)):
        return values
    whole = ("lstm.", "fc.")
    return {
        name if name.startswith(whole) else f"rnn_cell.{name}": value
        for name, value in values.items()
    }


def _bare(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("rnn_cell."): value for name, value in state_dict.items()}


def _of_ncps(cell: Cell) -> None:
    """ValueError for a cell that computes what ncps has not."""
    inner = parts_of(cell).inner
    if isinstance(inner, BackboneCfC):
        if inner.mode.ncps is None:
            raise ValueError(f"mode is {inner.mode.name!r}, which ncps does not have")
    elif getattr(inner, "compat", None) != "ncps":
        raise ValueError(
            f"{type(inner).__name__} has no compat='ncps': ncps computes something else"
        )


def _state_dict(cell: Cell) -> dict[str, Tensor]:
    """Copies of the weights under their names, but without the prefix of their ``rnn_cell``."""
    _of_ncps(cell)
    values = {}
    with torch.no_grad():
        for name, shape, index, ours in entries(cell):
            values[name] = ours.new_zeros(shape)
            values[name][index] = ours
        if parts_of(cell).mixed:
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
            if name.endswith("sparsity_mask") and not torch.equal(theirs[name].to(value), value)
        ]
    if wrong:
        raise ValueError(f"weights of another network: {', '.join(wrong)}")
