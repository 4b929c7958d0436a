"""A whole window of control steps as one differentiable function of the policy's weights.

What the compiled step of `lanes.step` does not do is the policy's own step, forward and backward:
torch compiles both. Between them lie arrays ``(rows, P)`` that hold every step of the window; P is
the number of environments rounded up to whole vectors. The environments that fill it up are copies
of the first, count nothing and pull nothing.

Backward, the adjoint of a step's vehicle, commands and network state is handed to the step before,
and the gradient of the weights is summed up. Only what the steps began with is kept; each is
computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from liquid_control.training.conditions import Conditions, Window
from liquid_control.training.control_step import Task
from liquid_control.training.environments import Flight, leaves
from liquid_control.training.lanes.source import LANES
from liquid_control.training.lanes.step import (
    COMMAND_ROWS,
    VEHICLE_ROWS,
    VEHICLE_SIZES,
    compile_step,
)
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState

FLOAT = 4  # bytes


class Flown(NamedTuple):
    """What a window ends with."""

    cost: Tensor  # mean over environments and steps
    flight: Flight
    miss: Tensor  # (T, B) m², squared error of the position at the end of each step


class LanesWindow:
    """Rolls out windows of one batch, on the CPU in float32.

    Args:
        policy_step: of `nn.policy.Policy`, or what has its signature.
        compiled: whether torch compiles it.

    Raises:
        TypeError: for an observation that can't be traced.
        CannotBuild: without a C++ compiler.
    """

    def __init__(
        self,
        task: Task,
        policy_step: Callable,
        flight: Flight,
        conditions: Conditions,
        steps: int,
        compiled: bool = True,
    ) -> None:
        self.steps, self.kept = steps, flight.commands.shape[0]
        self.batch = flight.commands.shape[-1]
        self.lanes = -(-self.batch // LANES) * LANES
        sizes = [0 if part.dim() == 1 else part.shape[0] for part in conditions]
        self.functions = compile_step(task, sizes, self.kept)
        forward, backward = _network_pair(policy_step)
        if compiled:
            forward = torch.compile(forward, dynamic=False)
            backward = torch.compile(backward, dynamic=False)
        self.network, self.network_back = forward, backward
        self.observations = len(task.observer.layout.component_names)
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
        """The window from ``flight`` on; differentiable with respect to the weights."""
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
        )
        batch = slice(self.batch)
        parts = end[:, batch].split([*VEHICLE_SIZES, 3])
        flight = Flight(QuadrotorState(*parts[:-1]), parts[-1], commands[..., batch], state)
        return Flown(cost, flight, miss[:, batch])


def _network_pair(policy_step: Callable) -> tuple[Callable, Callable]:
    """The policy's step on rows, and its reverse derivative."""

    def forward(observation_NP, dt_P, state_MP, weights):
        command, state = policy_step(observation_NP.T, dt_P[:, None], state_MP.T, weights)
        return command.T.contiguous(), state.T.contiguous()

    def backward(observation_NP, dt_P, state_MP, weights, d_command_CP, d_state_MP, sums):
        _, pull = torch.func.vjp(
            lambda observation, state, weights: forward(observation, dt_P, state, weights),
            observation_NP,
            state_MP,
            weights,
        )
        d_observation, d_state, d_weights = pull((d_command_CP, d_state_MP))
        sums = tuple(a + b for a, b in zip(sums, d_weights, strict=True))
        return d_observation.contiguous(), d_state.contiguous(), sums

    return forward, backward


class _Window(torch.autograd.Function):
    """See `LanesWindow.fly`; tensors of the steps are (T, rows, P)."""

    @staticmethod
    def forward(ctx, run, vehicle_RP, commands_KCP, state_MP, now_TRP, conditions_RP, *weights):
        steps, kept, lanes, batch = run.steps, run.kept, run.lanes, run.batch
        weights = tuple(weight.detach() for weight in weights)
        vehicles = torch.empty(steps + 1, VEHICLE_ROWS, lanes)
        commands = torch.empty(kept + steps, COMMAND_ROWS, lanes)
        observations = torch.empty(steps, run.observations, lanes)
        cost, miss = torch.empty(steps, lanes), torch.empty(steps, lanes)
        vehicles[0], commands[:kept] = vehicle_RP, commands_KCP
        states = [state_MP]
        at = _Addresses(run, vehicles, commands, observations, now_TRP, cost, miss)
        conditions = conditions_RP.data_ptr()
        observe, fly = run.functions["observe"], run.functions["fly"]
        for k in range(steps):
            vehicle, sent, seen, now = at.vehicle(k), at.command(k), at.observation(k), at.now(k)
            observe(
                lanes=lanes,
                vehicle=vehicle,
                commands=sent - at.command_size,
                now=now,
                conditions=conditions,
                observation=seen,
            )
            command, state = run.network(observations[k], now_TRP[k, 0], states[-1], weights)
            commands[kept + k].copy_(command)
            states.append(state)
            fly(
                lanes=lanes,
                vehicle=vehicle,
                commands=sent,
                now=now,
                conditions=conditions,
                after=at.vehicle(k + 1),
                cost=at.cost(k),
                miss=at.miss(k),
            )
        ctx.run, ctx.kept = run, (vehicles, commands, observations, states, now_TRP, conditions_RP)
        ctx.save_for_backward(*weights)
        end = vehicles[steps].clone()
        newest = commands[steps:].flip(0)
        state = states[-1][:, :batch].T.contiguous()
        ctx.mark_non_differentiable(end, newest, state, miss)
        return cost[:, :batch].mean(), end, newest, state, miss

    @staticmethod
    @once_differentiable
    def backward(ctx, d_cost, *_):
        run = ctx.run
        steps, kept, lanes, batch = run.steps, run.kept, run.lanes, run.batch
        vehicles, commands, observations, states, now_TRP, conditions_RP = ctx.kept
        weights = ctx.saved_tensors
        share = torch.zeros(lanes)
        share[:batch] = d_cost / (steps * batch)
        after, before = torch.zeros(2, VEHICLE_ROWS, lanes)
        d_commands, d_state = torch.zeros_like(commands), torch.zeros_like(states[0])
        sums = tuple(torch.zeros_like(weight) for weight in weights)
        at = _Addresses(run, vehicles, commands, observations, now_TRP, share, share)
        shift = d_commands.data_ptr() - commands.data_ptr()
        fly_back, observe_back = run.functions["fly_back"], run.functions["observe_back"]
        conditions = conditions_RP.data_ptr()
        for k in range(steps - 1, -1, -1):
            step = {
                "lanes": lanes,
                "vehicle": at.vehicle(k),
                "now": at.now(k),
                "conditions": conditions,
                "d_vehicle": before.data_ptr(),
            }
            sent = at.command(k)
            fly_back(
                commands=sent,
                d_commands=sent + shift,
                d_after=after.data_ptr(),
                d_cost=share.data_ptr(),
                **step,
            )
            d_observation, d_state, sums = run.network_back(
                observations[k],
                now_TRP[k, 0],
                states[k],
                weights,
                d_commands[kept + k],
                d_state,
                sums,
            )
            sent -= at.command_size
            observe_back(
                commands=sent,
                d_commands=sent + shift,
                d_observation=d_observation.data_ptr(),
                **step,
            )
            after, before = before, after
        return (None, None, None, None, None, None, *sums)


class _Addresses:
    """Where what belongs to a step begins in the arrays of a window."""

    def __init__(self, run, vehicles, commands, observations, now, cost, miss) -> None:
        row = run.lanes * FLOAT
        self.command_size = COMMAND_ROWS * row
        first = commands.data_ptr() + run.kept * self.command_size
        self.command = _at(first, self.command_size)
        self.vehicle = _at(vehicles.data_ptr(), VEHICLE_ROWS * row)
        self.observation = _at(observations.data_ptr(), run.observations * row)
        self.now = _at(now.data_ptr(), now.shape[1] * row)
        self.cost, self.miss = _at(cost.data_ptr(), row), _at(miss.data_ptr(), row)


def _at(first: int, size: int) -> Callable[[int], int]:
    return lambda k: first + k * size
