"""Environment-steps per second of a training run, and where the time of an update goes."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from liquid_control.bench.batched import GRADIENT_STEPS, Batch
from liquid_control.bench.simulation.benchmark import BATCH
from liquid_control.bench.timing import one_thread, seconds
from liquid_control.config import ConfigError
from liquid_control.training.config import GradientConfig, load_training
from liquid_control.training.gradient import GradientTrainer

TURNS, QUICK_TURNS = 31, 9
WARM_UP = 3  # updates, in which torch compiles what it compiles
PARTS = {  # methods of the trainer that an update consists of; what is left is "other"
    "draw": "draw_window",
    "forward": "roll_out",
    "backward": "_backward",
    "optimiser": "_optimise",
    "restart": "_restart_some",
}


def measure_training(config_file: str, *, quick: bool = False) -> dict[str, Any]:
    """Rates of a training by gradient on one thread; see the command.

    Raises:
        ConfigError: for another method of training, whose steps are not those of the dynamics.
    """
    config = load_training(config_file)
    if not isinstance(config, GradientConfig):
        raise ConfigError(f"{config_file}: method is {config.method!r}, expected 'gradient'")
    turns = QUICK_TURNS if quick else TURNS
    batch, steps = config.optimiser.environments, config.optimiser.window
    with one_thread():
        trainer = GradientTrainer(config)
        for _ in range(WARM_UP):
            trainer.step()
        dynamics = _Dynamics(BATCH)
        both = []
        for _ in range(turns):
            both.append((batch * steps / seconds(trainer.step, 1), dynamics.rate()))
        parts = _parts(trainer, turns)
        result = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "config": config_file,
            "compiled": trainer.compiled_by,
            "batch": batch,
            "window": steps,
            "env_steps_per_s": median(rate for rate, _ in both),
            "dynamics_batch": BATCH,
            "dynamics_grad_steps_per_s": median(rate for _, rate in both),
            "fraction_of_dynamics": median(rate / bound for rate, bound in both),
            "update_ms": parts,
        }
        if not quick:
            same = _Dynamics(batch)
            result["dynamics_same_batch_grad_steps_per_s"] = median(
                same.rate() for _ in range(turns)
            )
    return result


class _Dynamics:
    """The gradient of the batched dynamics, compiled for a batch."""

    def __init__(self, size: int) -> None:
        torch.compiler.reset()  # compiled for this size, not for any
        self._batch = Batch(size)
        for _ in range(2):
            self._batch.gradient(GRADIENT_STEPS)

    def rate(self) -> float:
        """Environment-steps per second, once measured."""
        time = seconds(lambda: self._batch.gradient(GRADIENT_STEPS), 1)
        return self._batch.size * GRADIENT_STEPS / time


def _parts(trainer: GradientTrainer, updates: int) -> dict[str, float]:
    """Milliseconds of each part of an update, and of all of it."""
    times = {name: [] for name in PARTS}

    def timed(name: str, method: Callable) -> Callable:
        def run(*args):
            results = []
            times[name].append(seconds(lambda: results.append(method(*args)), 1))
            return results[0]

        return run

    for name, method in PARTS.items():
        setattr(trainer, method, timed(name, getattr(trainer, method)))
    total = [seconds(trainer.step, 1) for _ in range(updates)]
    for method in PARTS.values():
        delattr(trainer, method)  # the class has it
    ms = {name: 1e3 * sum(values) / updates for name, values in times.items()}
    whole = 1e3 * sum(total) / updates
    return {**ms, "other": whole - sum(ms.values()), "all": whole}
