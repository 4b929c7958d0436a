"""The networks of ``ncps.torch`` by its names and signatures, computed by the cells here.

A program that uses the ncps package changes one import::

    from liquid_control.nn.ncps import CfC, LTC  # was: from ncps.torch import CfC, LTC

Arguments, shapes, results and files of weights are those of ncps 1.0.1 (Lechner and Hasani, Apache
2.0), which needs not be installed. ``docs/from_ncps.md`` tells what differs. Use the cells
themselves (:mod:`liquid_control.nn.cells`) for what ncps has not: missing samples, resets, modes.

Shapes: B batch, T time, F inputs, H neurons, O outputs. Without a batch the B is left out; with
``batch_first=False`` time comes before it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from liquid_control.nn import compat
from liquid_control.nn.cells.activations import ACTIVATIONS
from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.checks import one_of
from liquid_control.nn.ncps_arguments import (
    generator,
    is_wiring,
    like_ncps,
    make_backbone,
    make_ltc,
    make_wired_cfc,
    state_of,
    timespans_of,
)
from liquid_control.nn.ncps_cells import CfCCell, LTCCell, WiredCfCCell
from liquid_control.nn.ncps_module import LtcCounts, NcpsModule

__all__ = ["LTC", "CfC", "CfCCell", "LTCCell", "WiredCfCCell"]
State = Tensor | tuple[Tensor, Tensor]


class _Network(NcpsModule):
    """What CfC and LTC share: a cell over sequences, in a ``MixedMemory`` where there is one."""

    def __init__(
        self,
        cell: Cell,
        units: Any,
        *,
        proj_size: int | None,
        return_sequences: bool,
        batch_first: bool,
        mixed_memory: bool,
        rng: torch.Generator,
    ) -> None:
        super().__init__(cell, units)
        self.wiring_or_units = units
        self.batch_first, self.return_sequences = batch_first, return_sequences
        self.use_mixed, self.proj_size = mixed_memory, proj_size
        self.cell = like_ncps(cell, rng) if mixed_memory else cell
        self.fc = nn.Identity() if proj_size is None else nn.Linear(cell.output_size, proj_size)

    def forward(
        self,
        input: Tensor,
        hx: State | None = None,
        timespans: Tensor | float | None = None,
    ) -> tuple[Tensor, State]:
        """(output (B, T, O), or (B, O) without ``return_sequences``; hx after the last step).

        input: (B, T, F). hx: (B, H), with mixed memory a pair of them; zeros if None.
        timespans: time that each step advances, 1 if None: (B, T), (B, T, 1), or one for all
        samples, (T,) or (1, T), or one number; at least 0.

        Raises ValueError for a wrong shape or type, naming it.
        """
        if input.dim() not in (2, 3):
            raise ValueError(f"input has shape {tuple(input.shape)}, expected 2 or 3 dimensions")
        batched = input.dim() == 3
        input_BTF = input if batched else input[None]
        if batched and not self.batch_first:
            input_BTF = input_BTF.transpose(0, 1)
        dt_BT1 = timespans_of(timespans, input_BTF, batched, self.batch_first)
        if hx is None:
            state = self.cell.initial_state(len(input_BTF))
        else:
            state = self._ordered(state_of(hx, batched, self.use_mixed), self._order)
        output, state = run_sequence(self.cell, input_BTF, state, dt_BT1)
        state = self._ordered(state, self._back)
        output = self.fc(output if self.return_sequences else output[:, -1])
        if not batched:
            output, state = output[0], state[0]
        elif self.return_sequences and not self.batch_first:
            output = output.transpose(0, 1)
        return output, state.chunk(2, dim=-1) if self.use_mixed else state

    def _is_theirs(self, name: str) -> bool:
        return name.startswith(("rnn_cell.", "lstm."))

    def ncps_state_dict(self) -> dict[str, Tensor]:
        """The weights for ncps's network of the same arguments; it takes them by load_state_dict.

        The other way needs no function: ``load_state_dict`` takes a ``state_dict`` of either.
        """
        values = compat.ncps_state_dict(self.cell)
        if not self.use_mixed and not isinstance(self.cell, BackboneCfC):
            values = {f"rnn_cell.{name}": value for name, value in values.items()}
        of_fc = {f"fc.{name}": value.clone() for name, value in self.fc.state_dict().items()}
        return {**values, **of_fc}


class CfC(_Network):
    """``ncps.torch.CfC``: the paper's closed-form cell, or a wired one.

    units: number of neurons, behind a backbone; or a wiring, of ncps or of this package.
    proj_size: outputs of a linear layer behind the neurons; None for none.
    mode: "default", "no_gate" or "pure". activation: of the backbone, one of
        :data:`liquid_control.nn.cells.activations.ACTIVATIONS`.
    backbone_units, backbone_layers, backbone_dropout: 128, 1 and 0 if None; not with a wiring.

    Use it where ``ncps.torch.CfC`` was used. Weights are drawn in ncps's ranges, from torch's own
    generator (``torch.manual_seed``).
    """

    def __init__(
        self,
        input_size: int,
        units: Any,
        proj_size: int | None = None,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
        backbone_dropout: float | None = None,
    ) -> None:
        rng = generator()
        backbone = {
            "backbone_units": backbone_units,
            "backbone_layers": backbone_layers,
            "backbone_dropout": backbone_dropout,
        }
        given = {name: value for name, value in backbone.items() if value is not None}
        if not is_wiring(units):
            cell: Cell = make_backbone(input_size, units, mode, activation, rng, **given)
        elif given:
            raise ValueError(f"{given} with a wiring, expected None: it has no backbone")
        else:
            one_of("activation", activation, ACTIVATIONS)
            cell = make_wired_cfc(input_size, units, mode, rng)
        super().__init__(
            cell,
            units,
            proj_size=proj_size,
            return_sequences=return_sequences,
            batch_first=batch_first,
            mixed_memory=mixed_memory,
            rng=rng,
        )


class LTC(LtcCounts, _Network):
    """``ncps.torch.LTC``: the liquid time-constant cell, wired or fully connected.

    units: number of neurons, all connected; or a wiring, of ncps or of this package.
    input_mapping, output_mapping: "affine", "linear"; None or "none" for none.
    ode_unfolds: substeps of a step. epsilon: added to the conductance that is divided by.
    implicit_param_constraints: softplus keeps conductances positive; otherwise call
        :meth:`apply_weight_constraints` after each optimizer step.

    Use it where ``ncps.torch.LTC`` was used. Weights are drawn in ncps's ranges, from torch's own
    generator (``torch.manual_seed``).
    """

    def __init__(
        self,
        input_size: int,
        units: Any,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = True,
    ) -> None:
        rng = generator()
        cell = make_ltc(
            input_size,
            units,
            input_mapping,
            output_mapping,
            ode_unfolds,
            epsilon,
            implicit_param_constraints,
            rng,
        )
        super().__init__(
            cell,
            units,
            proj_size=None,
            return_sequences=return_sequences,
            batch_first=batch_first,
            mixed_memory=mixed_memory,
            rng=rng,
        )
