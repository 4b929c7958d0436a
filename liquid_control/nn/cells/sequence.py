"""A cell over whole sequences: irregular dt, missing samples, resets.

Shapes: B batch, T time, F inputs, H state, O outputs.
"""

import torch
from torch import Tensor

from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.checks import shapes


def run_sequence(
    cell: Cell,
    input_BTF: Tensor,
    state_BH: Tensor,
    dt_BT1: Tensor,
    *,
    observed_BT: Tensor | None = None,
    reset_BT: Tensor | None = None,
    compiled: bool = True,
) -> tuple[Tensor, Tensor]:
    """All steps of a batch of sequences: (output_BTO, state_BH after the last).

    dt_BT1: seconds that step t advances, per sample and step; at least 0, which is not checked.
    observed_BT: False where a sample is missing (its values are never read and may be NaN). State
        and output stay as they were and its dt is added to that of the next sample, so that the
        elapsed time stays true. Padding at the end is the same thing.
    reset_BT: True where a sequence begins anew: the state before that step is at rest and no
        elapsed time is carried over.
    compiled: use the cell's compiled CPU kernel where it has one (see
        :mod:`liquid_control.nn.kernels.calls`), else torch. A kernel has no second derivatives.

    Raises ValueError for a wrong shape or type, naming it.
    """
    _check(cell, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT)
    if observed_BT is not None:
        input_BTF = torch.where(observed_BT[:, :, None], input_BTF, 0.0)
    if compiled:
        result = cell.compiled_sequence(input_BTF, state_BH, dt_BT1, observed_BT, reset_BT)
        if result is not None:
            return result
    if observed_BT is not None:
        dt_BT1 = _elapsed(dt_BT1, observed_BT, reset_BT)
    weights = cell.weights()
    states = []
    for t in range(input_BTF.shape[1]):
        if reset_BT is not None:
            state_BH = torch.where(reset_BT[:, t, None], 0.0, state_BH)
        new_BH = cell.advance(input_BTF[:, t], state_BH, dt_BT1[:, t], weights)
        if observed_BT is not None:
            new_BH = torch.where(observed_BT[:, t, None], new_BH, state_BH)
        state_BH = new_BH
        states.append(state_BH)
    return cell.output(torch.stack(states, dim=1), weights), state_BH


def _elapsed(dt_BT1: Tensor, observed_BT: Tensor, reset_BT: Tensor | None) -> Tensor:
    """dt with that of the missing samples just before added; a reset forgets them."""
    pending_B1 = torch.zeros_like(dt_BT1[:, 0])
    elapsed = []
    for t in range(dt_BT1.shape[1]):
        if reset_BT is not None:
            pending_B1 = torch.where(reset_BT[:, t, None], 0.0, pending_B1)
        pending_B1 = pending_B1 + dt_BT1[:, t]
        elapsed.append(pending_B1)
        pending_B1 = torch.where(observed_BT[:, t, None], 0.0, pending_B1)
    return torch.stack(elapsed, dim=1)


def _check(cell, input_BTF, state_BH, dt_BT1, observed_BT, reset_BT) -> None:
    if input_BTF.dim() != 3:
        raise ValueError(f"input has shape {tuple(input_BTF.shape)}, expected 3 dimensions")
    batch, steps, _ = input_BTF.shape
    masks = {
        name: mask
        for name, mask in (("observed", observed_BT), ("reset", reset_BT))
        if mask is not None
    }
    shapes(
        input=(input_BTF, (batch, steps, cell.input_size)),
        state=(state_BH, (batch, cell.state_size)),
        dt=(dt_BT1, (batch, steps, 1)),
        **{name: (mask, (batch, steps)) for name, mask in masks.items()},
    )
    for name, mask in masks.items():
        if mask.dtype != torch.bool:
            raise ValueError(f"{name} is of {mask.dtype}, expected torch.bool")
    if steps == 0:
        raise ValueError("a sequence needs at least 1 step, got 0")
