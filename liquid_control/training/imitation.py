"""Training by imitation in the PyBullet worlds (DAgger).

Ross, Gordon, Bagnell, "A reduction of imitation learning and structured prediction to no-regret
online learning", AISTATS 2011: in round k the vehicle is flown by the expert with probability
beta^k and else by the student, the expert labels every situation met, and the student is fitted to
all labels of all rounds. The expert sees its own slots and the student its own.

Shapes: B sequences, T control steps, N observation components, C command components.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from liquid_control.config import ConfigError
from liquid_control.control.controller import Controller, slot_indices
from liquid_control.evaluation.columns import position_error
from liquid_control.runtime.catalogue import make_controller, make_parameters
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import load_world
from liquid_control.training.config import ImitationConfig
from liquid_control.training.policy import (
    Progress,
    command_scaling,
    cosine_rate,
    make_policy,
    rules_of,
)
from liquid_control.vehicles.catalogue import load_vehicle


class _Labeller:
    """Flies with expert or student, step by step, and writes down what the expert would do.

    Attributes:
        rows: of the flight, since the policy took over last.
        failure: why the expert could not say what to do, the first time; "" if it always could.
    """

    neurons = np.zeros(0)

    def __init__(self, trainer: ImitationTrainer, expert: Controller, expert_share: float):
        self.observation_layout = trainer.rules.observer.layout
        self.command_layout = trainer.rules.command.layout
        self._expert, self._student = expert, trainer.policy
        self._pick, self._expert_pick = trainer.pick, trainer.expert_pick
        self.failure = ""
        self._share, self._rng = expert_share, trainer.rng
        self.reset()

    def reset(self) -> None:
        self._expert.reset()
        self._state = self._student.initial_state(1)
        self.rows: list[np.ndarray] = []

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        label = self._label(observation[self._expert_pick], dt)
        seen = observation[self._pick]
        with torch.no_grad():
            command, self._state = self._student(
                torch.tensor(seen[None], dtype=torch.float32), torch.tensor([[dt]]), self._state
            )
        self.rows.append(np.concatenate([seen, [dt], label]).astype(np.float32))
        return label if self._rng.random() < self._share else command[0].numpy()

    def _label(self, observation: np.ndarray, dt: float) -> np.ndarray:
        try:
            label = np.asarray(self._expert.step(observation, dt), dtype=float)
            expected = (self.command_layout.size,)
            if label.shape != expected or not np.isfinite(label).all():
                raise ValueError(f"it commands {label}, expected {expected[0]} finite values")
        except Exception as error:  # whatever an expert raises; the loop's backup flies on
            self.failure = self.failure or f"{type(error).__name__}: {error}"
            raise
        return label


class ImitationTrainer:
    """One training run; `state_dict` holds all of it, so that a resumed run ends the same.

    Sequences are short and networks small: this runs on the CPU, whatever ``device`` says, and
    needs no compiler of torch's; the cell's own kernel runs whole sequences.
    """

    compiled = True  # nothing to gain

    def __init__(
        self, config: ImitationConfig, device: str = "cpu", compiled: bool | None = None
    ) -> None:
        self.config = config
        self.rules = rules_of(config)
        self.layout = self.rules.observer.select(config.observation).layout
        names = self.rules.observer.layout.component_names
        self.pick = np.array([names.index(name) for name in self.layout.component_names])
        self.policy = make_policy(config)
        self.rng = np.random.default_rng(config.seed)
        settings = config.dagger
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate)
        self._vehicle = load_vehicle(config.vehicle)
        self._scale = command_scaling(self.rules)[1]
        self._worlds = [load_world(world) for world in config.worlds]
        parameters = make_parameters(self._vehicle, vehicle=config.vehicle)
        self._expert, _ = make_controller(config.expert, self._vehicle, parameters)
        self.expert_pick = self._slots_of_the_expert()
        self.flights: list[Tensor] = []  # (T, N + 1 + C): observation, dt, label
        self.update, self._error = 0, math.nan

    @property
    def updates(self) -> int:
        """Adam steps of the whole run."""
        return self.config.dagger.rounds * self.config.dagger.updates

    def _slots_of_the_expert(self) -> np.ndarray:
        expert, rules = self._expert, self.rules
        if expert.command_layout != rules.command.layout:
            raise ConfigError(
                f"expert {self.config.expert}: it commands {expert.command_layout.names}, expected "
                f"{rules.command.layout.names}"
            )
        try:
            return slot_indices(expert.observation_layout, rules.observer.layout)
        except ConfigError as error:
            raise ConfigError(f"expert {self.config.expert}: {error}") from None

    def _collect(self) -> int:
        """Fly a round; returns its control steps."""
        settings = self.config.dagger
        share = settings.expert_share ** (self.update // settings.updates)
        labeller = _Labeller(self, self._expert, share)
        squares, longest, steps = [], 0, 0
        for k in range(settings.flights):
            scenario = self._worlds[k % len(self._worlds)]
            flight = prepare(scenario, labeller, vehicle=self._vehicle, name="student")
            with flight.world(int(self.rng.integers(2**31))) as world:
                log = flight.fly(world, duration=settings.duration)
            steps += len(log.time)
            longest = max(longest, len(labeller.rows))
            if len(labeller.rows) >= settings.length:
                self.flights.append(torch.from_numpy(np.array(labeller.rows)))
            squares.append(np.mean(position_error(log) ** 2))
        if not self.flights:
            reason = f"the longest has {longest} steps, expected dagger.length = {settings.length}"
            if labeller.failure:
                reason = f"{reason}, the expert failed: {labeller.failure}"
            raise ConfigError(f"no usable flight: {reason}")
        self._error = float(np.sqrt(np.mean(squares)))
        return steps

    def _batch(self) -> Tensor:
        settings = self.config.dagger
        chosen = self.rng.integers(len(self.flights), size=settings.sequences)
        starts = self.rng.random(settings.sequences)
        parts = []
        for index, start in zip(chosen, starts, strict=True):
            flight = self.flights[index]
            first = int(start * (len(flight) - settings.length + 1))
            parts.append(flight[first : first + settings.length])
        return torch.stack(parts)  # (B, T, N + 1 + C)

    def step(self) -> Progress:
        """One update; at the start of a round the flights come first."""
        settings = self.config.dagger
        flown = self._collect() if self.update % settings.updates == 0 else 0
        rate = cosine_rate(settings.learning_rate, self.update, self.updates)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        observation, dt, label = self._batch().split(
            [len(self.pick), 1, self.rules.command.layout.size], dim=-1
        )
        state = self.policy.initial_state(settings.sequences)
        command, _ = self.policy.run_sequence(observation, dt, state)
        loss = ((command - label) / self._scale).square().mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), settings.gradient_clip)
        self.optimiser.step()
        self.update += 1
        loss = float(loss.detach())
        return Progress(self.update, self.updates, loss, self._error, rate, env_steps=flown)

    def state_dict(self) -> dict:
        """All that the rest of the run depends on, as tensors and plain values."""
        return {
            "update": self.update,
            "error": self._error,
            "policy": self.policy.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.bit_generator.state,
            "flights": self.flights,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict` of the same configuration."""
        self.update, self._error = state["update"], state["error"]
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]
        self.flights = list(state["flights"])
