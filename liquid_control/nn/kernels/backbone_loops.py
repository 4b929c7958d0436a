"""The two loops of a closed-form cell with a backbone, compiled for a mode and an activation.

A matrix has a row a neuron and a column a sample of the batch, which is filled up to whole vectors
with its last sample, so that no column computes with numbers that no sample has. Products are
BLAS's; what bends and gates is inlined and works on LANES samples at a time. One row of what a
layer reads is 1, for its bias.

Shapes: B batch, T time, F inputs, U neurons, S = F+1+U rows [input | 1 | state], H = U*heads, Q =
U*saved values, C constants, L layers of the backbone, K their units, J = K+1, R rows of the first
layer (K, or H without a backbone), W columns, P steps that are kept in turn, V = LANES.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from liquid_control.nn.cells.activations import Activation
from liquid_control.nn.cells.modes.mode import Mode
from liquid_control.nn.kernels.compile import inlined, kernel
from liquid_control.nn.kernels.simd import LANES, load, store, zeros
from liquid_control.nn.kernels.tuples import (
    add_each,
    add_to,
    load_rows,
    named,
    numbers_each,
    store_rows,
)


class Loops(NamedTuple):
    """The compiled pair; what they fill and read is told where they are made."""

    forward: Callable
    backward: Callable


@cache
def loops_of(mode: Mode, activation: Activation | None) -> Loops:
    """The loops of a mode and an activation (None: without a backbone), made once and kept."""
    return Loops(_forward(mode, activation), _backward(mode, activation))


def _straight(x):
    """What stands for an activation where there is no backbone."""
    return x, x


def _forward(mode: Mode, activation: Activation | None) -> Callable:
    Heads, Constants, Saved = mode.Heads, mode.Constants, mode.kernel.Saved
    heads, saves = len(mode.heads), len(mode.kernel.saved)
    bend = inlined(activation.kernel if activation else _straight)
    update = inlined(mode.kernel.update)

    def forward(first_RS, inner_LKJ, heads_HJ, constants_CU, x_BTF, h_BU, t_BT, times_PW,
                reads_PSW, bent_PLJW, slope_PLKW, saved_PQW, output_BTU, last_BU):  # fmt: skip
        """Fill the last seven; the last row of ``bent`` is 1 already."""
        batch, steps, inputs = x_BTF.shape
        kept, units, width = times_PW.shape[0], h_BU.shape[1], times_PW.shape[1]
        layers, rows = slope_PLKW.shape[1], first_RS.shape[0]
        state_UW = np.empty((units, width), x_BTF.dtype)
        layer_RW = np.empty((rows, width), x_BTF.dtype)
        heads_HW = np.empty((units * heads, width), x_BTF.dtype)
        for b in range(width):
            for n in range(units):
                state_UW[n, b] = h_BU[min(b, batch - 1), n]
        for step in range(steps):
            at = step % kept
            read_SW = reads_PSW[at]
            for b in range(width):
                sample = min(b, batch - 1)
                times_PW[at, b] = t_BT[sample, step]
                for i in range(inputs):
                    read_SW[i, b] = x_BTF[sample, step, i]
            read_SW[inputs] = 1.0
            read_SW[inputs + 1 :] = state_UW
            if layers:
                np.dot(first_RS, read_SW, layer_RW)
                for layer in range(layers):
                    if layer:
                        np.dot(inner_LKJ[layer - 1], bent_PLJW[at, layer - 1], layer_RW)
                    for k in range(rows):
                        for lane in range(0, width, LANES):
                            value, slope = bend(load(layer_RW, (k, lane)))
                            store(value, bent_PLJW, (at, layer, k, lane))
                            store(slope, slope_PLKW, (at, layer, k, lane))
                np.dot(heads_HJ, bent_PLJW[at, layers - 1], heads_HW)
            else:
                np.dot(first_RS, read_SW, heads_HW)
            saved_QW = saved_PQW[at]
            for n in range(units):
                c = numbers_each(Constants, constants_CU, n)
                for lane in range(0, width, LANES):
                    u = load_rows(Heads, heads_HW, n * heads, lane)
                    old, t = load(state_UW, (n, lane)), load(times_PW, (at, lane))
                    new, values = update(u, old, t, c)
                    store(new, state_UW, (n, lane))
                    store_rows(named(Saved, values), saved_QW, n * saves, lane)
            for b in range(batch):
                for n in range(units):
                    output_BTU[b, step, n] = state_UW[n, b]
        for b in range(batch):
            for n in range(units):
                last_BU[b, n] = state_UW[n, b]

    return kernel(forward, f"{mode.name}-{activation.name if activation else ''}")


def _backward(mode: Mode, activation: Activation | None) -> Callable:
    Heads, Constants, Saved = mode.Heads, mode.Constants, mode.kernel.Saved
    heads, saves = len(mode.heads), len(mode.kernel.saved)
    gradient = inlined(mode.kernel.gradient)

    def backward(first_RS, inner_LKJ, heads_HJ, constants_CU, times_TW, reads_TSW, bent_TLJW,
                 slope_TLKW, saved_TQW, grad_BTU, grad_BU, d_first_RS, d_inner_LKJ, d_heads_HJ,
                 d_constants_UCV, d_x_BTF, d_h_BU, d_t_BT):  # fmt: skip
        """Fill the last seven, of which the first four begin as zeros.

        grad_BTU: gradient of the output; grad_BU: of the last state. An empty d_x is left out.
        """
        batch, steps, units = grad_BTU.shape
        width, inputs = times_TW.shape[1], reads_TSW.shape[1] - units - 1
        layers, rows = slope_TLKW.shape[1], first_RS.shape[0]
        d_state_UW = np.zeros((units, width), times_TW.dtype)
        d_times_1W = np.empty((1, width), times_TW.dtype)
        d_heads_HW = np.empty((units * heads, width), times_TW.dtype)
        d_bent_JW = np.empty((heads_HJ.shape[1], width), times_TW.dtype)
        d_layer_RW = np.empty((rows, width), times_TW.dtype)
        d_read_SW = np.empty((inputs + 1 + units, width), times_TW.dtype)
        more_HJ, more_RS = np.empty_like(d_heads_HJ), np.empty_like(d_first_RS)
        more_KJ = np.empty(inner_LKJ.shape[1:], times_TW.dtype)
        for b in range(batch):
            for n in range(units):
                d_state_UW[n, b] = grad_BU[b, n]
        for step in range(steps - 1, -1, -1):
            read_SW, saved_QW = reads_TSW[step], saved_TQW[step]
            d_times_1W[:] = 0
            for b in range(batch):
                for n in range(units):
                    d_state_UW[n, b] += grad_BTU[b, step, n]
            for n in range(units):
                c = numbers_each(Constants, constants_CU, n)
                for lane in range(0, width, LANES):
                    d_u, d_h, d_t, d_c = gradient(
                        load(d_state_UW, (n, lane)),
                        load_rows(Saved, saved_QW, n * saves, lane),
                        load(read_SW, (inputs + 1 + n, lane)),
                        load(times_TW, (step, lane)),
                        c,
                    )
                    store_rows(named(Heads, d_u), d_heads_HW, n * heads, lane)
                    store(zeros(d_state_UW), d_state_UW, (n, lane))
                    add_to(d_h, d_state_UW, (n, lane))
                    add_to(d_t, d_times_1W, (0, lane))
                    add_each(named(Constants, d_c), d_constants_UCV, (n,))
            if layers:
                np.dot(d_heads_HW, bent_TLJW[step, layers - 1].T, more_HJ)
                d_heads_HJ += more_HJ
                np.dot(heads_HJ.T, d_heads_HW, d_bent_JW)
                for layer in range(layers - 1, -1, -1):
                    for k in range(rows):
                        for lane in range(0, width, LANES):
                            slope = load(slope_TLKW, (step, layer, k, lane))
                            store(load(d_bent_JW, (k, lane)) * slope, d_layer_RW, (k, lane))
                    if layer:
                        np.dot(d_layer_RW, bent_TLJW[step, layer - 1].T, more_KJ)
                        d_inner_LKJ[layer - 1] += more_KJ
                        np.dot(inner_LKJ[layer - 1].T, d_layer_RW, d_bent_JW)
                np.dot(d_layer_RW, read_SW.T, more_RS)
                np.dot(first_RS.T, d_layer_RW, d_read_SW)
            else:
                np.dot(d_heads_HW, read_SW.T, more_RS)
                np.dot(first_RS.T, d_heads_HW, d_read_SW)
            d_first_RS += more_RS
            d_state_UW += d_read_SW[inputs + 1 :]
            for b in range(batch):
                d_t_BT[b, step] = d_times_1W[0, b]
                if d_x_BTF.size:
                    for i in range(inputs):
                        d_x_BTF[b, step, i] = d_read_SW[i, b]
        for b in range(batch):
            for n in range(units):
                d_h_BU[b, n] = d_state_UW[n, b]

    return kernel(backward, f"{mode.name}-{activation.name if activation else ''}")
