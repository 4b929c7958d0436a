"""Mode ``closed``: the solution of a liquid neuron's equation with rate and target held.

    dh/dt = -(k_leak + k_syn*s) * (h - A),  s = sigmoid(gate),  A = tanh(target)
    h <- A + (h - A)*exp(-(k_leak + k_syn*s)*t)

Source: the equation of Hasani et al., "Liquid time-constant networks", AAAI 2021. dt = 0 is the
identity; two half steps equal one where heads do not change and else converge at order 1; |h| never
exceeds max(|h0|, 1).
"""

import torch

from liquid_control.nn.cells.modes.mode import Constant, Mode, ModeKernel
from liquid_control.nn.kernels.functions import exp, sigmoid, tanh


def update(u, h_BN, t_B1, c):
    """The new state (B, N) in torch, see `Mode`."""
    target_BN = torch.tanh(u.target)
    decay_BN = torch.exp(-t_B1 * (c.k_leak + c.k_syn * torch.sigmoid(u.gate)))
    return target_BN + (h_BN - target_BN) * decay_BN


def tau(c):
    """Smallest and largest time constant in nominal_dt, (N,) each."""
    return 1.0 / (c.k_leak + c.k_syn), 1.0 / c.k_leak


def kernel_update(u, h, t, c):
    """The new state and what is saved, in plain arithmetic, see `ModeKernel`."""
    target, gate = tanh(u.target), sigmoid(u.gate)
    decay = exp(0.0 - t * (c.k_leak + c.k_syn * gate))
    return target + (h - target) * decay, (target, gate, decay)


def kernel_gradient(d, s, h, t, c):
    """Gradients of heads, state, t and constants, see `ModeKernel`."""
    d_exponent = (s.target - h) * d * s.decay
    d_k_leak = d_exponent * t
    d_target = d * (1.0 - s.decay) * (1.0 - s.target * s.target)
    d_gate = d_k_leak * c.k_syn * s.gate * (1.0 - s.gate)
    d_t = d_exponent * (c.k_leak + c.k_syn * s.gate)
    return (d_target, d_gate), d * s.decay, d_t, (d_k_leak, d_k_leak * s.gate)


def nodes(graph, source, weight, bias, old, period, output, c):
    """ONNX nodes of a layer's update; returns the name of the new state, ``output`` if given.

    graph: a :class:`liquid_control.nn.onnx_graph.Graph`; source and old: names of the layer's
    sources and last state; weight (heads*N, S) and bias (heads*N,): of all heads, one after the
    other; period: nominal_dt; c: constants (N,) each. The input "dt" is in seconds.
    """
    # sigmoid(x) = (1 + tanh(x/2))/2: the gate's affine part goes into the rate's constants
    n = len(c.k_leak)
    target = graph.op("Tanh", graph.linear(source, weight[:n], bias[:n]))
    gate = graph.op("Tanh", graph.linear(source, weight[n:] / 2, bias[n:] / 2))
    rate = graph.op("Mul", gate, graph.constant(-c.k_syn / (2 * period)))
    rate = graph.op("Add", rate, graph.constant(-(c.k_leak + c.k_syn / 2) / period))
    decay = graph.op("Exp", graph.op("Mul", rate, "dt"))
    distance = graph.op("Mul", graph.op("Sub", old, target), decay)
    return graph.op("Add", target, distance, output=output)


CLOSED = Mode(
    name="closed",
    polar=("target",),
    plain=("gate",),
    gain=1.5,
    constants=(
        Constant("k_leak", "log_k_leak", lambda rate: torch.log(0.25 * rate)),
        Constant("k_syn", "log_k_syn", lambda rate: torch.log(1.5 * rate)),
    ),
    update=update,
    unit_output=True,
    tau=tau,
    kernel=ModeKernel(("target", "gate", "decay"), kernel_update, kernel_gradient),
    nodes=nodes,
)
