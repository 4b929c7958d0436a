"""The LTC's fused solver over whole sequences, forward and backward, in two compiled loops.

As in ``kernel_cfc`` the batch is innermost and only synapses that exist are computed. The backward
pass keeps the state of every substep and computes the synapses again, which is cheaper than storing
them.

Shapes: T time, U substeps, B batch, F inputs, N neurons, Z synapses, O outputs (motor neurons).
"""

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.compiled import Scratch
from liquid_control.nn.kernel_math import kernel, sigmoid


@kernel
def _sigmoids(source, synapses, y, s_ZB):
    """s = sigmoid(sigma y - sigma mu); synapses holds the rows w, w E, sigma, sigma mu."""
    for k in range(source.shape[0]):
        y_B, s_B, sigma, sigma_mu = y[source[k]], s_ZB[k], synapses[2, k], synapses[3, k]
        for b in range(y.shape[1]):
            s_B[b] = sigmoid(sigma * y_B[b] - sigma_mu)


@kernel
def _add_currents(target, synapses, s_ZB, current, conductance):
    """Add sum(w s E) and sum(w s) of all synapses."""
    for k in range(target.shape[0]):
        s_B, i_B, g_B = s_ZB[k], current[target[k]], conductance[target[k]]
        w, we = synapses[0, k], synapses[1, k]
        for b in range(s_B.shape[0]):
            i_B[b] += we * s_B[b]
        for b in range(s_B.shape[0]):
            g_B[b] += w * s_B[b]


@kernel
def _currents_gradient(
    source, target, synapses, y, d_current, d_conductance, s_ZB, d_synapses, d_y
):
    """Backward of both, given the sigmoids s_ZB; adds to d_synapses and d_y."""
    lanes = y.shape[1]
    zero, one = y.dtype.type(0), y.dtype.type(1)
    q = np.empty(lanes, y.dtype)
    for k in range(source.shape[0]):
        y_B, s_B, d_y_B = y[source[k]], s_ZB[k], d_y[source[k]]
        d_i, d_g = d_current[target[k]], d_conductance[target[k]]
        w, we, sigma = synapses[0, k], synapses[1, k], synapses[2, k]
        d_w, d_we, d_sigma, d_sigma_mu = zero, zero, zero, zero
        for b in range(lanes):
            d_w += d_g[b] * s_B[b]
            d_we += d_i[b] * s_B[b]
        for b in range(lanes):
            q[b] = (d_i[b] * we + d_g[b] * w) * s_B[b] * (one - s_B[b])
        for b in range(lanes):
            d_sigma += q[b] * y_B[b]
            d_sigma_mu -= q[b]
        for b in range(lanes):
            d_y_B[b] += q[b] * sigma
        d_synapses[0, k] += d_w
        d_synapses[1, k] += d_we
        d_synapses[2, k] += d_sigma
        d_synapses[3, k] += d_sigma_mu


@kernel
def forward(sensory_source, sensory_target, neural_source, neural_target, sensory, neural, neurons,
            x_BTF, v_NB, d_TB, missing_TB, reset_TB, substates_TUNB):  # fmt: skip
    """Fill substates_TUNB: [t, 0] is the state before step t, [t, u] that after u substeps.

    neurons: (3, N) g, g l, c; d_TB: duration of a substep.
    """
    lanes, steps, inputs = x_BTF.shape
    units = v_NB.shape[0]
    unfolds = substates_TUNB.shape[1] - 1
    x_FB = np.empty((inputs, lanes), x_BTF.dtype)
    held_i, held_g = np.empty_like(v_NB), np.empty_like(v_NB)
    current, conductance = np.empty_like(v_NB), np.empty_like(v_NB)
    s_sensory = np.empty((sensory_source.shape[0], lanes), x_BTF.dtype)
    s_neural = np.empty((neural_source.shape[0], lanes), x_BTF.dtype)
    for step in range(steps):
        for b in range(lanes):
            for i in range(inputs):
                x_FB[i, b] = x_BTF[b, step, i]
        before = substates_TUNB[step, 0]
        before[:] = v_NB if step == 0 else substates_TUNB[step - 1, unfolds]
        if reset_TB.size:
            for n in range(units):
                for b in range(lanes):
                    if reset_TB[step, b]:
                        before[n, b] = 0
        for n in range(units):
            held_g[n] = neurons[0, n]
            held_i[n] = neurons[1, n]
        _sigmoids(sensory_source, sensory, x_FB, s_sensory)
        _add_currents(sensory_target, sensory, s_sensory, held_i, held_g)
        d_B = d_TB[step]
        for u in range(unfolds):
            old, new = substates_TUNB[step, u], substates_TUNB[step, u + 1]
            current[:] = held_i
            conductance[:] = held_g
            _sigmoids(neural_source, neural, old, s_neural)
            _add_currents(neural_target, neural, s_neural, current, conductance)
            for n in range(units):
                c, i_B, g_B, old_B, new_B = (
                    neurons[2, n],
                    current[n],
                    conductance[n],
                    old[n],
                    new[n],
                )
                for b in range(lanes):
                    new_B[b] = (c * old_B[b] + d_B[b] * i_B[b]) / (c + d_B[b] * g_B[b])
        if missing_TB.size:
            last = substates_TUNB[step, unfolds]
            for n in range(units):
                for b in range(lanes):
                    if missing_TB[step, b]:
                        last[n, b] = before[n, b]


@kernel
def backward(sensory_source, sensory_target, neural_source, neural_target, sensory, neural, neurons,
             x_BTF, v_NB, d_TB, missing_TB, reset_TB, substates_TUNB, grad_TON, grad_NB,
             d_x_BTF):  # fmt: skip
    """Gradients of sensory, neural, neurons, v_NB and d_TB; fills d_x_BTF unless it is empty."""
    lanes, steps, inputs = x_BTF.shape
    units, outputs = v_NB.shape[0], grad_TON.shape[1]
    unfolds = substates_TUNB.shape[1] - 1
    dtype = x_BTF.dtype
    d_sensory, d_neural = np.zeros_like(sensory), np.zeros_like(neural)
    d_neurons, d_duration = np.zeros_like(neurons), np.zeros_like(d_TB)
    d_v, d_new, d_held = grad_NB.copy(), np.empty_like(v_NB), np.empty_like(v_NB)
    x_FB, d_x = np.empty((inputs, lanes), dtype), np.empty((inputs, lanes), dtype)
    held_i, held_g = np.empty_like(v_NB), np.empty_like(v_NB)
    current, conductance = np.empty_like(v_NB), np.empty_like(v_NB)
    d_i, d_g = np.empty_like(v_NB), np.empty_like(v_NB)
    d_held_i, d_held_g = np.empty_like(v_NB), np.empty_like(v_NB)
    s_sensory = np.empty((sensory_source.shape[0], lanes), dtype)
    s_neural = np.empty((neural_source.shape[0], lanes), dtype)
    zero = dtype.type(0)
    for step in range(steps - 1, -1, -1):
        d_v[units - outputs :] += grad_TON[step]
        d_held[:] = zero
        if missing_TB.size:
            for n in range(units):
                for b in range(lanes):
                    if missing_TB[step, b]:
                        d_held[n, b] = d_v[n, b]
                        d_v[n, b] = zero
        for b in range(lanes):
            for i in range(inputs):
                x_FB[i, b] = x_BTF[b, step, i]
        for n in range(units):
            held_g[n] = neurons[0, n]
            held_i[n] = neurons[1, n]
        _sigmoids(sensory_source, sensory, x_FB, s_sensory)
        _add_currents(sensory_target, sensory, s_sensory, held_i, held_g)
        d_held_i[:] = zero
        d_held_g[:] = zero
        d_B, d_d = d_TB[step], d_duration[step]
        for u in range(unfolds - 1, -1, -1):
            old = substates_TUNB[step, u]
            current[:] = held_i
            conductance[:] = held_g
            _sigmoids(neural_source, neural, old, s_neural)
            _add_currents(neural_target, neural, s_neural, current, conductance)
            for n in range(units):
                c, d_c = neurons[2, n], zero
                i_B, g_B, old_B, dv_B = current[n], conductance[n], old[n], d_v[n]
                di_B, dg_B, dn_B = d_i[n], d_g[n], d_new[n]
                # new = (c old + d i) / (c + d g) =: top / bottom
                for b in range(lanes):
                    dn_B[b] = dv_B[b] / (c + d_B[b] * g_B[b])  # gradient of top
                for b in range(lanes):  # -gradient of bottom
                    dg_B[b] = dn_B[b] * (c * old_B[b] + d_B[b] * i_B[b]) / (c + d_B[b] * g_B[b])
                for b in range(lanes):
                    d_c += dn_B[b] * old_B[b] - dg_B[b]
                for b in range(lanes):
                    d_d[b] += dn_B[b] * i_B[b] - dg_B[b] * g_B[b]
                for b in range(lanes):
                    di_B[b] = dn_B[b] * d_B[b]
                for b in range(lanes):
                    dg_B[b] = -dg_B[b] * d_B[b]
                for b in range(lanes):
                    dv_B[b] = dn_B[b] * c
                d_neurons[2, n] += d_c
            d_held_i += d_i
            d_held_g += d_g
            _currents_gradient(
                neural_source, neural_target, neural, old, d_i, d_g, s_neural, d_neural, d_v
            )
        d_x[:] = zero
        _currents_gradient(
            sensory_source, sensory_target, sensory, x_FB, d_held_i, d_held_g, s_sensory,
            d_sensory, d_x,
        )  # fmt: skip
        for n in range(units):
            d_neurons[0, n] += d_held_g[n].sum()
            d_neurons[1, n] += d_held_i[n].sum()
        if d_x_BTF.size:
            for b in range(lanes):
                for i in range(inputs):
                    d_x_BTF[b, step, i] = d_x[i, b]
        d_v += d_held
        if reset_TB.size:
            for n in range(units):
                for b in range(lanes):
                    if reset_TB[step, b]:
                        d_v[n, b] = zero
    return d_sensory, d_neural, d_neurons, d_v, d_duration


class LTCSequence(torch.autograd.Function):
    """(motor states_TOB, last state_NB) of a sequence; indices and masks carry no gradient."""

    @staticmethod
    def forward(
        ctx, indices, unfolds, outputs, missing, reset, sensory, neural, neurons, x_BTF, v_NB, d_TB
    ):
        lanes, steps, _ = x_BTF.shape
        units = v_NB.shape[0]
        values = [v.detach().numpy() for v in (sensory, neural, neurons, x_BTF, v_NB, d_TB)]
        substates = Scratch((steps, unfolds + 1, units, lanes), values[0].dtype)
        forward(*indices, *values, missing, reset, substates.array)
        ctx.indices, ctx.scratch = indices, substates
        ctx.kept = (*values, missing, reset, substates.array)
        return (
            torch.from_numpy(substates.array[:, -1, units - outputs :].copy()),
            torch.from_numpy(substates.array[-1, -1].copy()),
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_TOB: Tensor, grad_NB: Tensor):
        x_BTF = ctx.kept[3]
        wants_input = ctx.needs_input_grad[8]
        d_x = np.empty(x_BTF.shape if wants_input else (0, 0, 0), x_BTF.dtype)
        gradients = backward(
            *ctx.indices,
            *ctx.kept,
            grad_TOB.contiguous().numpy(),
            grad_NB.contiguous().numpy(),
            d_x,
        )
        *parameters, d_v, d_d = (torch.from_numpy(value) for value in gradients)
        d_input = torch.from_numpy(d_x) if wants_input else None
        return (None,) * 5 + (*parameters, d_input, d_v, d_d)
