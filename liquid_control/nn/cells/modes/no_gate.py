"""Mode ``no_gate``: mode ``default`` with the first target always on, for comparison.

    f1 = tanh(first), f2 = tanh(second), s = sigmoid(time_a*t + time_b)
    h <- f1 + f2*s

Source: as of ``default``; |h| stays below 2 for any dt, and dt = 0 is not the identity.
"""

import torch

from liquid_control.nn.cells.modes.mode import Mode, ModeKernel, Ncps
from liquid_control.nn.kernels.functions import sigmoid, tanh


def update(u, h_BN, t_B1, c):
    """The new state (B, N) in torch, see `Mode`."""
    return torch.tanh(u.first) + torch.sigmoid(u.time_a * t_B1 + u.time_b) * torch.tanh(u.second)


def kernel_update(u, h, t, c):
    """The new state and what is saved, in plain arithmetic, see `ModeKernel`."""
    f1, f2, gate = tanh(u.first), tanh(u.second), sigmoid(u.time_a * t + u.time_b)
    return f1 + gate * f2, (f1, f2, gate, u.time_a)


def kernel_gradient(d, s, h, t, c):
    """Gradients of heads, state, t and constants, see `ModeKernel`."""
    d_time_b = d * s.f2 * s.gate * (1.0 - s.gate)
    d_first, d_second = d * (1.0 - s.f1 * s.f1), d * s.gate * (1.0 - s.f2 * s.f2)
    return (d_first, d_second, d_time_b * t, d_time_b), None, d_time_b * s.time_a, ()


NO_GATE = Mode(
    name="no_gate",
    polar=("first", "second"),
    plain=("time_a", "time_b"),
    gain=1.5,
    update=update,
    own_state=True,
    kernel=ModeKernel(("f1", "f2", "gate", "time_a"), kernel_update, kernel_gradient),
    ncps=Ncps(("ff1", "ff2", "time_a", "time_b")),
)
