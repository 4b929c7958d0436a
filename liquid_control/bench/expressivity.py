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
from pydantic import Field
from torch import Tensor

from liquid_control.config import StrictModel

NETWORKS = ("ltc", "ct-rnn", "neural ode", "closed form", "cfc")
ACTIVATIONS = {
    "hard-tanh": torch.nn.functional.hardtanh,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}
TURN = 2.0 * np.pi
ODES = ("ltc", "ct-rnn", "neural ode")
DIVERGES = 1e4  # a length above it isn't worth its digits


class Sizes(StrictModel):
    """What is varied around the first value of each list: width with tau, the others alone."""

    activations: list[str] = Field(min_length=1)
    widths: list[int] = Field(min_length=1)
    taus: list[float] = Field(min_length=1)
    scales: list[float] = Field(min_length=1)  # sigma_w^2
    layers: list[int] = Field(min_length=1)
    sigma_b2: float = Field(ge=0)
    steps: int = Field(gt=1)  # of the solver in the one turn of the circle
    draws: int = Field(gt=1)  # of the random weights


def expressivity_study(sizes: Sizes) -> list[dict]:
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
    sizes: Sizes,
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


def markdown(rows: list[dict]) -> str:
    """One line a network and activation, one column a case; then where the LTC is longest."""
    table: dict[str, dict[tuple, dict[str, dict]]] = {}
    for row in rows:
        case = (row["width"], row["tau"], row["scale"], row["layers"])
        table.setdefault(row["activation"], {}).setdefault(case, {})[row["network"]] = row
    cases = list(next(iter(table.values())))
    head = " | ".join(f"K {k}, τ {tau:g}, σ² {scale:g}, D {d}" for k, tau, scale, d in cases)
    lines = [
        "Trajectory length divided by the input's: K neurons, time constant τ, weights of variance "
        "σ²/K, D layers.",
        "",
        f"| activation | network | {head} |",
        "|---|---|" + "---|" * len(cases),
    ]
    for activation, here in table.items():
        for network in NETWORKS:
            cells = " | ".join(_text(of_case[network]) for of_case in here.values())
            lines.append(f"| {activation} | {network} | {cells} |")
    lines.append("")
    for activation, here in table.items():
        longest = [
            max(ODES, key=lambda network: of_case[network]["length"]) for of_case in here.values()
        ]
        beaten = [of["ltc"]["length"] > of["ct-rnn"]["length"] for of in here.values()]
        lines.append(
            f"- {activation}: of the three ODEs the LTC is the longest in {longest.count('ltc')} "
            f"of {len(cases)} cases, longer than the CT-RNN in {sum(beaten)}."
        )
    return "\n".join([*lines, ""])


def _text(row: dict) -> str:
    if row["length"] > DIVERGES:
        return "diverges"
    return f"{row['length']:.3g} ± {row['length_std']:.2g}"


def plot(rows: list[dict], panels) -> None:
    """Length over width, a panel an activation; the shortest tau solid, longer ones dashed."""
    first = rows[0]
    for panel, activation in zip(panels, dict.fromkeys(row["activation"] for row in rows)):
        for index, network in enumerate(NETWORKS):
            for tau in sorted({row["tau"] for row in rows}):
                chosen = {"network": network, "activation": activation, "tau": tau}
                chosen |= {key: first[key] for key in ("scale", "layers")}
                here = [row for row in rows if all(row[k] == v for k, v in chosen.items())]
                here = [row for row in here if row["length"] < DIVERGES]
                here.sort(key=lambda row: row["width"])
                solid = tau == min(row["tau"] for row in rows)
                panel.errorbar(
                    [row["width"] for row in here],
                    [row["length"] for row in here],
                    [row["length_std"] for row in here],
                    color=f"C{index}",
                    linestyle="-" if solid else "--",
                    marker="o",
                    label=network if solid else None,
                )
        panel.set(xlabel="neurons", title=activation, xscale="log", yscale="log")
    taus = sorted({row["tau"] for row in rows})
    title = f"τ = {taus[0]:g}" + (f", dashed {taus[-1]:g}" if len(taus) > 1 else "")
    panels[-1].legend(title=title, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
