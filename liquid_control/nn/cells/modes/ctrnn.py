"""Mode ``ctrnn``: the closed form with a rate that no input changes.

    h <- A + (h - A)*exp(-k*t),  A = tanh(target)

Source: Funahashi and Nakamura, Neural Networks 1993. It tells whether the input-dependent rate of
mode ``closed`` is worth its weights.
"""

import torch

from liquid_control.nn.cells.modes.mode import Constant, Mode, ModeKernel
from liquid_control.nn.kernels.functions import exp, tanh


def update(u, h_BN, t_B1, c):
    """The new state (B, N) in torch, see `Mode`."""
    # in this form dt = 0 is the identity, however far the target is
    return h_BN - (torch.tanh(u.target) - h_BN) * torch.expm1(-t_B1 * c.k)


def tau(c):
    """Smallest and largest time constant in nominal_dt, (N,) each."""
    return 1.0 / c.k, 1.0 / c.k


def kernel_update(u, h, t, c):
    """The new state and what is saved, in plain arithmetic, see `ModeKernel`."""
    target, decay = tanh(u.target), exp(0.0 - t * c.k)
    return target + (h - target) * decay, (target, decay)


def kernel_gradient(d, s, h, t, c):
    """Gradients of heads, state, t and constants, see `ModeKernel`."""
    d_exponent = (s.target - h) * d * s.decay
    d_target = d * (1.0 - s.decay) * (1.0 - s.target * s.target)
    return (d_target,), d * s.decay, d_exponent * c.k, (d_exponent * t,)


CTRNN = Mode(
    name="ctrnn",
    polar=("target",),
    plain=(),
    gain=1.5,
    constants=(Constant("k", "log_k", torch.log),),
    update=update,
    unit_output=True,
    tau=tau,
    kernel=ModeKernel(("target", "decay"), kernel_update, kernel_gradient),
)
