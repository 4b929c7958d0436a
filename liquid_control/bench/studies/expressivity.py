"""Expressivity by trajectory length: how much a random network lengthens a circle.

Shapes: S seeds, T time, D layers, K neurons of a layer. Source: Hasani et al., "Liquid
time-constant networks", AAAI 2021, section on expressivity, after Raghu et al. 2017.

The input (sin t, cos t), t = 0..2 pi, drives the first of D layers, the states x(t) of a layer
drive the next. All networks share f(x, u) = act(W x + V u + b) with W, V ~ N(0, sigma_w^2/K) and
b ~ N(0, sigma_b^2), the same draws for all, and the ODEs share one solver, RK4 with a fixed step:

neural ode   dx/dt = f
ct-rnn       dx/dt = -x/tau + f
ltc          dx/dt = -(1/tau + f) x + f A,  A ~ N(0, 1); A and tau are chosen here
closed form  x <- f + (x - f) exp(-(1/tau + g) dt) at each of T samples, g the sigmoid of another
             such map: the closed form of this library
cfc          x <- f + g (f' - f) at each sample, f' and g of maps of their own; not an ODE, so that
             its path has a corner at each sample

The length is that of the path of the first two principal components of the last layer's states,
divided by that of the input.
"""

import itertools

import numpy as np
import torch
from torch import Tensor

from liquid_control.bench.studies.sizes import ExpressivitySizes

NETWORKS = ("ltc", "ct-rnn", "neural ode", "closed form", "cfc")
ACTIVATIONS = {
    "hard-tanh": torch.nn.functional.hardtanh,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}
TURN = 2.0 * np.pi
ODES = ("ltc", "ct-rnn", "neural ode")


def expressivity_study(sizes: ExpressivitySizes) -> list[dict]:
    """Rows {network, activation, width, tau, scale, layers, length, length_std}."""
    base = {
        "width": sizes.widths[0],
        "tau": sizes.taus[0],
        "scale": sizes.scales[0],
        "layers": sizes.layers[0],
    }
    cases = [
        {**base, "width": width, "tau": tau}
        for tau, width in itertools.product(sizes.taus, sizes.widths)
    ]
    cases += [{**base, "scale": scale} for scale in sizes.scales[1:]]
    cases += [{**base, "layers": layers} for layers in sizes.layers[1:]]
    rows = []
    for activation, network, case in itertools.product(sizes.activations, NETWORKS, cases):
        lengths_S = trajectory_lengths(network, activation, sizes, **case)
        summary = {"length": lengths_S.mean().item(), "length_std": lengths_S.std().item()}
        rows.append({"network": network, "activation": activation, **case, **summary})
    return rows


def trajectory_lengths(
    network: str,
    activation: str,
    sizes: ExpressivitySizes,
    *,
    width: int,
    tau: float,
    scale: float,
    layers: int,
) -> Tensor:
    """(S,) length of the last layer's path divided by the input's, a value a draw."""
    rng = torch.Generator().manual_seed(0)
    shape = (sizes.draws, layers)

    def normal(*size: int, variance: float) -> Tensor:
        values = torch.randn(*shape, *size, generator=rng, dtype=torch.float64)
        return values * variance**0.5

    maps = [
        (
            normal(width, width, variance=scale / width),
            normal(width, max(width, 2), variance=scale / width),
            normal(width, variance=sizes.sigma_b2),
        )
        for _ in range(3)
    ]
    target_SDK = normal(width, variance=1.0)
    act = ACTIVATIONS[activation]

    def drive(x_SDK: Tensor, time: float, index: int = 0) -> Tensor:
        """(S, D, K) argument of the activation; each layer sees the states of the one below."""
        recurrent, from_below, bias = maps[index]
        below_SDK = torch.zeros(*shape, from_below.shape[-1], dtype=torch.float64)
        below_SDK[:, 0, 0], below_SDK[:, 0, 1] = np.sin(time), np.cos(time)
        below_SDK[:, 1:, :width] = x_SDK[:, :-1]
        z_SDK = torch.einsum("sdkj,sdj->sdk", recurrent, x_SDK)
        return z_SDK + torch.einsum("sdkj,sdj->sdk", from_below, below_SDK) + bias

    def slope(x_SDK: Tensor, time: float) -> Tensor:
        f_SDK = act(drive(x_SDK, time))
        if network == "neural ode":
            return f_SDK
        if network == "ct-rnn":
            return f_SDK - x_SDK / tau
        return f_SDK * (target_SDK - x_SDK) - x_SDK / tau

    def advance(x_SDK: Tensor, time: float) -> Tensor:
        if network in ("closed form", "cfc"):
            f_SDK = act(drive(x_SDK, time + h))
            gate_SDK = torch.sigmoid(drive(x_SDK, time + h, 1))
            if network == "closed form":
                return f_SDK + (x_SDK - f_SDK) * torch.exp(-h * (1.0 / tau + gate_SDK))
            return f_SDK + gate_SDK * (act(drive(x_SDK, time + h, 2)) - f_SDK)
        k1 = slope(x_SDK, time)
        k2 = slope(x_SDK + 0.5 * h * k1, time + 0.5 * h)
        k3 = slope(x_SDK + 0.5 * h * k2, time + 0.5 * h)
        k4 = slope(x_SDK + h * k3, time + h)
        return x_SDK + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)

    h = TURN / sizes.steps
    x_SDK = torch.zeros(*shape, width, dtype=torch.float64)
    path = [x_SDK[:, -1]]
    for step in range(sizes.steps):
        x_SDK = advance(x_SDK, step * h)
        path.append(x_SDK[:, -1])
    return path_length(torch.stack(path, dim=1)) / TURN


def path_length(states_STK: Tensor) -> Tensor:
    """(S,) length of the path of the first two principal components."""
    centered = states_STK - states_STK.mean(dim=1, keepdim=True)
    _, _, axes_SKK = torch.linalg.svd(centered, full_matrices=False)
    path_ST2 = centered @ axes_SKK[:, :2].transpose(1, 2)
    return path_ST2.diff(dim=1).norm(dim=2).sum(dim=1)
