"""How well a policy flies that is being trained, in episodes that it does not learn from.

They are the same for every network, seed and update, so that runs can be compared and a run can be
told to have converged: the error in training is one of few episodes, others at each update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from liquid_control.training.conditions import Draw
from liquid_control.training.config import GradientConfig
from liquid_control.training.environments import Environments

SEED = 20_240_229  # of the episodes
ROUNDS = 2  # of as many episodes as the run has environments
STEPS = 1200  # control steps of an episode, 6 s at 200 Hz


class Flies(Protocol):
    """What is measured: `gradient.GradientTrainer`."""

    config: GradientConfig
    device: torch.device
    draw: Draw
    environments: Environments
    grown: float
    start: Callable[[int], Environments]
    draw_window: Callable[[], Any]
    roll_out: Callable[[Any], Any]


@torch.no_grad()
def held_out_error(trainer: Flies, settled: float, strayed: float) -> float:
    """Mean over the episodes of the RMS position error in m from ``settled`` s on.

    An episode whose error was ever beyond ``strayed`` m, or no number, counts as that. The trainer
    is left as it was.
    """
    kept = trainer.draw, trainer.environments, trainer.grown
    trainer.grown = 1.0
    trainer.draw = Draw(torch.Generator(trainer.device).manual_seed(SEED), trainer.device)
    try:
        errors = [_episodes(trainer, settled, strayed) for _ in range(ROUNDS)]
    finally:
        trainer.draw, trainer.environments, trainer.grown = kept
    return float(torch.cat(errors).mean())


def _episodes(trainer: Flies, settled: float, strayed: float) -> torch.Tensor:
    """The error of each, (B) m."""
    settings = trainer.config.optimiser
    trainer.environments = trainer.start(settings.environments)
    total = torch.zeros(settings.environments, device=trainer.device)
    steps, lost = torch.zeros_like(total), total > 0
    for _ in range(-(-STEPS // settings.window)):
        envs = trainer.environments
        window, process = trainer.draw_window()
        flown = trainer.roll_out(window)
        counts = (envs.process.time > settled).float()
        lost |= ~(flown.miss <= strayed**2).all(0)  # NaN is not, either
        total += flown.miss.nan_to_num().sum(0) * counts
        steps += settings.window * counts
        trainer.environments = Environments(flown.flight, envs.conditions, process)
    error = (total / steps.clamp(min=1)).sqrt()
    return torch.where(lost, strayed, error)
