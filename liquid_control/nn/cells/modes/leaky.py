"""Mode ``leaky``: leaky integrators without synapses inside a layer, the simplest filter.

h <- A + (h - A)*exp(-k*t),  A = target
"""

import torch

from liquid_control.nn.cells.modes.mode import Constant, Mode, ModeKernel
from liquid_control.nn.kernels.functions import exp


def update(u, h_BN, t_B1, c):
    """The new state (B, N) in torch, see `Mode`."""
    # in this form dt = 0 is the identity, however far the target is
    return h_BN - (u.target - h_BN) * torch.expm1(-t_B1 * c.k)


def tau(c):
    """Smallest and largest time constant in nominal_dt, (N,) each."""
    return 1.0 / c.k, 1.0 / c.k


def kernel_update(u, h, t, c):
    """The new state and what is saved, in plain arithmetic, see `ModeKernel`."""
    decay = exp(0.0 - t * c.k)
    return h + (u.target - h) * (1.0 - decay), (u.target, decay)


def kernel_gradient(d, s, h, t, c):
    """Gradients of heads, state, t and constants, see `ModeKernel`."""
    d_exponent = (s.target - h) * d * s.decay
    return (d * (1.0 - s.decay),), d * s.decay, d_exponent * c.k, (d_exponent * t,)


LEAKY = Mode(
    name="leaky",
    polar=("target",),
    plain=(),
    gain=1.0,
    constants=(Constant("k", "log_k", torch.log),),
    update=update,
    recurrent=False,
    tau=tau,
    kernel=ModeKernel(("target", "decay"), kernel_update, kernel_gradient),
)
