"""A fresh policy for a training configuration, and how a run tells where it stands."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from liquid_control.control.observation import at_rest
from liquid_control.control.rules import Rules
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.policy import Policy
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.runtime.eye import FEATURES
from liquid_control.structs import Layout, Slot
from liquid_control.training.config import TrainingConfig
from liquid_control.training.expert import Expert
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.geometric import OBSERVER


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    update: int
    updates: int
    loss: float
    error: float  # m, RMSE of the position in flight; NaN where none was measured
    learning_rate: float  # 0 where nothing descends a gradient
    env_steps: int = 0  # control steps that were flown for this update, in all environments
    rollbacks: int = 0  # times that the run went back to an earlier policy
    held_out: float = math.nan  # m, see `held_out`; NaN where it was not measured


class Trainer(Protocol):
    """One way to train; a run of `training.run.train` steps it to the end and exports its policy.

    Attributes:
        update: how many have been made.
        compiled: whether the step is fused, which takes a while at the start.
        policy: what is trained; `nn.policy.Policy`, or an `Expert`.
        layout: what it observes.
    """

    update: int
    compiled: bool
    policy: Policy | Expert
    layout: Layout

    @property
    def updates(self) -> int:
        """Of the whole run."""

    def step(self) -> Progress:
        """Make one update of the policy, and say how it goes."""

    def state_dict(self) -> dict:
        """All that the rest of the run depends on, as tensors and plain values."""

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict` of the same configuration."""


def cosine_rate(peak: float, update: int, updates: int, warmup: int = 0) -> float:
    """Learning rate of an update: rises linearly over ``warmup`` updates, falls as a cosine."""
    warm = min(1.0, (update + 1) / max(warmup, 1))
    return peak * warm * 0.5 * (1 + math.cos(math.pi * update / updates))


def rules_of(config: TrainingConfig) -> Rules:
    """The rules of the vehicle that is trained for; they offer all that the run observes."""
    vehicle = load_vehicle(config.vehicle)
    rules = make_rules(vehicle, make_parameters(vehicle), command=config.command)
    return replace(rules, observer=rules.observer.offering(config.observation))


def command_scaling(rules: Rules) -> tuple[Tensor, Tensor]:
    """Offset and scale (C), SI, with which a neutral command is 0 and the largest one 1."""
    neutral = rules.command.neutral
    scale = [high - rest for high, rest in zip(rules.high, neutral, strict=True)]
    return torch.tensor(neutral), torch.tensor(scale)


def _completed(network: dict[str, Any], inputs: int, outputs: int, seed: int) -> dict[str, Any]:
    """The configuration of a cell with its sizes; a wiring without a seed is drawn by the run's.

    Where a cell wraps another, that one has them.
    """
    if "cell" in network:
        return {**network, "cell": _completed(network["cell"], inputs, outputs, seed)}
    if "wiring" in network:
        sizes = {"sensory": inputs, "motor": outputs}
        return {**network, "wiring": {"seed": seed, **network["wiring"], **sizes}}
    return {**network, "input_size": inputs, "output_size": outputs}


# what Python says of an argument that is a key of the configuration here
_UNKNOWN_KEY = re.compile(r"\S+ got an unexpected keyword argument '(\w+)'")
_MISSING_KEY = re.compile(r"\S+ missing \d+ required keyword-only arguments?: ")


def _of_the_network(error: Exception) -> ValueError:
    """An error in the words of the configuration."""
    text = _UNKNOWN_KEY.sub(r"\1: unknown key", str(error))
    return ValueError(f"network: {_MISSING_KEY.sub('missing key ', text)}")


def layout_of(config: TrainingConfig) -> Layout:
    """What the network takes in: the observation, and behind it the features of its eye."""
    slots = rules_of(config).observer.select(config.observation).layout.slots
    if config.eye is not None:
        slots = (*slots, Slot(FEATURES, config.eye.features, "1", "none"))
    return Layout(slots)


def make_policy(config: TrainingConfig) -> Policy | Expert:
    """A fresh policy of the configured network, sized by the observation and the vehicle.

    Raises:
        ValueError: if the configuration does not describe one.
    """
    rules = rules_of(config)
    observer = rules.observer.select(config.observation)
    layout = layout_of(config)
    if config.tunes_gains:
        if layout != OBSERVER.layout:
            raise ValueError(f"a geometric controller observes {OBSERVER.layout.names}")
        try:
            return Expert(**{key: value for key, value in config.network.items() if key != "kind"})
        except TypeError as error:
            raise _of_the_network(error) from None
    network = _completed(config.network, layout.size, rules.command.layout.size, config.seed)
    try:
        cell = build_cell(network, torch.Generator().manual_seed(config.seed))
    except ValueError as error:
        raise _of_the_network(error) from None
    scales = {**config.observation, FEATURES: 1.0}
    scale = [scales[slot.name] for slot in layout.slots for _ in range(slot.size)]
    usual = torch.from_numpy(observer(at_rest(rules.command))).float()
    usual = torch.cat([usual, torch.zeros(layout.size - len(usual))])
    offset, command_scale = command_scaling(rules)
    return Policy(
        cell,
        observation_offset=usual,
        observation_scale=torch.tensor(scale),
        command_offset=offset,
        command_scale=command_scale,
    )
