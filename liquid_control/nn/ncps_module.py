"""What the drop-ins for ``ncps.torch`` share: a cell, the order of neurons, the names of weights.

Used by :mod:`liquid_control.nn.ncps` and :mod:`liquid_control.nn.ncps_cells`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from liquid_control.nn import compat
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.wrappers import MixedMemory
from liquid_control.nn.compat_entries import order_of


class NcpsModule(nn.Module):
    """A cell whose states are in ncps's order and whose weights load under ncps's names.

    ``cell`` is the cell: give it to :func:`liquid_control.nn.export.export_policy` in a
    ``Policy``, or to ``run_sequence``.

    Args:
        units: what the wiring was made of; one of ncps has the order of ncps.
    """

    def __init__(self, cell: Cell, units: Any) -> None:
        super().__init__()
        self.input_size, self.state_size = cell.input_size, cell.state_size
        self.output_size = cell.output_size
        theirs = hasattr(units, "get_neurons_of_layer")  # a wiring of ncps
        order = torch.as_tensor(order_of(cell)) if theirs else torch.arange(cell.state_size)
        self._in_order = bool((order == torch.arange(len(order))).all())
        self.register_buffer("_order", order, persistent=False)
        self.register_buffer("_back", order.argsort(), persistent=False)

    def _ordered(self, state: Tensor, order: Tensor) -> Tensor:
        """Neurons, and memories behind them, put into another order."""
        if self._in_order:
            return state
        return torch.cat([part[:, order] for part in state.split(len(order), dim=1)], dim=1)

    def _is_theirs(self, name: str) -> bool:
        """Whether ncps calls a weight of this module so."""
        raise NotImplementedError

    def _load_from_state_dict(self, state_dict, prefix, *arguments) -> None:
        """Weights under ncps's names are put under ours first."""
        names = [name for name in state_dict if name.startswith(prefix)]
        names = [name for name in names if self._is_theirs(name.removeprefix(prefix))]
        if names:
            theirs = {name.removeprefix(prefix): state_dict.pop(name) for name in names}
            try:
                values = compat.converted(self.cell, theirs)
            except ValueError as error:
                arguments[-1].append(str(error))  # all that do not fit are told at once
                values = self.cell.state_dict()
            state_dict.update({f"{prefix}cell.{name}": value for name, value in values.items()})
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class LtcCounts:
    """What ncps's LTC modules tell of their cell, and the clipping of their weights."""

    @property
    def _ltc(self) -> LTC:
        return self.cell.cell if isinstance(self.cell, MixedMemory) else self.cell

    @property
    def synapse_count(self) -> int:
        """Number of synapses between neurons."""
        return int(abs(self._ltc.wiring.adjacency).sum())

    @property
    def sensory_synapse_count(self) -> int:
        """Number of synapses from inputs to neurons."""
        return int(abs(self._ltc.wiring.sensory_adjacency).sum())

    def apply_weight_constraints(self) -> None:
        """Make conductances and capacitances positive in place, unless softplus does it."""
        if self._ltc.positive == "identity":
            self._ltc.clip_parameters()
