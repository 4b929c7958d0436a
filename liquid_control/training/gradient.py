"""Training by back-propagation through the batched dynamics (analytic policy gradient).

A few hundred environments fly at once. A window of control steps is rolled out with the policy in
the loop, the cost of the window is differentiated through policy, autopilot and rigid body, and
one Adam step follows. Vehicles, states and network states go on into the next window, detached;
a share of the environments starts anew, in new conditions.

Component-first torch tensors ``(n, B)``; network tensors ``(B, n)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor
from torch._functorch import config as functorch_config

from liquid_control.training.conditions import (
    Conditions,
    Draw,
    Process,
    StepInputs,
    Window,
    draw_window,
)
from liquid_control.training.config import GradientConfig, RandomisationConfig, grown
from liquid_control.training.control_step import MAX_POS_ERROR, Task, fly, observe
from liquid_control.training.environments import (
    Environments,
    Flight,
    choose,
    detached,
    faded,
    finite,
    leaves,
    rebuild,
    start_environments,
    with_gradient,
)
from liquid_control.training.held_out import held_out_error
from liquid_control.training.lanes.build import CannotBuild, compiler
from liquid_control.training.lanes.policy import LanesPolicy
from liquid_control.training.lanes.symbols import CannotTrace
from liquid_control.training.lanes.window import Flown, LanesWindow
from liquid_control.training.policy import (
    Progress,
    command_scaling,
    cosine_rate,
    make_policy,
    rules_of,
)
from liquid_control.training.rollback import Rollback
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

STRAYED = 3 * MAX_POS_ERROR  # m from the setpoint; such an episode starts anew
HELD_OUT_EVERY = 500  # updates; a shorter run is not measured so
SETTLED = 3.0  # s after the start of an episode; the error is reported from there on


class GradientTrainer:
    """One training run; `state_dict` holds all of it, so that a resumed run ends the same.

    Args:
        config: the run.
        device: of all tensors.
        compiled: run windows as compiled code: on the CPU that of `lanes.window`, which needs a
            C++ compiler and takes seconds once a machine; elsewhere, and for observations that it
            doesn't know, torch.compile's. ``None`` decides by whether a compiler is there. Without
            it the same run takes many times longer.
    """

    def __init__(
        self, config: GradientConfig, device: str = "cpu", compiled: bool | None = None
    ) -> None:
        self.config, self.device = config, torch.device(device)
        vehicle = load_vehicle(config.vehicle)
        rules = rules_of(config)
        observer = rules.observer.select(config.observation)
        self.layout = observer.layout
        self.policy = make_policy(config).to(self.device)
        self.nominal = QuadrotorParams.from_vehicle(vehicle)
        rate_loop = RateLoopParams.from_vehicle(vehicle)
        # The speed of a rotor is the root of its thrust, whose gradient is infinite at zero.
        floor = max(rate_loop.min_thrust, 1e-3 * rate_loop.max_thrust)
        offset, scale = (part[:, None].to(self.device) for part in command_scaling(rules))
        self.task = Task(
            observer,
            self.nominal,
            rate_loop._replace(min_thrust=floor),
            config.optimiser.physics_steps,
            # Tensors, not numbers: the compiled graph is the same for other weights.
            SimpleNamespace(
                **{name: torch.tensor(weight, device=self.device) for name, weight in config.loss}
            ),
            offset,
            scale,
        )
        settings = config.optimiser
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=settings.learning_rate)
        self.rollback = Rollback(self.policy, self.optimiser)
        generator = torch.Generator(self.device).manual_seed(config.seed)
        self.draw = Draw(generator, self.device)
        self.update, self.grown = 0, 1.0  # share of the growth of the ranges
        self._grow()
        if compiled is None:
            compiled = self.device.type != "cpu" or compiler() is not None
        self.compiled = compiled
        self.environments = self.start(settings.environments)
        self.lanes = self._compile_lanes() if compiled else None
        fuse = compiled and self.lanes is None
        self._step = _compile(self._step_eager) if fuse else self._step_eager

    def _compile_lanes(self) -> LanesWindow | None:
        """The whole window compiled; None where torch has to compile the step instead."""
        if self.device.type != "cpu" or torch.get_default_dtype() != torch.float32:
            return None
        task = self.task._replace(
            loss=self.config.loss,
            command_offset=self.task.command_offset[:, 0].numpy(),
            command_scale=self.task.command_scale[:, 0].numpy(),
        )
        flight, conditions, _ = self.environments
        settings = self.config.optimiser
        steps, horizon = settings.window, settings.gradient_horizon
        try:
            return LanesWindow(task, self.policy, flight, conditions, steps, horizon)
        except (CannotTrace, CannotBuild):
            return None

    def start(self, batch: int) -> Environments:
        """As many environments at the start of an episode; see `start_environments`."""
        state = self.policy.initial_state(batch)
        nominal, rate_loop = self.nominal, self.task.rate_loop
        return start_environments(
            self.draw, batch, self.config, self.random, nominal, rate_loop, state
        )

    @property
    def random(self) -> RandomisationConfig:
        """The ranges of the conditions, as far as they have grown."""
        return grown(self.config.randomisation, self.grown, self.config.control_rate)

    def _grow(self) -> None:
        updates = self.config.randomisation.growth * self.updates
        self.grown = min(1.0, self.update / updates) if updates else 1.0

    def _step_eager(
        self,
        flight: Flight,
        now: StepInputs,
        conditions: Conditions,
        weights: tuple[Tensor, ...],
    ) -> tuple[Flight, Tensor, Tensor]:
        """One control step: the flight after it, its mean cost, and the squared error (B) in m²."""
        horizon = self.config.optimiser.gradient_horizon
        if horizon is not None:
            flight = faded(flight, now.dt, horizon)
        observation = observe(
            self.task,
            flight.vehicle,
            flight.specific_force,
            flight.commands[0],
            now,
            conditions,
        )
        command, policy_state = self.policy.step(
            observation.T, now.dt[:, None], flight.policy_state, weights
        )
        commands = torch.cat([command.T[None], flight.commands[:-1]])
        vehicle, force, cost, miss = fly(self.task, flight.vehicle, commands, now, conditions)
        return Flight(vehicle, force, commands, policy_state), cost.mean(), miss.detach()

    def _window(self) -> tuple[Tensor, Tensor, Tensor]:
        """Roll out a window: loss, and squared error and count of the settled environments."""
        envs = self.environments
        window, process = self.draw_window()
        flown = self.roll_out(window)
        settled = (envs.process.time > SETTLED).float()
        self._strayed = flown.miss[-1] > STRAYED**2
        self.environments = Environments(detached(flown.flight), envs.conditions, process)
        return flown.cost, (flown.miss * settled).mean(), settled.mean()

    def draw_window(self) -> tuple[Window, Process]:
        """What the next window brings, and the processes after it."""
        config, envs = self.config, self.environments
        return draw_window(
            self.draw,
            config.optimiser.window,
            envs.conditions,
            envs.process,
            self.random,
            config.reference,
        )

    def roll_out(self, window: Window) -> Flown:
        """The policy flies a window from where the environments are, which stay there."""
        roll_out = self._roll_out_steps if self.lanes is None else self.lanes.fly
        envs = self.environments
        return roll_out(envs.flight, window, envs.conditions, self.policy.weights())

    def _roll_out_steps(
        self, flight: Flight, window: Window, conditions: Conditions, weights: tuple[Tensor, ...]
    ) -> Flown:
        """A window step by step in torch, on any device: the reference of `lanes.window`."""
        # One graph serves every step: even the first one's inputs ask for a gradient.
        flight = with_gradient(flight)
        total = torch.zeros((), device=self.device)
        misses = []
        steps = self.config.optimiser.window
        for k in range(steps):
            flight, cost, miss = self._step(flight, window.at(k), conditions, weights)
            total = total + cost
            misses.append(miss)
        return Flown(total / steps, flight, torch.stack(misses))

    def _restart_some(self) -> None:
        settings = self.config.optimiser
        lost = ~finite(self.environments.flight.vehicle) | self._strayed
        fresh = self.start(settings.environments)
        chosen = self.draw.uniform(lost.shape[0]) < settings.reset_share
        self.environments = choose(chosen | lost, fresh, self.environments)

    def _backward(self, loss: Tensor) -> Tensor:
        """Gradients of the policy, clipped; returns their norm before."""
        loss.backward()
        limit = self.config.optimiser.gradient_clip
        return torch.nn.utils.clip_grad_norm_(self.policy.parameters(), limit)

    def _optimise(self) -> None:
        self.optimiser.step()

    def step(self) -> Progress:
        """One update.

        Raises:
            FloatingPointError: if the loss or its gradient is not finite, naming update and rate.
        """
        settings = self.config.optimiser
        rate = cosine_rate(settings.learning_rate, self.update, settings.updates, settings.warmup)
        rate *= self.rollback.rate_factor
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss, error, settled = self._window()
        norm = self._backward(loss)
        if not bool(torch.isfinite(norm)):
            raise FloatingPointError(
                f"update {self.update}: loss {float(loss.detach()):.4g}, gradient norm "
                f"{float(norm):.4g}, at a learning rate of {rate:.2g}"
            )
        self._optimise()
        self.update += 1
        self._grow()
        if self.rollback.after_update(float(loss.detach())):
            self.environments = self.start(settings.environments)
        else:
            self._restart_some()
        rmse = float((error / settled).sqrt()) if float(settled) > 0 else math.nan
        return Progress(
            self.update,
            self.updates,
            float(loss.detach()),
            rmse,
            rate,
            env_steps=settings.environments * settings.window,
            rollbacks=self.rollback.count,
            held_out=self._held_out(),
        )

    def _held_out(self) -> float:
        """Its error in m, at some updates; else NaN."""
        last = self.update == self.updates >= HELD_OUT_EVERY
        if self.update % HELD_OUT_EVERY and not last:
            return math.nan
        return held_out_error(self, SETTLED, STRAYED)

    @property
    def compiled_by(self) -> str:
        """What runs the steps: "lanes" (`lanes.window`), "lanes, torch" where torch compiles the
        policy's own step, "torch", or "nothing"."""
        if self.lanes is not None:
            return "lanes" if isinstance(self.lanes.policy, LanesPolicy) else "lanes, torch"
        return "torch" if self.compiled else "nothing"

    @property
    def updates(self) -> int:
        """Adam steps of the whole run."""
        return self.config.optimiser.updates

    def state_dict(self) -> dict:
        """All that the rest of the run depends on, as tensors and plain values."""
        return {
            "update": self.update,
            "policy": self.policy.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rollback": self.rollback.state_dict(),
            "generator": self.draw.generator.get_state(),
            "environments": leaves(self.environments),
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict` of the same configuration."""
        self.update = state["update"]
        self._grow()
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rollback.load_state_dict(state["rollback"])
        self.draw.generator.set_state(state["generator"])
        self.environments = rebuild(self.environments, iter(state["environments"]))


def _compile(step: Callable) -> Callable:
    """The fused step. Arrays are small, so handing one from the forward to the backward pass costs
    more than computing it again."""
    functorch_config.aggressive_recomputation = True
    torch._dynamo.reset()  # it compiles anew only a few times, then falls back to the slow way
    return torch.compile(step)
