"""The two loops of a closed-form cell with a backbone, compiled for a mode and an activation.

Matrices have a row a neuron and a column a sample: those of one step are LANES times a whole number
of samples wide, those of a sequence hold its steps side by side. Products are BLAS's; what bends
and gates is inlined and works on LANES samples at a time. The last row of what a layer reads is 1,
for its bias.

Shapes: U neurons, S heads, Q saved values, C constants, L layers of the backbone, K their units,
R rows of the first layer (K, or S*U without a backbone), W columns of a step, N columns of all.
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
    update = inlined(mode.kernel.update)
    bend = inlined(activation.kernel if activation else _straight)

    def forward(recurrent_RU, inner_LKK, heads_HK, constants_CU, t_1N, first_RN, kept,
                state_UW, bent_LKN, slope_LKN, saved_QN, states_UN):  # fmt: skip
        """Fill the last four, and leave the last state in ``state``.

        first: what the inputs and biases give to the first layer. bent, slope and saved hold
        ``kept`` steps in turn. states: the first state, then one a step.
        """
        units, width = state_UW.shape
        layers = bent_LKN.shape[0]
        rows = recurrent_RU.shape[0]
        first_UW = np.empty((rows, width), state_UW.dtype)
        read_KW = np.ones((rows + 1, width), state_UW.dtype)
        heads_HW = np.empty((units * heads, width), state_UW.dtype)
        for step in range(t_1N.shape[1] // width):
            now, room = step * width, (step % kept) * width
            np.dot(recurrent_RU, state_UW, first_UW)
            for layer in range(layers):
                if layer:
                    np.dot(inner_LKK[layer - 1], read_KW, first_UW)
                bent_KN, slope_KN = bent_LKN[layer], slope_LKN[layer]
                for k in range(rows):
                    for lane in range(0, width, LANES):
                        x = load(first_UW, (k, lane))
                        if layer == 0:
                            x = x + load(first_RN, (k, now + lane))
                        value, slope = bend(x)
                        store(value, read_KW, (k, lane))
                        store(value, bent_KN, (k, room + lane))
                        store(slope, slope_KN, (k, room + lane))
            if layers:
                np.dot(heads_HK, read_KW, heads_HW)
            else:
                for k in range(rows):
                    for lane in range(0, width, LANES):
                        x = load(first_UW, (k, lane)) + load(first_RN, (k, now + lane))
                        store(x, heads_HW, (k, lane))
            for n in range(units):
                c = numbers_each(Constants, constants_CU, n)
                for lane in range(0, width, LANES):
                    u = load_rows(Heads, heads_HW, n * heads, lane)
                    t = load(t_1N, (0, now + lane))
                    new, values = update(u, load(state_UW, (n, lane)), t, c)
                    store(new, state_UW, (n, lane))
                    store(new, states_UN, (n, now + width + lane))
                    store_rows(named(Saved, values), saved_QN, n * saves, room + lane)

    return kernel(forward, f"{mode.name}-{activation.name if activation else ''}")


def _backward(mode: Mode, activation: Activation | None) -> Callable:
    Heads, Constants, Saved = mode.Heads, mode.Constants, mode.kernel.Saved
    heads, saves = len(mode.heads), len(mode.kernel.saved)
    gradient = inlined(mode.kernel.gradient)

    def backward(recurrent_UR, inner_LKK, heads_KH, constants_CU, t_1N, states_UN, slope_LKN,
                 saved_QN, grad_UN, d_state_UW, d_layers_LKN, d_heads_HN, d_t_1N,
                 d_constants_UCL):  # fmt: skip
        """Fill the last four, which begin as zeros, and leave the first state's in ``d_state``.

        The matrices are those of the forward pass, transposed. grad: gradient of the states of all
        steps; d_state: at first that of the last state.
        """
        units, width = d_state_UW.shape
        layers = slope_LKN.shape[0]
        rows = slope_LKN.shape[1]
        d_heads_HW = np.empty((units * heads, width), d_state_UW.dtype)
        d_read_KW = np.empty((rows, width), d_state_UW.dtype)
        d_layer_KW = np.empty((rows, width), d_state_UW.dtype)
        d_old_UW = np.empty((units, width), d_state_UW.dtype)
        for step in range(t_1N.shape[1] // width - 1, -1, -1):
            now = step * width
            for n in range(units):
                c = numbers_each(Constants, constants_CU, n)
                for lane in range(0, width, LANES):
                    d = load(d_state_UW, (n, lane)) + load(grad_UN, (n, now + lane))
                    d_u, d_h, d_t, d_c = gradient(
                        d,
                        load_rows(Saved, saved_QN, n * saves, now + lane),
                        load(states_UN, (n, now + lane)),
                        load(t_1N, (0, now + lane)),
                        c,
                    )
                    d_u = named(Heads, d_u)
                    store_rows(d_u, d_heads_HW, n * heads, lane)
                    store_rows(d_u, d_heads_HN, n * heads, now + lane)
                    store(zeros(d_state_UW), d_state_UW, (n, lane))
                    add_to(d_h, d_state_UW, (n, lane))
                    add_to(d_t, d_t_1N, (0, now + lane))
                    add_each(named(Constants, d_c), d_constants_UCL, (n,))
            if layers:
                np.dot(heads_KH, d_heads_HW, d_read_KW)
                for layer in range(layers - 1, -1, -1):
                    slope_KN, d_KN = slope_LKN[layer], d_layers_LKN[layer]
                    for k in range(rows):
                        for lane in range(0, width, LANES):
                            d = load(d_read_KW, (k, lane)) * load(slope_KN, (k, now + lane))
                            store(d, d_layer_KW, (k, lane))
                            store(d, d_KN, (k, now + lane))
                    if layer:
                        np.dot(inner_LKK[layer - 1], d_layer_KW, d_read_KW)
                np.dot(recurrent_UR, d_layer_KW, d_old_UW)
            else:
                np.dot(recurrent_UR, d_heads_HW, d_old_UW)
            for n in range(units):
                for lane in range(0, width, LANES):
                    add_to(load(d_old_UW, (n, lane)), d_state_UW, (n, lane))

    return kernel(backward, mode.name)
