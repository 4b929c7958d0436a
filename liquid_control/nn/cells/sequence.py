"""A cell over whole sequences: irregular dt, missing samples, resets, one chunk after another.

Shapes: B batch, T time, F inputs, H state, O outputs.
"""

import torch
from torch import Tensor

from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.precision import autocast_is_on, in_full_precision
from liquid_control.nn.cells.waiting import elapsed, is_of_stream, waited, with_waited
from liquid_control.nn.checks import masks, tensors


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
    """All steps of a batch of sequences: (output_BTO, state after the last).

    state_BH: (B, H), or (B, H + 1) as a call with ``observed_BT`` returned it.
    dt_BT1: seconds that step t advances, per sample and step; at least 0, which is not checked.
    observed_BT: False where a sample is missing (its values are never read and may be NaN). State
        and output stay as they were and its dt is added to that of the next sample, so that the
        elapsed time stays true; a NaN dt makes that sample NaN, and nothing if none follows.
        Padding at the end is the same thing.
    reset_BT: True where a sequence begins anew: the state before that step is at rest and no
        elapsed time is carried over.
    compiled: use the cell's compiled CPU kernel where it has one (see
        :mod:`liquid_control.nn.kernels.calls`), else torch. A kernel has no second derivatives.

    The state is (B, H). With ``observed_BT`` it is (B, H + 1): the last column holds the seconds
    that the samples missing at the end took. Give it to the next call, or to a step, and the chunks
    of a stream give what the whole gives.

    Under ``torch.autocast`` a cell computes in its own dtype, see
    :mod:`liquid_control.nn.cells.precision`. Raises ValueError that names the argument for a wrong
    shape, dtype or device; a cell's parameters are of float32 or float64.
    """
    like = next(cell.parameters())
    options = dict(observed_BT=observed_BT, reset_BT=reset_BT, compiled=compiled)
    if autocast_is_on(like):
        given = (input_BTF, state_BH, dt_BT1)
        return in_full_precision(run_sequence, like, cell, *given, **options)
    with_seconds = is_of_stream(state_BH, cell.state_size)
    tensors(
        like,
        input=(input_BTF, ("B", "T", cell.input_size)),
        state=(state_BH, ("B", cell.state_size + with_seconds)),
        dt=(dt_BT1, ("B", "T", 1)),
    )
    masks(like, tuple(input_BTF.shape[:2]), observed=observed_BT, reset=reset_BT)
    if input_BTF.shape[1] == 0:
        raise ValueError("a sequence needs at least 1 step, got 0")
    if with_seconds:
        state_BH, waited_B1 = state_BH[:, :-1], state_BH[:, -1:]
        dt_BT1 = with_waited(dt_BT1, waited_B1, reset_BT)
    if observed_BT is None:
        return _run(cell, input_BTF, state_BH, dt_BT1, **options)
    input_BTF = torch.where(observed_BT[:, :, None], input_BTF, 0.0)
    output_BTO, state_BH = _run(cell, input_BTF, state_BH, dt_BT1, **options)
    return output_BTO, torch.cat([state_BH, waited(dt_BT1, observed_BT, reset_BT)], dim=1)


def _run(cell, input_BTF, state_BH, dt_BT1, *, observed_BT, reset_BT, compiled):
    """(output_BTO, state_BH) from a kernel or in a loop; inputs of missing samples are 0."""
    if compiled:
        result = cell.compiled_sequence(input_BTF, state_BH, dt_BT1, observed_BT, reset_BT)
        if result is not None:
            return result
    if observed_BT is not None:
        dt_BT1 = elapsed(dt_BT1, observed_BT, reset_BT)
        dt_BT1 = torch.where(observed_BT[:, :, None], dt_BT1, cell.nominal_dt)
    weights = cell.weights()
    states = []
    for t in range(input_BTF.shape[1]):
        if reset_BT is not None:
            state_BH = torch.where(reset_BT[:, t, None], 0.0, state_BH)
        if observed_BT is None:
            state_BH = cell.advance(input_BTF[:, t], state_BH, dt_BT1[:, t], weights)
        else:
            # a missing sample's step is one from rest, which nobody reads: its gradient is zero
            # times what is finite, whatever the state is
            seen_B1 = observed_BT[:, t, None]
            from_BH = torch.where(seen_B1, state_BH, 0.0)
            new_BH = cell.advance(input_BTF[:, t], from_BH, dt_BT1[:, t], weights)
            state_BH = torch.where(seen_B1, new_BH, state_BH)
        states.append(state_BH)
    return cell.output(torch.stack(states, dim=1), weights), state_BH
