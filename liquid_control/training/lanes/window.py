"""A whole window of control steps as one differentiable function of the policy's weights.

The compiled step of `lanes.step` and the policy's own of `lanes.policy` take turns. Between them
lie arrays ``(T, rows, P)`` that hold every step of the window; P is the number of environments
rounded up to whole vectors. The environments that fill it up are copies of the first, count nothing
and pull nothing.

Backward, the adjoint of a step's vehicle, commands and network state is handed to the step before,
that of the vehicle as much of it as `environments.kept_share` says, and the gradient of the weights
is summed up. Only what the steps began with is kept; each is computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from liquid_control.training.conditions import Conditions, Window
from liquid_control.training.control_step import Task
from liquid_control.training.environments import Flight, kept_share, leaves
from liquid_control.training.lanes.policy import Trail, compiled_policy
from liquid_control.training.lanes.source import LANES
from liquid_control.training.lanes.step import (
    COMMAND_ROWS,
    VEHICLE_ROWS,
    VEHICLE_SIZES,
    compile_step,
)
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState


class Flown(NamedTuple):
    """What a window ends with."""

    cost: Tensor  # mean over environments and steps
    flight: Flight
    miss: Tensor  # (T, B) m², squared error of the position at the end of each step


class LanesWindow:
    """Rolls out windows of one batch, on the CPU in float32.

    Raises:
        CannotTrace: for an observation that can't be traced.
        CannotBuild: without a C++ compiler.
    """

    def __init__(
        self,
        task: Task,
        policy: nn.Module,
        flight: Flight,
        conditions: Conditions,
        steps: int,
        horizon: float | None = None,
    ) -> None:
        self.steps, self.kept, self.horizon = steps, flight.commands.shape[0], horizon
        self.batch = flight.commands.shape[-1]
        self.lanes = -(-self.batch // LANES) * LANES
        sizes = [0 if part.dim() == 1 else part.shape[0] for part in conditions]
        self.functions = compile_step(task, sizes, self.kept)
        self.observations = task.observer.layout.size
        self.policy = compiled_policy(policy, self.observations)
        index = torch.arange(self.lanes)
        self._fill = torch.where(index < self.batch, index, 0)

    def _rows(self, tensors: list[Tensor]) -> Tensor:
        """Tensors (n, B) or (B) as one of (rows, P)."""
        rows = torch.cat([part.reshape(-1, self.batch) for part in tensors])
        return self._filled(rows)

    def _filled(self, rows: Tensor) -> Tensor:
        if self.lanes != self.batch:
            rows = rows[..., self._fill]
        return rows.contiguous()

    def fly(
        self, flight: Flight, window: Window, conditions: Conditions, weights: tuple[Tensor, ...]
    ) -> Flown:
        """The window from ``flight`` on; its cost is differentiable with respect to the policy's
        parameters, of which ``weights`` are made."""
        now = [window.dt[:, None], window.wind, window.setpoint_pos[:-1], window.setpoint_vel[:-1]]
        now += [window.setpoint_acc[:-1], window.setpoint_pos[1:], window.setpoint_vel[1:]]
        now_TRP = self._filled(torch.cat([*now, window.noise], dim=1))
        cost, end, commands, state, miss = _Window.apply(
            self,
            self._rows([*flight.vehicle, flight.specific_force]),
            self._filled(flight.commands.flip(0)),
            self._filled(flight.policy_state.T),
            now_TRP,
            self._rows(leaves(conditions)),
            *weights,
            *self.policy.direct.values(),
        )
        batch = slice(self.batch)
        parts = end[:, batch].split([*VEHICLE_SIZES, 3])
        flight = Flight(QuadrotorState(*parts[:-1]), parts[-1], commands[..., batch], state)
        return Flown(cost, flight, miss[:, batch])


class _Window(torch.autograd.Function):
    """See `LanesWindow.fly`; tensors of the steps are (T, rows, P)."""

    @staticmethod
    def forward(ctx, run, vehicle_RP, commands_KCP, state_MP, now_TRP, conditions_RP, *weights):
        steps, kept, lanes, batch = run.steps, run.kept, run.lanes, run.batch
        vehicles = torch.empty(steps + 1, VEHICLE_ROWS, lanes)
        commands = torch.empty(kept + steps, COMMAND_ROWS, lanes)
        states = torch.empty(steps + 1, *state_MP.shape)
        cost, miss = torch.empty(steps, lanes), torch.empty(steps, lanes)
        vehicles[0], commands[:kept], states[0] = vehicle_RP, commands_KCP, state_MP
        trail = Trail(torch.empty(steps, run.observations, lanes), now_TRP, commands[kept:], states)
        weights = tuple(weight.detach() for weight in weights)
        run.policy.begin(trail, weights)
        observe, fly = run.functions["observe"], run.functions["fly"]
        given = _Given(run, vehicles, commands, now_TRP, conditions_RP)
        observation, cost_of, miss_of = map(_places, (trail.observations, cost, miss))
        for k in range(steps):
            observe(observation=observation(k), **given.observe(k))
            run.policy.step(k)
            fly(after=given.vehicle(k + 1), cost=cost_of(k), miss=miss_of(k), **given.fly(k))
        ctx.run, ctx.trail, ctx.rest = run, trail, (vehicles, commands, conditions_RP)
        ctx.weights = weights
        end, newest = vehicles[steps].clone(), commands[steps:].flip(0)
        state = states[steps, :, :batch].T.contiguous()
        miss = miss[:, :batch]
        ctx.mark_non_differentiable(end, newest, state, miss)
        return cost[:, :batch].mean(), end, newest, state, miss

    @staticmethod
    @once_differentiable
    def backward(ctx, d_cost, *_):
        run, trail = ctx.run, ctx.trail
        vehicles, commands, conditions_RP = ctx.rest
        steps, kept, lanes, batch = run.steps, run.kept, run.lanes, run.batch
        share = torch.zeros(lanes)
        share[:batch] = d_cost / (steps * batch)
        d_vehicles = torch.empty_like(vehicles)
        d_commands, d_states = torch.zeros_like(commands), torch.empty_like(trail.states)
        d_vehicles[steps], d_states[steps] = 0.0, 0.0
        adjoint = Trail(
            torch.empty_like(trail.observations), trail.now, d_commands[kept:], d_states
        )
        run.policy.begin(trail, ctx.weights)
        run.policy.begin_back(adjoint)
        fly_back, observe_back = run.functions["fly_back"], run.functions["observe_back"]
        given = _Given(run, vehicles, commands, trail.now, conditions_RP)
        kept_TP = kept_share(trail.now[:, 0], run.horizon) if run.horizon else None
        vehicle, d_observation = _places(d_vehicles), _places(adjoint.observations)
        shift = d_commands.data_ptr() - commands.data_ptr()
        for k in range(steps - 1, -1, -1):
            step = given.fly(k)
            fly_back(
                d_after=vehicle(k + 1),
                d_cost=share.data_ptr(),
                d_vehicle=vehicle(k),
                d_commands=step["commands"] + shift,
                **step,
            )
            run.policy.back(k)
            step = given.observe(k)
            observe_back(
                d_observation=d_observation(k),
                d_vehicle=vehicle(k),
                d_commands=step["commands"] + shift,
                **step,
            )
            if kept_TP is not None:
                d_vehicles[k] *= kept_TP[k]
        return (None, None, None, None, None, None, *run.policy.gradients())


class _Given:
    """Addresses of what the functions of `lanes.step` are given, by step."""

    def __init__(self, run: LanesWindow, vehicles, commands, now, conditions) -> None:
        self._lanes, self._conditions = run.lanes, conditions.data_ptr()
        self.vehicle, self._now, self._command = map(_places, (vehicles, now, commands[run.kept :]))

    def _given(self, k: int, command: int) -> dict[str, int]:
        return {
            "lanes": self._lanes,
            "vehicle": self.vehicle(k),
            "commands": self._command(command),
            "now": self._now(k),
            "conditions": self._conditions,
        }

    def observe(self, k: int) -> dict[str, int]:
        """The command that was sent last is that of the step before."""
        return self._given(k, k - 1)

    def fly(self, k: int) -> dict[str, int]:
        """The newest command is that of the step."""
        return self._given(k, k)


def _places(tensor: Tensor) -> Callable[[int], int]:
    """Addresses along the first axis."""
    first, size = tensor.data_ptr(), tensor.stride(0) * tensor.element_size()
    return lambda k: first + k * size
