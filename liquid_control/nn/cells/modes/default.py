"""Mode ``default``: CfC's gate between two targets.

    f1 = tanh(first), f2 = tanh(second), s = sigmoid(time_a*t + time_b)
    h <- f1*(1 - s) + f2*s

Source: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence
2022. t shifts the gate: |h| stays below 1 for any dt, and dt = 0 is not the identity. Each neuron
reads its own last state, as the LTC equation that this approximates does.
"""

import numpy as np
import torch

from liquid_control.nn.cells.modes.mode import Mode, ModeKernel, Ncps
from liquid_control.nn.kernels.functions import sigmoid, tanh


def update(u, h_BN, t_B1, c):
    """The new state (B, N) in torch, see `Mode`."""
    f1_BN = torch.tanh(u.first)
    gate_BN = torch.sigmoid(u.time_a * t_B1 + u.time_b)
    return f1_BN + gate_BN * (torch.tanh(u.second) - f1_BN)


def kernel_update(u, h, t, c):
    """The new state and what is saved, in plain arithmetic, see `ModeKernel`."""
    f1, f2, gate = tanh(u.first), tanh(u.second), sigmoid(u.time_a * t + u.time_b)
    return f1 + gate * (f2 - f1), (f1, f2, gate, u.time_a)


def kernel_gradient(d, s, h, t, c):
    """Gradients of heads, state, t and constants, see `ModeKernel`."""
    d_time_b = d * (s.f2 - s.f1) * s.gate * (1.0 - s.gate)
    d_first = d * (1.0 - s.gate) * (1.0 - s.f1 * s.f1)
    d_second = d * s.gate * (1.0 - s.f2 * s.f2)
    return (d_first, d_second, d_time_b * t, d_time_b), None, d_time_b * s.time_a, ()


def nodes(graph, source, weight, bias, old, period, output, c):
    """ONNX nodes of a layer's update; arguments as in ``closed.nodes``."""
    # one product for all heads: the gate's argument is linear in [source, source*dt, dt], and with
    # sigmoid(x) = (1 + tanh(x/2))/2 the update is h = (f1 + f2)/2 + tanh(x/2)*(f2 - f1)/2
    n = len(bias) // 4
    f_weight, (a_weight, b_weight) = weight[: 2 * n], (weight[2 * n : 3 * n], weight[3 * n :])
    f_bias, (a_bias, b_bias) = bias[: 2 * n], (bias[2 * n : 3 * n], bias[3 * n :])
    timed = graph.op("Concat", source, graph.op("Mul", source, "dt"), "dt", axis=1)
    no_time = np.zeros_like(f_weight), np.zeros_like(f_bias[:, None])
    gate = b_weight / 2, a_weight / (2 * period), a_bias[:, None] / (2 * period)
    of_all = np.block([[f_weight, *no_time], [*gate]])
    heads = graph.op("Tanh", graph.linear(timed, of_all, np.concatenate([f_bias, b_bias / 2])))
    mixing = np.kron([[0.5, 0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], np.eye(n))
    mixed = graph.linear(heads, mixing.astype(np.float32), np.zeros(3 * n, np.float32))
    middle, reach, gate = graph.split(mixed, [n, n, n])
    return graph.op("Add", middle, graph.op("Mul", gate, reach), output=output)


DEFAULT = Mode(
    name="default",
    polar=("first", "second"),
    plain=("time_a", "time_b"),
    gain=2.0,
    update=update,
    own_state=True,
    unit_output=True,
    kernel=ModeKernel(("f1", "f2", "gate", "time_a"), kernel_update, kernel_gradient),
    nodes=nodes,
    ncps=Ncps(("ff1", "ff2", "time_a", "time_b")),
)
