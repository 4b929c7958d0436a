"""The untrained networks of the expressivity study, in three settings.

Shapes: D layers, K neurons, M = max(K, 2) inputs of a layer. Per layer, u is the circle or the
states of the layer below, x its own states.

published     as the code of the paper has it (raminmh/liquid_time_constant_networks,
              trajectory_length_analysis): f = act(V u + b), r = act(W x + c), weights N(0, sigma^2)
              whatever the width, tau = |N(0, 1)|. Only the LTC has r, and its drive is scaled by
              sums of K reversal potentials, E ~ N(0, sigma^2 K) (of a K x K matrix there):
              neural ode  dx/dt = f
              ct-rnn      dx/dt = -x/tau + f
              ltc         dx/dt = -(1/tau + |f| + |r|) x + f E + r E'
same drive    as published, but the other two have the LTC's drive: f E + r E' in place of f. What
              is left of the LTC is its rate.
equal f       f = act(W x + V u + b), weights N(0, sigma^2/K), tau and A ~ N(0, 1) chosen here:
              neural ode  dx/dt = f
              ct-rnn      dx/dt = -x/tau + f
              ltc         dx/dt = -(1/tau + |f|) x + f A
              closed form x <- f + (x - f) exp(-(1/tau + g) dt) at each sample, g the sigmoid of
                          another such map: the closed form of this library
              cfc         x <- f + g (f' - f) at each sample, f' and g of maps of their own; not an
                          ODE, so that its path has a corner at each sample

The paper's hard-tanh is applied to a whole layer at once there, which leaves it as it is unless all
of its neurons saturate; here it is applied to each neuron.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ODES = ("ltc", "ct-rnn", "neural ode")
SETTINGS = {"published": ODES, "same drive": ODES, "equal f": (*ODES, "closed form", "cfc")}
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hard-tanh": lambda z: np.clip(z, -1.0, 1.0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 0.5 + 0.5 * np.tanh(0.5 * z),
    "relu": lambda z: np.maximum(z, 0.0),
}


@dataclass(frozen=True)
class Draw:
    """Weights of a network: three maps, of which most networks use one or two."""

    below: tuple[np.ndarray, ...]  # (D, K, M) each
    recurrent: tuple[np.ndarray, ...]  # (D, K, K)
    bias: tuple[np.ndarray, ...]  # (D, K)
    tau_DK: np.ndarray
    pulls: tuple[np.ndarray, np.ndarray]  # (D, K): to where f and r pull the state of an LTC

    @property
    def bias_DK(self) -> np.ndarray:
        """The bias of the first map, which has the shape of the states."""
        return self.bias[0]

    @classmethod
    def of(
        cls,
        rng: np.random.Generator,
        *,
        layers: int,
        width: int,
        tau: float | None,
        sigma_w: float,
        sigma_b: float,
        sigma_a: float,
    ) -> "Draw":
        """Draw all of them; tau None: |N(0, 1)| for each neuron."""
        shape = layers, width
        maps = [
            (
                sigma_w * rng.standard_normal((*shape, max(width, 2))),
                sigma_w * rng.standard_normal((*shape, width)),
                sigma_b * rng.standard_normal(shape),
            )
            for _ in range(3)
        ]
        drawn_tau = np.abs(rng.standard_normal(shape))
        pulls = tuple(sigma_a * rng.standard_normal(shape) for _ in range(2))
        tau_DK = drawn_tau if tau is None else np.full(shape, tau)
        return cls(*zip(*maps), tau_DK=tau_DK, pulls=pulls)

    def from_below(self, index: int, x_DK: np.ndarray, time: float) -> np.ndarray:
        """(D, K) V u + b of a map."""
        u_DM = np.zeros((len(x_DK), self.below[0].shape[2]))
        u_DM[0, :2] = np.sin(time), np.cos(time)
        u_DM[1:, : x_DK.shape[1]] = x_DK[:-1]
        return (self.below[index] @ u_DM[:, :, None])[:, :, 0] + self.bias[index]

    def own(self, index: int, x_DK: np.ndarray) -> np.ndarray:
        """(D, K) W x of a map."""
        return (self.recurrent[index] @ x_DK[:, :, None])[:, :, 0]


def slope(draw: Draw, setting: str, network: str, activation: str):
    """dx/dt (D, K) of an ODE as a function of x (D, K) and time."""
    act = ACTIVATIONS[activation]

    def of_published(x_DK: np.ndarray, time: float) -> np.ndarray:
        f_DK = act(draw.from_below(0, x_DK, time))
        if setting == "published" and network != "ltc":
            return f_DK - (x_DK / draw.tau_DK if network == "ct-rnn" else 0.0)
        r_DK = act(draw.own(1, x_DK) + draw.bias[1])
        drive_DK = f_DK * draw.pulls[0] + r_DK * draw.pulls[1]
        if network == "neural ode":
            return drive_DK
        rate_DK = 1.0 / draw.tau_DK + (np.abs(f_DK) + np.abs(r_DK) if network == "ltc" else 0.0)
        return drive_DK - rate_DK * x_DK

    def of_equal(x_DK: np.ndarray, time: float) -> np.ndarray:
        f_DK = act(draw.from_below(0, x_DK, time) + draw.own(0, x_DK))
        if network == "neural ode":
            return f_DK
        if network == "ct-rnn":
            return f_DK - x_DK / draw.tau_DK
        return f_DK * draw.pulls[0] - (1.0 / draw.tau_DK + np.abs(f_DK)) * x_DK

    return of_equal if setting == "equal f" else of_published


def sampled(draw: Draw, network: str, activation: str):
    """The step (x, time, dt) -> x of a network that is no ODE; None: it is one."""
    act, gate = ACTIVATIONS[activation], ACTIVATIONS["sigmoid"]

    def z_DK(index: int, x_DK: np.ndarray, time: float) -> np.ndarray:
        return draw.from_below(index, x_DK, time) + draw.own(index, x_DK)

    def closed_form(x_DK: np.ndarray, time: float, dt: float) -> np.ndarray:
        f_DK = act(z_DK(0, x_DK, time))
        return f_DK + (x_DK - f_DK) * np.exp(-dt * (1.0 / draw.tau_DK + gate(z_DK(1, x_DK, time))))

    def cfc(x_DK: np.ndarray, time: float, dt: float) -> np.ndarray:
        f_DK = act(z_DK(0, x_DK, time))
        return f_DK + gate(z_DK(1, x_DK, time)) * (act(z_DK(2, x_DK, time)) - f_DK)

    return {"closed form": closed_form, "cfc": cfc}.get(network)
