"""The environments that a policy learns in: what lives on from one window to the next.

Nested named tuples of component-first torch tensors ``(n, B)``, but for the network's state
``(B, M)``; what is done to all of them at once, such as cutting them from their past, is here too.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from liquid_control.structs import GRAVITY
from liquid_control.training.conditions import (
    Conditions,
    Draw,
    Process,
    draw_conditions,
    draw_start,
    start_process,
    vehicle_of,
)
from liquid_control.training.config import GradientConfig, RandomisationConfig
from liquid_control.vehicles.quadrotor import dynamics
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

COMMANDS_KEPT = 10  # the newest command and those that a delay may still apply


class Flight(NamedTuple):
    """What a control step moves on; the network's state has the batch first, all else last."""

    vehicle: QuadrotorState
    specific_force: Tensor  # (3, B) m/s²
    commands: Tensor  # (COMMANDS_KEPT, 4, B), newest first
    policy_state: Tensor  # (B, M)


class Environments(NamedTuple):
    """All that lives from window to window."""

    flight: Flight
    conditions: Conditions
    process: Process


def start_environments(
    draw: Draw,
    batch: int,
    config: GradientConfig,
    random: RandomisationConfig,
    nominal: QuadrotorParams,
    rate_loop: RateLoopParams,
    policy_state: Tensor,
) -> Environments:
    """``batch`` vehicles at the start of an episode, each in conditions of its own.

    Args:
        random: the ranges of the conditions, see `config.grown`.
        nominal, rate_loop: the vehicle whose parameters are varied, and its autopilot.
        policy_state: of the network before its first step, (B, M).
    """
    steps = config.optimiser.physics_steps
    conditions = draw_conditions(draw, batch, random, config.reference, nominal, rate_loop, steps)
    offset, quat, vel, ang_vel = draw_start(draw, batch, config.start)
    setpoint = conditions.amplitude * torch.sin(conditions.phase)
    params = vehicle_of(conditions, nominal)
    rest = dynamics.hover_state(params, setpoint + offset, quat)
    hover = torch.zeros(COMMANDS_KEPT, 4, batch, device=draw.device)
    hover[:, 0] = GRAVITY
    up = torch.zeros(3, batch, device=draw.device)
    up[2] = GRAVITY
    flight = Flight(
        vehicle=rest._replace(vel_world=vel, ang_vel_body=ang_vel),
        specific_force=up,
        commands=hover,
        policy_state=policy_state,
    )
    return Environments(flight, conditions, start_process(draw, batch, random))


def finite(vehicle: QuadrotorState) -> Tensor:
    """Which states are finite throughout, (B)."""
    return torch.stack([part.isfinite().all(0) for part in vehicle]).all(0)


def choose(where: Tensor, fresh: Environments, old: Environments) -> Environments:
    """The fresh environments ``where`` (B) is true, else the old ones."""
    a, b = fresh.flight, old.flight
    flight = Flight(
        vehicle=_choose_last(where, a.vehicle, b.vehicle),
        specific_force=_choose_last(where, a.specific_force, b.specific_force),
        commands=_choose_last(where, a.commands, b.commands),
        policy_state=torch.where(where[:, None], a.policy_state, b.policy_state),
    )
    return Environments(
        flight,
        _choose_last(where, fresh.conditions, old.conditions),
        _choose_last(where, fresh.process, old.process),
    )


def _choose_last(where: Tensor, fresh, old):
    """`torch.where` over nested tuples of tensors whose last dimension is the batch."""
    if isinstance(fresh, Tensor):
        return torch.where(where, fresh, old)
    return type(fresh)(*(_choose_last(where, a, b) for a, b in zip(fresh, old, strict=True)))


def with_gradient(tree):
    """A copy whose tensors are cut from their past and ask for a gradient."""
    if isinstance(tree, Tensor):
        return tree.detach().requires_grad_()
    return type(tree)(*(with_gradient(part) for part in tree))


def detached(tree):
    """A copy whose tensors are cut from their past."""
    if isinstance(tree, Tensor):
        return tree.detach()
    return type(tree)(*(detached(part) for part in tree))


def kept_share(dt: Tensor, horizon: float) -> Tensor:
    """Of the gradient that goes back over a step of ``dt`` s, what is left of it."""
    return torch.exp(-dt / horizon)


def faded(flight: Flight, dt_B: Tensor, horizon: float) -> Flight:
    """The same flight; a gradient that goes back through its vehicle is what `kept_share` leaves.

    Temporal gradient decay, as Zhang et al., "Learning vision-based agile flight via differentiable
    physics" (Nature Machine Intelligence 2025), train quadrotors with.
    """
    kept_B = kept_share(dt_B, horizon)

    def fade(part: Tensor) -> Tensor:
        return part.detach() + kept_B * (part - part.detach())

    vehicle = type(flight.vehicle)(*map(fade, flight.vehicle))
    return flight._replace(vehicle=vehicle, specific_force=fade(flight.specific_force))


def leaves(tree) -> list[Tensor]:
    """All tensors in order, for a file."""
    if isinstance(tree, Tensor):
        return [tree]
    return [leaf for part in tree for leaf in leaves(part)]


def rebuild(like, leaves):
    """Nested as ``like``, of an iterator over what `leaves` gave."""
    if isinstance(like, Tensor):
        return next(leaves)
    return type(like)(*(rebuild(part, leaves) for part in like))
