"""Synaptic currents of neurons whose synapses have values of their own.

Shapes: B batch, N neurons, K padded fan-in.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def padded(target: np.ndarray, source: np.ndarray, units: int) -> tuple[Tensor, Tensor]:
    """(N, K) position of each neuron's synapses and their sources; padding points past the end."""
    rows = [np.flatnonzero(target == neuron) for neuron in range(units)]
    width = max((len(row) for row in rows), default=0)
    position = np.full((units, width), len(target))
    for neuron, row in enumerate(rows):
        position[neuron, : len(row)] = row
    return torch.tensor(position), torch.tensor(np.append(source, 0)[position])


def currents(y, source_NK, w_NK, we_NK, sigma_NK, sigma_mu_NK) -> tuple[Tensor, Tensor]:
    """(B, N) synaptic current sum(w s E) and conductance sum(w s)."""
    batch = y.shape[0]
    y_BNK = y.gather(1, source_NK.reshape(1, -1).expand(batch, -1)).view(batch, *source_NK.shape)
    s_BNK = torch.sigmoid(y_BNK * sigma_NK - sigma_mu_NK)
    return (s_BNK * we_NK).sum(dim=2), (s_BNK * w_NK).sum(dim=2)


def runge_kutta_slope(slope: Callable[[Tensor], Tensor], v_BN: Tensor, d_B1: Tensor) -> Tensor:
    """Mean slope over a step of d_B1, classical Runge-Kutta of order 4."""
    k1 = slope(v_BN)
    k2 = slope(v_BN + 0.5 * d_B1 * k1)
    k3 = slope(v_BN + 0.5 * d_B1 * k2)
    k4 = slope(v_BN + d_B1 * k3)
    return (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0
