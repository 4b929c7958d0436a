"""The geometric controllers, tuned as a policy is trained: same conditions, cost and optimiser.

Only the gains are learned, as logarithms, so that they stay positive. What comes out is a gains
file (`GeometricGains`), not a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from liquid_control.config import parse
from liquid_control.vehicles.quadrotor.geometric import MEMORY, geometric_law
from liquid_control.vehicles.quadrotor.parameters import GeometricGains

TUNED = ("position_gain", "velocity_gain", "tilt_gain", "yaw_gain")
MAX_TILT = 1.3  # rad; leaning into 11 m/s of wind takes 0.8
MAX_INTEGRAL = 12.0  # m/s²; that wind pushes with 10


class Expert(nn.Module):
    """Steps like `nn.policy.Policy`; its input is the whole observation.

    Args:
        integral, observer: which means against steady disturbance it may use.
    """

    def __init__(self, *, integral: bool, observer: bool) -> None:
        super().__init__()
        self.start = GeometricGains(
            integral_gain=6.0 if integral else 0.0,
            observer_gain=6.0 if observer else 0.0,
            max_tilt=MAX_TILT,
            max_integral=MAX_INTEGRAL,
        )
        self._fixed = self.start.model_dump()
        tuned = [*TUNED, *["integral_gain"] * integral, *["observer_gain"] * observer]
        self.log_gain = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(getattr(self.start, name)).log()) for name in tuned}
        )

    def initial_state(self, batch: int) -> Tensor:
        """The memory (batch, MEMORY) at reset: zeros."""
        return torch.zeros(batch, MEMORY, device=self.log_gain["yaw_gain"].device)

    def weights(self) -> tuple[Tensor, ...]:
        """The gains that are tuned, in the order of ``log_gain``."""
        return tuple(gain.exp() for gain in self.log_gain.values())

    def step(
        self, observation_BN: Tensor, dt_B1: Tensor, state_BM: Tensor, weights: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """One control step: (command_BC in SI units, state_BM)."""
        tuned = dict(zip(self.log_gain, weights, strict=True))
        gains = SimpleNamespace(**{**self._fixed, **tuned})
        command, memory = geometric_law(observation_BN.T, state_BM.T, gains, dt_B1[:, 0])
        return command.T, memory.T

    def gains(self) -> GeometricGains:
        """The tuned gains; see `gains_at`."""
        return self.gains_at({name: float(gain.detach()) for name, gain in self.log_gain.items()})

    def gains_at(self, log_gain: Mapping[str, float]) -> GeometricGains:
        """These logarithms as plain gains, to three digits; a gain out of range is an error."""
        values = {name: float(f"{math.exp(value):.3g}") for name, value in log_gain.items()}
        return parse({**self.start.model_dump(), **values}, GeometricGains, "tuned gains")
