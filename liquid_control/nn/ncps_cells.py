"""The cells of ``ncps.torch`` by its names and signatures: one step of a network.

Use them, from :mod:`liquid_control.nn.ncps`, in a loop of one's own over time; over whole sequences
``CfC`` and ``LTC`` are many times as fast.

Shapes: B batch, F inputs, H neurons, O outputs.
"""

from typing import Any

import torch
from torch import Tensor

from liquid_control.nn import compat
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.ncps_arguments import generator, make_backbone, make_ltc, make_wired_cfc
from liquid_control.nn.ncps_module import LtcCounts, NcpsModule


class _Step(NcpsModule):
    """What the cells share: one step, and weights under names without ``rnn_cell``."""

    def __init__(self, cell: Cell, units: Any) -> None:
        super().__init__(cell, units)
        self.cell = cell

    def _step(self, input_BF: Tensor, hx_BH: Tensor, ts: Any) -> tuple[Tensor, Tensor]:
        for name, value in (("input", input_BF), ("hx", hx_BH)):
            if value.dim() != 2:
                raise ValueError(f"{name} has shape {tuple(value.shape)}, expected 2 dimensions")
        dt = torch.as_tensor(ts).to(input_BF)
        if dt.shape not in ((), (1,), (1, 1), (len(input_BF),), (len(input_BF), 1)):
            expected = f"one number, {(len(input_BF),)} or {(len(input_BF), 1)}"
            raise ValueError(f"ts has shape {tuple(dt.shape)}, expected {expected}")
        dt_B1 = dt.reshape(-1, 1).expand(len(input_BF), 1)
        output, state = self.cell(input_BF, self._ordered(hx_BH, self._order), dt_B1)
        return output, self._ordered(state, self._back)

    def _is_theirs(self, name: str) -> bool:
        return not name.startswith("cell.")

    def ncps_state_dict(self) -> dict[str, Tensor]:
        """The weights for ncps's cell of the same arguments; it takes them by load_state_dict.

        The other way needs no function: ``load_state_dict`` takes a ``state_dict`` of either.
        """
        values = compat.ncps_state_dict(self.cell)
        return {name.removeprefix("rnn_cell."): value for name, value in values.items()}


class CfCCell(_Step):
    """``ncps.torch.CfCCell``: one step of the paper's closed-form cell, behind a backbone.

    Arguments as for :class:`liquid_control.nn.ncps.CfC`, which tells them. ``sparsity_mask`` must
    be None: :class:`WiredCfCCell` has the missing synapses of a wiring.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: str = "default",
        backbone_activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float = 0.0,
        sparsity_mask: None = None,
    ) -> None:
        if sparsity_mask is not None:
            raise ValueError(
                "sparsity_mask is given, expected None: WiredCfCCell has a wiring's synapses only"
            )
        cell = make_backbone(
            input_size,
            hidden_size,
            mode,
            backbone_activation,
            generator(),
            backbone_units=backbone_units,
            backbone_layers=backbone_layers,
            backbone_dropout=backbone_dropout,
        )
        super().__init__(cell, hidden_size)
        self.hidden_size, self.mode = hidden_size, mode
        self.backbone_layers = backbone_layers

    def forward(self, input: Tensor, hx: Tensor, ts: Tensor | float) -> tuple[Tensor, Tensor]:
        """(hx (B, H), the same once more) after a step; input (B, F), ts one number or (B, 1)."""
        _, state = self._step(input, hx, ts)
        return state, state


class WiredCfCCell(_Step):
    """``ncps.torch.WiredCfCCell``: one step of a CfC on a wiring, of ncps or of this package."""

    def __init__(self, input_size: int | None, wiring: Any, mode: str = "default") -> None:
        cell = make_wired_cfc(input_size, wiring, mode, generator())
        super().__init__(cell, wiring)
        self.sensory_size, self.motor_size = cell.input_size, cell.output_size
        groups = cell.wiring.groups
        sizes = [len(groups[name]) for name in ("inter", "command", "motor")]
        self.layer_sizes = [size for size in sizes if size]
        self.num_layers = len(self.layer_sizes)

    @property
    def synapse_count(self) -> int:
        """Number of synapses between neurons."""
        return int(abs(self.cell.wiring.adjacency).sum())

    @property
    def sensory_synapse_count(self) -> int:
        """Number of synapses from inputs to neurons."""
        return int(abs(self.cell.wiring.sensory_adjacency).sum())

    def forward(
        self, input: Tensor, hx: Tensor, timespans: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """(output (B, O), hx (B, H)) after a step; input (B, F), timespans a number or (B, 1)."""
        return self._step(input, hx, timespans)


class LTCCell(LtcCounts, _Step):
    """``ncps.torch.LTCCell``: one step of an LTC on a wiring, of ncps or of this package.

    Arguments as for :class:`liquid_control.nn.ncps.LTC`, except that conductances are not kept
    positive unless ``implicit_param_constraints`` is set, as in ncps.
    """

    def __init__(
        self,
        wiring: Any,
        in_features: int | None = None,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = False,
    ) -> None:
        cell = make_ltc(
            in_features,
            wiring,
            input_mapping,
            output_mapping,
            ode_unfolds,
            epsilon,
            implicit_param_constraints,
            generator(),
        )
        super().__init__(cell, wiring)
        self.sensory_size, self.motor_size = cell.input_size, cell.output_size

    def forward(
        self, inputs: Tensor, states: Tensor, elapsed_time: Tensor | float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """(output (B, O), states (B, H)) after a step; inputs (B, F), elapsed_time as ``ts``."""
        return self._step(inputs, states, elapsed_time)
