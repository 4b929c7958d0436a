"""A way back when the loss runs away.

Gradients through a tumbling vehicle can point anywhere, and a few such steps in a row ruin a policy
for good. The loss then leaves its level by a factor within some tens of updates. Training goes back
to a copy from before, and on with half the learning rate.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

RUNAWAY = 2.5  # times the level of the loss
MEMORY = 100  # updates, of the level; a copy is taken as often, and the one before it kept


class Rollback:
    """Watches the loss of a run; `state_dict` holds all of it."""

    def __init__(self, policy: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._policy, self._optimiser = policy, optimiser
        self.count = 0  # times that the run went back
        self._level = math.nan
        self._copies = [self._copy()] * 2  # older, newer

    @property
    def rate_factor(self) -> float:
        """What is left of the learning rate."""
        return 0.5**self.count

    def after_update(self, update: int, loss: float) -> bool:
        """Note the loss of an update; True if policy and optimiser are those of earlier now."""
        if loss > RUNAWAY * self._level:
            older = self._copies[0]
            self._policy.load_state_dict(older["policy"])
            self._optimiser.load_state_dict(copy.deepcopy(older["optimiser"]))
            self._copies = [older, older]
            self._level = math.nan  # fresh episodes cost more than those under way
            self.count += 1
            return True
        change = loss - self._level
        self._level = loss if math.isnan(self._level) else self._level + change / MEMORY
        if update % MEMORY == 0:
            self._copies = [self._copies[1], self._copy()]
        return False

    def _copy(self) -> dict:
        return copy.deepcopy(
            {"policy": self._policy.state_dict(), "optimiser": self._optimiser.state_dict()}
        )

    def state_dict(self) -> dict:
        """All of it, as tensors and plain values."""
        return {"count": self.count, "level": self._level, "copies": self._copies}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`."""
        self.count, self._level = state["count"], state["level"]
        self._copies = list(state["copies"])
