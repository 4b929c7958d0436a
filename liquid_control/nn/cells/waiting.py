"""The time of missing samples, which waits for the next sample that is observed.

The state of a *stream*, (B, H + 1), is that of the cell and in its last column the seconds that
have waited. ``run_sequence`` with ``observed_BT`` returns it; a step and a sequence take it in
place of (B, H), so that a stream may be cut into chunks anywhere.

Shapes: B batch, T time, H state.
"""

import torch
from torch import Tensor


def is_of_stream(state: object, state_size: int) -> bool:
    """Whether a state has the seconds that have waited behind it."""
    return isinstance(state, Tensor) and state.dim() == 2 and state.shape[1] == state_size + 1


def waited(dt_BT1: Tensor, observed_BT: Tensor, reset_BT: Tensor | None) -> Tensor:
    """(B, 1) seconds since the last observed sample or reset, at the end of a sequence."""
    missing_BT = observed_BT.flip(1).cumsum(dim=1).flip(1).eq(0)  # from here on to the end
    if reset_BT is not None:  # it forgets the steps before it, not its own
        resets_later_BT = reset_BT.flip(1).cumsum(dim=1).flip(1) - reset_BT.long()
        missing_BT = missing_BT & resets_later_BT.eq(0)
    return torch.where(missing_BT[:, :, None], dt_BT1, 0.0).sum(dim=1)


def with_waited(dt_BT1: Tensor, waited_B1: Tensor, reset_BT: Tensor | None) -> Tensor:
    """dt with what waited before the sequence added to its first step, unless that is a reset."""
    if reset_BT is not None:
        waited_B1 = torch.where(reset_BT[:, :1], 0.0, waited_B1)
    return torch.cat([dt_BT1[:, :1] + waited_B1[:, None], dt_BT1[:, 1:]], dim=1)


def elapsed(dt_BT1: Tensor, observed_BT: Tensor, reset_BT: Tensor | None) -> Tensor:
    """dt with that of the missing samples just before added; a reset forgets them."""
    waited_B1 = torch.zeros_like(dt_BT1[:, 0])
    steps = []
    for t in range(dt_BT1.shape[1]):
        if reset_BT is not None:
            waited_B1 = torch.where(reset_BT[:, t, None], 0.0, waited_B1)
        waited_B1 = waited_B1 + dt_BT1[:, t]
        steps.append(waited_B1)
        waited_B1 = torch.where(observed_BT[:, t, None], 0.0, waited_B1)
    return torch.stack(steps, dim=1)
