"""Expressivity by trajectory length: how much a random network lengthens a circle.

Shapes: T time, D layers, K neurons of a layer. Source: Hasani et al., "Liquid time-constant
networks", AAAI 2021, section on expressivity, after Raghu et al. 2017.

The input (sin t, cos t), t = 0..2 pi, drives the first of D layers, the states of a layer drive the
next. The length is that of the path of the first two principal components of the last layer's
states, divided by that of the input. `random_networks` has the networks of the three settings.
"""

import itertools

import numpy as np

from liquid_control.bench.studies.random_networks import SETTINGS, Draw, sampled, slope
from liquid_control.bench.studies.sizes import ExpressivitySizes

TURN = 2.0 * np.pi
DIVERGED = 1e8  # a state beyond it grows without end
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}  # of the solver; a tenth of it moves lengths below 1 %


def expressivity_study(sizes: ExpressivitySizes) -> list[dict]:
    """Rows {setting, activation, network, width, tau, scale, layers, length, length_std}.

    tau is None where it is drawn, length and length_std are None where a draw diverges.
    """
    rows = []
    for setting, networks in SETTINGS.items():
        cases = _cases(sizes, drawn_tau=setting != "equal f")
        for activation, network, case in itertools.product(sizes.activations, networks, cases):
            lengths_S = trajectory_lengths(setting, network, activation, sizes, **case)
            ends = bool(np.isfinite(lengths_S).all())
            rows.append({
                "setting": setting, "activation": activation, "network": network, **case,
                "length": float(lengths_S.mean()) if ends else None,
                "length_std": float(lengths_S.std(ddof=1)) if ends else None,
            })  # fmt: skip
    return rows


def _cases(sizes: ExpressivitySizes, *, drawn_tau: bool) -> list[dict]:
    taus = [None] if drawn_tau else sizes.taus
    base = {
        "width": sizes.widths[0],
        "tau": taus[0],
        "scale": sizes.scales[0],
        "layers": sizes.layers[0],
    }
    cases = [
        {**base, "width": width, "tau": tau} for tau, width in itertools.product(taus, sizes.widths)
    ]
    cases += [{**base, "scale": scale} for scale in sizes.scales[1:]]
    return cases + [{**base, "layers": layers} for layers in sizes.layers[1:]]


def trajectory_lengths(
    setting: str,
    network: str,
    activation: str,
    sizes: ExpressivitySizes,
    *,
    width: int,
    tau: float | None,
    scale: float,
    layers: int,
) -> np.ndarray:
    """Length of the last layer's path divided by the input's, a value a draw; inf: it diverges.

    All networks of a setting have the same draws. tau None: |N(0, 1)|, drawn for each neuron.
    """
    lengths = []
    for seed in range(sizes.draws):
        draw = Draw.of(
            np.random.default_rng(seed),
            layers=layers, width=width, tau=tau, sigma_b=sizes.sigma_b2**0.5,
            sigma_w=(scale / width) ** 0.5 if setting == "equal f" else scale,
            sigma_a=1.0 if setting == "equal f" else scale * width**0.5,
        )  # fmt: skip
        states_TK = _states(draw, setting, network, activation, sizes.steps)
        lengths.append(np.inf if states_TK is None else path_length(states_TK) / TURN)
    return np.array(lengths)


def _states(draw: Draw, setting: str, network: str, activation: str, steps: int):
    """(T, K) states of the last layer at steps + 1 even times from rest; None: they diverge."""
    from scipy.integrate import solve_ivp  # comes with scikit-learn

    times_T = np.linspace(0.0, TURN, steps + 1)
    start_DK = np.zeros_like(draw.bias_DK)
    step = sampled(draw, network, activation)
    if step is not None:
        path = [start_DK]
        with np.errstate(over="ignore"):
            for before, now in itertools.pairwise(times_T):
                path.append(step(path[-1], now, now - before))
        return np.stack(path)[:, -1] if np.abs(path).max() < DIVERGED else None
    shape, change = start_DK.shape, slope(draw, setting, network, activation)

    def bounded(time: float, state: np.ndarray) -> float:
        return DIVERGED - np.abs(state).max()

    bounded.terminal = True
    solution = solve_ivp(
        lambda time, state: change(state.reshape(shape), time).ravel(),
        (0.0, TURN), start_DK.ravel(), t_eval=times_T, events=bounded, **TOLERANCE,
    )  # fmt: skip
    if len(solution.t) < len(times_T):
        return None
    return solution.y.T.reshape(-1, *shape)[:, -1]


def path_length(states_TK: np.ndarray) -> float:
    """Length of the path of the first two principal components."""
    centered = states_TK - states_TK.mean(axis=0)
    _, _, axes_KK = np.linalg.svd(centered, full_matrices=False)
    path_T2 = centered @ axes_KK[:2].T
    return float(np.linalg.norm(np.diff(path_T2, axis=0), axis=1).sum())
