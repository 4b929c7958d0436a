"""Tuning of a geometric controller by search, in flights of the PyBullet worlds.

Half of the candidates are drawn log-uniformly from the ranges of the configuration (Bergstra and
Bengio, "Random search for hyper-parameter optimization", JMLR 2012), the others around the best so
far. Every candidate flies the same seeds.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import load_world
from liquid_control.training.config import SearchConfig
from liquid_control.training.policy import Progress, make_policy
from liquid_control.vehicles.quadrotor.geometric import GeometricController
from liquid_control.vehicles.quadrotor.rules import observer

CRASHED = 1.0  # m, what a crash counts as


class SearchTrainer:
    """One search; `state_dict` holds all of it, so that a resumed run ends the same.

    Flights are flown one by one on the CPU, whatever ``device`` says, and need no compiler.
    """

    compiled = True  # nothing to gain

    def __init__(
        self, config: SearchConfig, device: str = "cpu", compiled: bool | None = None
    ) -> None:
        self.config = config
        self.layout = observer(config.observation).layout
        self.policy = make_policy(config)
        names = list(self.policy.log_gain)
        if set(names) != set(config.search.ranges):
            raise ValueError(f"search.ranges: expected {names}, got {list(config.search.ranges)}")
        self.rng = np.random.default_rng(config.seed)
        self._worlds = [load_world(world) for world in config.worlds]
        self.update, self._best = 0, math.inf

    @property
    def updates(self) -> int:
        """Candidates of the whole search."""
        return self.config.search.candidates

    def _draw(self) -> dict[str, float]:
        settings = self.config.search
        gains = {}
        for name, bounds in settings.ranges.items():
            low, high = np.log(bounds)
            if self.update < settings.candidates // 2:
                log_gain = self.rng.uniform(low, high)
            else:
                best = float(self.policy.log_gain[name].detach())
                log_gain = np.clip(best + settings.spread * self.rng.standard_normal(), low, high)
            gains[name] = float(log_gain)
        return gains

    def _error(self, log_gain: dict[str, float]) -> tuple[float, int]:
        """Mean RMSE in m over all flights of the candidate, and their control steps."""
        settings = self.config.search
        controller = GeometricController(self.policy.gains_at(log_gain))
        errors, steps = [], 0
        for scenario in self._worlds:
            flight = prepare(scenario, controller, vehicle=self.config.vehicle, name="candidate")
            for seed in range(settings.first_seed, settings.first_seed + settings.flights):
                flight.loop.reset()
                with flight.world(seed) as world:
                    log = flight.fly(world, duration=settings.duration)
                steps += len(log.time)
                rmse = flight_metrics(log).rmse_m
                errors.append(CRASHED if log.crashed or rmse is None else min(rmse, CRASHED))
        return float(np.mean(errors)), steps

    def step(self) -> Progress:
        """One candidate; the best so far are the gains of `policy`."""
        candidate = self._draw()
        error, steps = self._error(candidate)
        if error < self._best:
            self._best = error
            with torch.no_grad():
                for name, value in candidate.items():
                    self.policy.log_gain[name].fill_(value)
        self.update += 1
        return Progress(self.update, self.updates, self._best, self._best, 0.0, steps)

    def state_dict(self) -> dict:
        """All that the rest of the run depends on, as tensors and plain values."""
        return {
            "update": self.update,
            "best": self._best,
            "policy": self.policy.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict` of the same configuration."""
        self.update, self._best = state["update"], state["best"]
        self.policy.load_state_dict(state["policy"])
        self.rng.bit_generator.state = state["rng"]
