"""A way back when the loss runs away.

Gradients through a tumbling vehicle can point anywhere; too many of them, and a policy is ruined
for good, at once or over hundreds of updates. When the level of the loss has doubled from the best
that was reached, training goes back to a copy from near that best, and on with half the learning
rate.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

RUNAWAY = 2.0  # times the best level of the loss
NEAR = 1.2  # times the best level: what is worth a copy
SPAN = 30  # updates that the level is an exponential mean of
EVERY = 100  # updates between copies; the one before the newest is what a runaway goes back to


class Rollback:
    """Watches the loss of a run; `state_dict` holds all of it."""

    def __init__(self, policy: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._policy, self._optimiser = policy, optimiser
        self.count = 0  # times that the run went back
        self._level, self._best = math.nan, math.inf
        # updates since the run began or went back; fresh episodes cost more at first
        self._since = 0
        self._copies = [self._copy()] * 2  # older, newer

    @property
    def rate_factor(self) -> float:
        """What is left of the learning rate."""
        return 0.5**self.count

    def after_update(self, loss: float) -> bool:
        """Note the loss of an update; True if policy and optimiser are those of earlier now."""
        fresh = math.isnan(self._level)
        self._level = loss if fresh else self._level + (loss - self._level) / SPAN
        self._since += 1
        if self._since < EVERY:
            if self.count == 0 and self._since >= SPAN:  # a rate too high ruins within these
                self._best = min(self._best, self._level)
            return False
        if self._level > RUNAWAY * self._best:
            older = self._copies[0]
            self._policy.load_state_dict(older["policy"])
            self._optimiser.load_state_dict(copy.deepcopy(older["optimiser"]))
            self._copies = [older, older]
            self._level, self._since = math.nan, 0
            self.count += 1
            return True
        if self._since % EVERY == 0 and self._level < NEAR * self._best:
            self._best = min(self._best, self._level)
            self._copies = [self._copies[1], self._copy()]
        return False

    def _copy(self) -> dict:
        return copy.deepcopy(
            {"policy": self._policy.state_dict(), "optimiser": self._optimiser.state_dict()}
        )

    def state_dict(self) -> dict:
        """All of it, as tensors and plain values."""
        return {
            "count": self.count,
            "level": self._level,
            "best": self._best,
            "since": self._since,
            "copies": self._copies,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`."""
        self.count, self._since = state["count"], state["since"]
        self._level, self._best = state["level"], state["best"]
        self._copies = list(state["copies"])
