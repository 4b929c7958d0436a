"""One part of a sequence task as arrays: inputs, elapsed time, masks, targets.

Shapes: N sequences, T time, F inputs, O outputs. dt is in the task's own unit of time, 1 = nominal.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """One part (train, valid or test) of a task."""

    input_NTF: Tensor
    dt_NT1: Tensor
    observed_NT: Tensor | None  # None: every sample is there
    target: Tensor  # (N, T, O) regression, (N, T) class at every step, or (N,) class at the end
    group_N: Tensor | None = None  # the rollout that a sequence is of, where there are several

    def __len__(self) -> int:
        return len(self.input_NTF)

    @property
    def steps(self) -> int:
        """Number of steps T of every sequence."""
        return self.input_NTF.shape[1]

    def first(self, steps: int) -> "Sequences":
        """The first steps; a class at the end stays what it is."""
        observed = None if self.observed_NT is None else self.observed_NT[:, :steps]
        return replace(
            self,
            input_NTF=self.input_NTF[:, :steps],
            dt_NT1=self.dt_NT1[:, :steps],
            observed_NT=observed,
            target=self.target if self.target.dim() == 1 else self.target[:, :steps],
        )

    def without_padding(self) -> "Sequences":
        """No longer than the longest sequence, so that no network runs through more padding."""
        if self.observed_NT is None:
            return self
        return self.first(int(self.observed_NT.sum(dim=1).max()))

    def take(self, index: Tensor) -> "Sequences":
        """The sequences of these indices, for a batch."""
        observed = None if self.observed_NT is None else self.observed_NT[index]
        group = None if self.group_N is None else self.group_N[index]
        return Sequences(
            self.input_NTF[index], self.dt_NT1[index], observed, self.target[index], group
        )

    def without_time(self) -> "Sequences":
        """The same samples with every dt at the mean: what the true dt is worth."""
        observed = torch.ones_like(self.dt_NT1[:, :, 0], dtype=torch.bool)
        observed = observed if self.observed_NT is None else self.observed_NT
        mean = self.dt_NT1[observed].mean()
        return replace(self, dt_NT1=torch.full_like(self.dt_NT1, mean))

    def with_noise(self, deviation: float, rng: torch.Generator) -> "Sequences":
        """The same samples, white noise added to the inputs."""
        noise = torch.randn(self.input_NTF.shape, generator=rng)
        return replace(self, input_NTF=self.input_NTF + deviation * noise)


Parts = tuple[Sequences, Sequences, Sequences]


def standardised(parts: Parts, *, limit: float) -> Parts:
    """Inputs in standard deviations of the training part, limited smoothly to ±limit of them."""
    inputs = parts[0].input_NTF
    mean_F, std_F = inputs.mean(dim=(0, 1)), inputs.std(dim=(0, 1))
    return tuple(
        replace(part, input_NTF=limit * torch.tanh((part.input_NTF - mean_F) / (limit * std_F)))
        for part in parts
    )


def from_numpy(inputs_NT, dt_NT, observed_NT: Tensor | None, target: np.ndarray) -> Sequences:
    """Sequences of one input."""
    return Sequences(
        torch.tensor(inputs_NT, dtype=torch.float32)[:, :, None],
        torch.tensor(dt_NT, dtype=torch.float32)[:, :, None],
        observed_NT,
        torch.tensor(target),
    )
