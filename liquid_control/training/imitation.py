"""Training by imitation in the PyBullet worlds (DAgger).

Ross, Gordon, Bagnell, "A reduction of imitation learning and structured prediction to no-regret
online learning", AISTATS 2011: in round k the vehicle is flown by the expert with probability
beta^k and else by the student, the expert labels every situation met, and the student is fitted to
all labels of all rounds. The expert sees its own slots and the student its own.

A policy that sees has an eye before it, which learns first, on views that are drawn for it; then it
stays as it is, and its features are a part of the observation.

Shapes: B sequences, T control steps, N observation components, C command components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from liquid_control.config import ConfigError
from liquid_control.control.controller import Controller, slot_indices
from liquid_control.evaluation.columns import position_error
from liquid_control.nn.vision import Encoder
from liquid_control.runtime.catalogue import make_controller, make_parameters
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import WorldConfig, load_world
from liquid_control.sim.scenery.shifts import shifted
from liquid_control.structs import ImageSample, Layout
from liquid_control.training.config import ImitationConfig
from liquid_control.training.policy import (
    Progress,
    command_scaling,
    cosine_rate,
    layout_of,
    make_policy,
    rules_of,
)
from liquid_control.training.views import views_of
from liquid_control.vehicles.catalogue import load_vehicle

SEEDS = 2**30, 2**31  # of flights in drawn scenes; suites have others, so that none is met twice


class _Labeller:
    """Flies with expert or student, step by step, and writes down what the expert would do.

    Attributes:
        rows: of the flight, since the policy took over last.
        failure: why the expert could not say what to do, the first time; "" if it always could.
    """

    neurons = np.zeros(0)

    def __init__(self, trainer: ImitationTrainer, expert: Controller, expert_share: float):
        self.observation_layout = trainer.rules.observer.layout
        self.command_kind = trainer.rules.command.name
        self.command_layout = trainer.rules.command.layout
        self._expert, self._student = expert, trainer.policy
        self._pick, self._expert_pick = trainer.pick, trainer.expert_pick
        self._encoder = trainer.encoder
        self.sees = self._encoder is not None
        self.failure = ""
        self._share, self._rng = expert_share, trainer.rng
        self._low, self._high = trainer.rules.low, trainer.rules.high
        self.reset()

    def reset(self) -> None:
        self._expert.reset()
        self._state = self._student.initial_state(1)
        self.rows: list[np.ndarray] = []
        self._features = torch.zeros(0)

    def look(self, image: ImageSample) -> None:
        with torch.no_grad():
            self._features = self._encoder(torch.from_numpy(image.rgb[None]))[0]

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        label = self._label(observation[self._expert_pick], dt)
        seen = torch.cat([torch.from_numpy(observation[self._pick]).float(), self._features])
        with torch.no_grad():
            command, self._state = self._student(seen[None], torch.tensor([[dt]]), self._state)
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
        return np.clip(label, self._low, self._high)  # nobody can do more


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
        self._vehicle = load_vehicle(config.vehicle)
        parameters = make_parameters(self._vehicle, vehicle=config.vehicle)
        self._expert, _ = make_controller(config.expert, self._vehicle, parameters)
        self.rules = rules_of(config)
        # and what only the expert is told
        observer = self.rules.observer.offering(self._expert.observation_layout.names)
        self.rules = replace(self.rules, observer=observer)
        self.layout = layout_of(config)
        seen = observer.select(config.observation).layout
        names = self.rules.observer.layout.component_names
        self.pick = np.array([names.index(name) for name in seen.component_names])
        self.rng = np.random.default_rng(config.seed)
        self._worlds = [load_world(world) for world in config.worlds]
        self.policy, self.encoder, self._seeing = make_policy(config), None, []
        self._first = 0 if config.views is None else config.views.updates
        self.expert_pick = self._slots_of_the_expert()
        if config.eye is not None:
            self._learn_to_see()
        settings = config.dagger
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate)
        self._scale = command_scaling(self.rules)[1]
        layout = self.rules.command.layout
        self._weights = _weights("dagger.weights", settings.weights, layout)
        self.flights: list[Tensor] = []  # (T, N + 1 + C): observation, dt, label
        self.update, self._error = 0, math.nan

    def _learn_to_see(self) -> None:
        """Make the eye, for the camera of the worlds, and what it learns from."""
        config, cameras = self.config, [world.camera for world in self._worlds]
        shapes = [c and (c.width, c.height, *c.focal_length, *c.principal_point) for c in cameras]
        if None in shapes or len(set(shapes)) > 1:
            raise ConfigError(
                "eye: expected worlds with the same camera, got "
                f"{dict(zip(config.worlds, shapes, strict=True))}"
            )
        width, height, *intrinsics = shapes[0]
        self.intrinsics = tuple(intrinsics)
        torch.manual_seed(config.seed)
        eye = config.eye
        self.encoder = Encoder(width, height, eye.features, eye.channels, eye.points)
        # a linear map that tells what the expert sees; it is dropped in the end
        self._telling = nn.Linear(config.eye.features, len(self.expert_pick))
        self._seeing = [self.encoder, self._telling]
        rate = config.views.learning_rate
        parameters = [part for module in self._seeing for part in module.parameters()]
        self._eye_optimiser = torch.optim.Adam(parameters, lr=rate)
        names = self._expert.observation_layout.names
        self._views = views_of(self._worlds[0], self._vehicle, names, self.rng)
        told = self._expert.observation_layout
        self._seen_weights = _weights("views.weights", config.views.weights, told)

    @property
    def updates(self) -> int:
        """Adam steps of the whole run."""
        return self._first + self.config.dagger.rounds * self.config.dagger.updates

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
        share = settings.expert_share ** ((self.update - self._first) // settings.updates)
        labeller = _Labeller(self, self._expert, share)
        squares, steps = [], 0
        for k in range(settings.flights):
            scenario = self._worlds[k % len(self._worlds)]
            flight = prepare(scenario, labeller, vehicle=self._vehicle, name="student")
            with flight.world(self._seed(scenario)) as world:
                log = flight.fly(world, duration=settings.duration)
            steps += len(log.time)
            if labeller.rows:
                self.flights.append(torch.from_numpy(np.array(labeller.rows)))
            squares.append(np.mean(position_error(log) ** 2))
        if not self.flights:
            reason = "none was flown by the policy for a step"
            if labeller.failure:
                reason = f"{reason}, the expert failed: {labeller.failure}"
            raise ConfigError(f"no usable flight: {reason}")
        self._error = float(np.sqrt(np.mean(squares)))
        return steps

    def _seed(self, scenario: WorldConfig) -> int:
        """Of the next flight."""
        is_drawn = any(hasattr(item, "drawn") for item in scenario.obstacles)
        return int(self.rng.integers(*SEEDS) if is_drawn else self.rng.integers(SEEDS[1]))

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sequences (B, T, N + 1 + C), the states (B, M) in which they begin, and which of their
        steps count (B, T): of a flight that ended sooner the last step is repeated, and does not.
        """
        settings = self.config.dagger
        chosen = self.rng.integers(len(self.flights), size=settings.sequences)
        starts = self.rng.random(settings.sequences)
        parts, counted = [], []
        states = self.policy.initial_state(settings.sequences)
        for index, start, state in zip(chosen, starts, states, strict=True):
            flight = self.flights[index]
            first = int(start * (max(len(flight) - settings.length, 0) + 1))
            part = flight[first : first + settings.length]
            missing = settings.length - len(part)
            parts.append(torch.cat([part, part[-1:].expand(missing, -1)]))
            step, begin = torch.arange(settings.length), 0
            if first > 0 and settings.forget:
                begin = min(settings.forget, len(part) // 2)
                drawn = self.rng.uniform(-1.0, 1.0, len(state))
                state.copy_(torch.from_numpy(drawn.astype(np.float32)))
            counted.append((step >= begin) & (step < len(part)))
        return torch.stack(parts), states, torch.stack(counted)

    def _see(self) -> Tensor:
        """One update of the eye, on views that are drawn for it: the mean squared error of what a
        linear map of the features tells, in standard deviations of what the expert is told."""
        settings, rng = self.config.views, self.rng
        pictures, depths, told = self._views.draw(settings.batch)
        strengths = {  # half of the pictures have each, so that what is undisturbed is there, too
            name: most * rng.uniform(-1, 1, settings.batch).clip(0)
            for name, most in settings.shifts.items()
        }
        pictures = shifted(pictures, depths, strengths, rng).astype(np.uint8)
        spread = told.std(axis=0)
        known = spread > 0  # what never changes teaches nothing
        wanted = (told - told.mean(axis=0)) / np.where(known, spread, 1.0)
        features = self.encoder(torch.from_numpy(pictures))
        errors = (self._telling(features) - torch.from_numpy(wanted)).square().mean(dim=0)
        loss = (errors * self._seen_weights)[known].sum() / self._seen_weights[known].sum()
        self._descend(self._eye_optimiser, loss)
        return loss

    def _follow(self) -> Tensor:
        """One update of the policy, on sequences of the flights so far."""
        rows, state, counted = self._batch()
        sizes = [self.layout.size, 1, self.rules.command.layout.size]
        observation, dt, label = rows.split(sizes, dim=-1)
        command, _ = self.policy.run_sequence(observation, dt, state)
        loss = (((command - label) / self._scale).square() * self._weights)[counted].mean()
        self._descend(self.optimiser, loss)
        return loss

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        parameters = [part for group in optimiser.param_groups for part in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, self.config.dagger.gradient_clip)
        optimiser.step()

    def step(self) -> Progress:
        """One update: of the eye first; then of the policy, at the start of a round its flights."""
        views, settings, flown = self.config.views, self.config.dagger, 0
        flights = self.update - self._first
        if flights < 0:
            rate = _set_rate(self._eye_optimiser, views.learning_rate, self.update, views.updates)
            loss = self._see()
        else:
            if flights % settings.updates == 0:
                if self.encoder is not None:
                    self.encoder.eval()
                flown = self._collect()
            total = self.updates - self._first
            rate = _set_rate(self.optimiser, settings.learning_rate, flights, total)
            loss = self._follow()
        self.update += 1
        loss = float(loss.detach())
        return Progress(self.update, self.updates, loss, self._error, rate, env_steps=flown)

    def state_dict(self) -> dict:
        """All that the rest of the run depends on, as tensors and plain values."""
        return {
            "update": self.update,
            "error": self._error,
            "policy": self.policy.state_dict(),
            "eye": [module.state_dict() for module in self._seeing],
            "optimiser": self.optimiser.state_dict(),
            "eye_optimiser": None if self.encoder is None else self._eye_optimiser.state_dict(),
            "rng": self.rng.bit_generator.state,
            "flights": self.flights,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict` of the same configuration."""
        self.update, self._error = state["update"], state["error"]
        self.policy.load_state_dict(state["policy"])
        for module, values in zip(self._seeing, state["eye"], strict=True):
            module.load_state_dict(values)
        self.optimiser.load_state_dict(state["optimiser"])
        if self.encoder is not None:
            self._eye_optimiser.load_state_dict(state["eye_optimiser"])
            self.encoder.train(self.update < self._first)
        self.rng.bit_generator.state = state["rng"]
        self.flights = list(state["flights"])


def _weights(key: str, given: Mapping[str, float], layout: Layout) -> Tensor:
    """Of each component of a layout, by the names of its slots; 1 where none is given."""
    weights = dict(given)
    row = [weights.pop(slot.name, 1.0) for slot in layout.slots for _ in range(slot.size)]
    if weights:
        raise ConfigError(
            f"{key}: expected slots of {', '.join(layout.names)}, got {', '.join(weights)}"
        )
    return torch.tensor(row)


def _set_rate(optimiser: torch.optim.Optimizer, peak: float, update: int, updates: int) -> float:
    rate = cosine_rate(peak, update, updates)
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate
