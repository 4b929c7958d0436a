"""Mode ``pure``: CfC's solution without a gate, for comparison.

    h <- A - A*exp(-t*(w_tau + |drive|))*drive,  A and w_tau above 0

Source: as of ``default``. The head is subtracted, so synapses have the opposite sign in it; where
t*|drive| exceeds 1 the equation turns the effect of a synapse over.

While time passes, |h| <= A*(1 + 1/(e*t)) whatever weights, input and state are, because
x*exp(-t*x) is at most 1/(e*t). At dt = 0 there is no bound: a step is h <- A*(1 - drive), linear in
the state. One is finite, many grow without end where recurrent weights are large. That is the
published equation; let dt be above 0.
"""

import math

import torch

from liquid_control.nn.cells.modes.mode import Constant, Mode, ModeKernel, Ncps
from liquid_control.nn.kernels.functions import exp, sign, size

RATE = 0.1  # w_tau at initialisation, 1/nominal_dt


def update(u, h_BN, t_B1, c):
    """The new state (B, N) in torch, see `Mode`."""
    decay_BN = torch.exp(-t_B1 * (c.w_tau + u.drive.abs()))
    return c.amplitude - c.amplitude * decay_BN * u.drive


def kernel_update(u, h, t, c):
    """The new state and what is saved, in plain arithmetic, see `ModeKernel`."""
    decay = exp(0.0 - t * (c.w_tau + size(u.drive)))
    return c.amplitude - c.amplitude * decay * u.drive, (u.drive, decay)


def kernel_gradient(d, s, h, t, c):
    """Gradients of heads, state, t and constants, see `ModeKernel`."""
    d_exponent = d * c.amplitude * s.drive * s.decay
    d_drive = d_exponent * t * sign(s.drive) - d * c.amplitude * s.decay
    d_t = d_exponent * (c.w_tau + size(s.drive))
    return (d_drive,), None, d_t, (d_exponent * t, d * (1.0 - s.decay * s.drive))


def _constants(w_tau: float, of_w_tau, of_amplitude) -> tuple[Constant, ...]:
    return (
        Constant(
            "w_tau", "w_tau", lambda rate: torch.full_like(rate, w_tau), of_w_tau, theirs="w_tau"
        ),
        Constant("amplitude", "amplitude", torch.ones_like, of_amplitude, theirs="A"),
    )


PURE = Mode(
    name="pure",
    polar=("drive",),
    plain=(),
    gain=3.0,
    constants=_constants(math.log(RATE), torch.exp, torch.abs),
    update=update,
    own_state=True,
    inverted=True,
    rest=1.0,
    kernel=ModeKernel(("drive", "decay"), kernel_update, kernel_gradient),
    # not from 0, where the absolute value has no slope: it would never train
    ncps=Ncps(("ff1",), _constants(RATE, torch.abs, lambda amplitude: amplitude)),
)
