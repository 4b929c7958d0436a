"""A policy's step within a compiled window, forward and backward.

Either compiled as the rest of the step is, or by torch where it can't be traced or is too large for
that. Both are used alike: `begin` a window, then step by step; `begin_back`, then step by step
backward; `gradients` in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from liquid_control.training.lanes.network import always_zero, direct_parameters
from liquid_control.training.lanes.source import LANES
from liquid_control.training.lanes.step import compile_network
from liquid_control.training.lanes.symbols import CannotTrace


class Trail(NamedTuple):
    """What the steps of a window begin with, T steps, and their adjoints; rows as in `step`."""

    observations: Tensor  # (T, N, P)
    now: Tensor  # (T, R, P), its row 0 is dt
    commands: Tensor  # (T, C, P), of each step
    states: Tensor  # (T + 1, M, P)


class LanesPolicy:
    """The step in straight-line code.

    Raises:
        CannotTrace: for a policy that can't be traced, or is too large.
    """

    def __init__(self, policy: nn.Module, observations: int) -> None:
        self.direct = direct_parameters(policy, observations)
        direct = list(self.direct.values())
        zeros = always_zero(policy, direct)
        functions = compile_network(policy, observations, direct, zeros)
        there = np.concatenate([~zero.reshape(-1) for zero in zeros])
        self._there = torch.from_numpy(np.flatnonzero(there))
        self._step, self._back = functions["network"], functions["network_back"]

    def begin(self, trail: Trail, weights: Sequence[Tensor]) -> None:
        """Take up a window; ``weights`` are `Policy.weights` and then ``direct``."""
        self._trail, self._shapes = trail, [weight.shape for weight in weights]
        self._weights = torch.cat([weight.reshape(-1) for weight in weights])[self._there]
        self._lanes = trail.now.shape[-1]

    def _given(self, k: int) -> dict[str, int]:
        trail = self._trail
        return {
            "lanes": self._lanes,
            "observation": trail.observations[k].data_ptr(),
            "now": trail.now[k].data_ptr(),
            "state": trail.states[k].data_ptr(),
            "weights": self._weights.data_ptr(),
        }

    def step(self, k: int) -> None:
        """Fill command k and state k + 1."""
        trail = self._trail
        self._step(
            command=trail.commands[k].data_ptr(),
            after=trail.states[k + 1].data_ptr(),
            **self._given(k),
        )

    def begin_back(self, adjoint: Trail) -> None:
        """Go backward through the window of `begin`, between the arrays of ``adjoint``."""
        self._adjoint = adjoint
        self._sums = torch.zeros(len(self._weights), LANES)

    def back(self, k: int) -> None:
        """Fill the adjoints of observation k and state k."""
        adjoint = self._adjoint
        self._back(
            d_command=adjoint.commands[k].data_ptr(),
            d_after=adjoint.states[k + 1].data_ptr(),
            d_observation=adjoint.observations[k].data_ptr(),
            d_state=adjoint.states[k].data_ptr(),
            d_weights=self._sums.data_ptr(),
            **self._given(k),
        )

    def gradients(self) -> list[Tensor]:
        """Of the weights of `begin`."""
        sizes = [shape.numel() for shape in self._shapes]
        flat = torch.zeros(sum(sizes)).index_copy(0, self._there, self._sums.sum(dim=1))
        parts = flat.split(sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]


class _Step(nn.Module):
    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, *args: Any) -> tuple[Tensor, Tensor]:
        return self.policy.step(*args)


class TorchPolicy:
    """The step as torch compiles it."""

    def __init__(self, policy: nn.Module, observations: int, compiled: bool = True) -> None:
        self.direct = direct_parameters(policy, observations)
        module, effective = _Step(policy), policy.weights()
        names, count = [f"policy.{name}" for name in self.direct], len(effective)
        named = hasattr(effective, "_fields")

        def step(observation_NP, dt_P, state_MP, weights):
            own = dict(zip(names, weights[count:], strict=True))
            given = type(effective)(*weights[:count]) if named else weights[:count]
            args = observation_NP.T, dt_P[:, None], state_MP.T, given
            command, state = torch.func.functional_call(module, own, args)
            return command.T.contiguous(), state.T.contiguous()

        def back(observation_NP, dt_P, state_MP, weights, d_command_CP, d_state_MP, sums):
            _, pull = torch.func.vjp(
                lambda observation, state, weights: step(observation, dt_P, state, weights),
                observation_NP,
                state_MP,
                weights,
            )
            d_observation, d_state, d_weights = pull((d_command_CP, d_state_MP))
            return d_observation, d_state, tuple(a + b for a, b in zip(sums, d_weights))

        self._step, self._back = step, back
        if compiled:
            torch._dynamo.reset()  # it compiles anew only a few times, then falls back to slow
            self._step = torch.compile(step, dynamic=False)
            self._back = torch.compile(back, dynamic=False)

    def begin(self, trail: Trail, weights: Sequence[Tensor]) -> None:
        """Take up a window; ``weights`` are `Policy.weights` and then ``direct``."""
        self._trail, self._weights = trail, tuple(weights)

    def step(self, k: int) -> None:
        """Fill command k and state k + 1."""
        trail = self._trail
        command, state = self._step(
            trail.observations[k], trail.now[k, 0], trail.states[k], self._weights
        )
        trail.commands[k].copy_(command)
        trail.states[k + 1].copy_(state)

    def begin_back(self, adjoint: Trail) -> None:
        """Go backward through the window of `begin`, between the arrays of ``adjoint``."""
        self._adjoint = adjoint
        self._sums = tuple(torch.zeros_like(weight) for weight in self._weights)

    def back(self, k: int) -> None:
        """Fill the adjoints of observation k and state k."""
        trail, adjoint = self._trail, self._adjoint
        d_observation, d_state, self._sums = self._back(
            trail.observations[k],
            trail.now[k, 0],
            trail.states[k],
            self._weights,
            adjoint.commands[k],
            adjoint.states[k + 1],
            self._sums,
        )
        adjoint.observations[k].copy_(d_observation)
        adjoint.states[k].copy_(d_state)

    def gradients(self) -> list[Tensor]:
        """Of the weights of `begin`."""
        return list(self._sums)


def compiled_policy(policy: nn.Module, observations: int) -> LanesPolicy | TorchPolicy:
    """The faster of the two that serves a policy."""
    try:
        return LanesPolicy(policy, observations)
    except CannotTrace:
        return TorchPolicy(policy, observations)
