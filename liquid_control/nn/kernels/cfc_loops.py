"""The two loops of a wired closed-form cell, forward and backward, compiled for a mode.

A block of LANES samples is computed from the first step to the last before the next one, in rows
of one value a lane. :class:`SourceRows` tells what the rows of a step's sources are; the gradient
of each has the same row in ``d_sources``. A neuron's heads are weighted sums over the same
synapses; missing ones are not stored and cost nothing. What the mode makes of the heads, and its
gradient, are inlined (:class:`liquid_control.nn.cells.modes.mode.ModeKernel`).

Nothing that is not there reaches a sum: lanes without a sample repeat the block's last one, with no
gradient, and where a sample is missing the lane computes a step from rest that nobody reads, lest
0*NaN enter the gradients of the weights (:mod:`liquid_control.nn.kernels.gaps`).

Shapes: K blocks, T time, B batch, L lanes, F inputs, H neurons, V sources, Z synapses, S heads,
Q saved values, C constants, O outputs, N steps of a chunk.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from liquid_control.nn.cells.modes.mode import Mode
from liquid_control.nn.kernels import synapses
from liquid_control.nn.kernels.compile import inlined, kernel
from liquid_control.nn.kernels.gaps import goes_on, pass_time
from liquid_control.nn.kernels.simd import LANES, load, select, store, total, zeros
from liquid_control.nn.kernels.tuples import (
    add_each,
    add_to,
    add_weighted,
    load_each,
    named,
    numbers_each,
    store_each,
    weighted_total,
    zeros_each,
)

source_rows = inlined(synapses.source_rows)


class Loops(NamedTuple):
    """The compiled pair; what they fill and read is told where they are made."""

    forward: Callable
    backward: Callable


@cache
def loops_of(mode: Mode) -> Loops:
    """The loops of a mode that has a kernel, made at its first use and then kept."""
    return Loops(_forward(mode), _backward(mode))


@kernel
def take_weights(flat, parameter_ZS, sign_ZS, free_ZS, w_ZS, factor_ZS):
    """Fill the last two: effective weights of the parameters, and their slopes."""
    for z in range(w_ZS.shape[0]):
        for head in range(w_ZS.shape[1]):
            p, sign, free = flat[parameter_ZS[z, head]], sign_ZS[z, head], free_ZS[z, head]
            w_ZS[z, head] = abs(p) * sign + p * free
            factor_ZS[z, head] = np.sign(p) * sign + free


@kernel
def give_gradients(d_w_ZS, factor_ZS, parameter_ZS, d_flat):
    """Fill the last: gradients of the parameters; each has one synapse and head."""
    for z in range(d_w_ZS.shape[0]):
        for head in range(d_w_ZS.shape[1]):
            d_flat[parameter_ZS[z, head]] = d_w_ZS[z, head] * factor_ZS[z, head]


@kernel
def add_to_weights(start, source, sources_TVL, first_step, steps, d_u_HNSL, d_w_ZS):
    """Backward of the heads' sums for the weights, over some steps; pairs of heads at a time."""
    for n in range(start.size - 1):
        for z in range(start[n], start[n + 1]):
            for head in range(0, d_w_ZS.shape[1], 2):
                a, b = zeros(sources_TVL), zeros(sources_TVL)
                for k in range(steps):
                    value = load(sources_TVL, (first_step + k, source[z], 0))
                    a = a + load(d_u_HNSL, (n, k, head, 0)) * value
                    b = b + load(d_u_HNSL, (n, k, head + 1, 0)) * value
                d_w_ZS[z, head] += total(a)
                d_w_ZS[z, head + 1] += total(b)


def _forward(mode: Mode) -> Callable:
    Heads, Constants, Saved = mode.Heads, mode.Constants, mode.kernel.Saved
    update = inlined(mode.kernel.update)

    def forward(start, source, w_ZS, constants_CH, rate, missing_TB, reset_TB, x_BTF, h_BH, dt_BT,
                sources_KTVL, saved_KTHQL, output_BTO, last_BH):  # fmt: skip
        """Fill the last four.

        sources and saved hold all steps, or the last few in turn.
        """
        batch, steps, inputs = x_BTF.shape
        units, outputs = h_BH.shape[1], output_BTO.shape[2]
        kept = sources_KTVL.shape[1]
        row = source_rows(inputs, units)
        masked = missing_TB.size > 0
        waited_L = np.zeros(LANES, x_BTF.dtype)
        state_HL = np.zeros((units, LANES), x_BTF.dtype)
        for block in range(sources_KTVL.shape[0]):
            lane = block * LANES
            lanes = min(LANES, batch - lane)
            for b in range(LANES):
                for n in range(units):
                    state_HL[n, b] = h_BH[lane + min(b, lanes - 1), n]
            for step in range(steps):
                rows, last = (
                    sources_KTVL[block, step % kept],
                    sources_KTVL[block, (step - 1) % kept],
                )
                saved = saved_KTHQL[block, step % kept]
                rows[row.one] = 1
                for b in range(LANES):
                    sample = lane + min(b, lanes - 1)
                    rows[row.time, b] = dt_BT[sample, step] * rate
                    for i in range(inputs):
                        rows[row.input + i, b] = x_BTF[sample, step, i]
                if masked:
                    pass_time(missing_TB, reset_TB, step, lane, rows[row.time], waited_L)
                for n in range(units):
                    if masked or step == 0:
                        state = load(state_HL, (n, 0))
                    else:
                        state = load(last, (row.fresh + n, 0))
                    if reset_TB.size:
                        state = select(reset_TB, (step, lane), 0.0, state)
                    if masked:
                        store(state, state_HL, (n, 0))
                        state = select(missing_TB, (step, lane), 0.0, state)
                    store(state, rows, (row.old + n, 0))
                t = load(rows, (row.time, 0))
                for n in range(units):
                    u = zeros_each(Heads, rows)
                    for z in range(start[n], start[n + 1]):
                        u = add_weighted(u, w_ZS, z, load(rows, (source[z], 0)))
                    c = numbers_each(Constants, constants_CH, n)
                    state, values = update(u, load(rows, (row.old + n, 0)), t, c)
                    store(state, rows, (row.fresh + n, 0))
                    store_each(named(Saved, values), saved, (n,))
                    if masked:
                        held = load(state_HL, (n, 0))
                        store(select(missing_TB, (step, lane), held, state), state_HL, (n, 0))
                after = state_HL if masked else rows[row.fresh :]
                for b in range(lanes):
                    for o in range(outputs):
                        output_BTO[lane + b, step, o] = after[units - outputs + o, b]
                    if step == steps - 1:
                        for n in range(units):
                            last_BH[lane + b, n] = after[n, b]

    return kernel(forward, mode.name)


def _backward(mode: Mode) -> Callable:
    Heads, Constants, Saved = mode.Heads, mode.Constants, mode.kernel.Saved
    gradient = inlined(mode.kernel.gradient)

    def backward(start, source, w_ZS, constants_CH, rate, missing_TB, reset_TB, sources_KTVL,
                 saved_KTHQL, grad_BTO, grad_BH, d_sources_VL, d_u_HNSL, d_w_ZS, d_constants_CH,
                 d_x_BTF, d_h_BH, d_dt_BT):  # fmt: skip
        """Fill the last five; d_sources_VL and d_u_HNSL are room to work in.

        grad_BTO: gradient of the output; grad_BH: of the last state.
        """
        batch, units = grad_BH.shape
        steps, outputs = grad_BTO.shape[1:]
        inputs = sources_KTVL.shape[2] - source_rows(0, units).end
        row = source_rows(inputs, units)
        chunk = d_u_HNSL.shape[1]
        d_w_ZS[:] = 0
        d_constants_HCL = np.zeros((units, constants_CH.shape[0], LANES), w_ZS.dtype)
        for block in range(sources_KTVL.shape[0]):
            lane = block * LANES
            lanes = min(LANES, batch - lane)
            d_sources_VL[:] = 0
            for b in range(lanes):
                for n in range(units):
                    d_sources_VL[row.old + n, b] = grad_BH[lane + b, n]
            for step in range(steps - 1, -1, -1):
                rows = sources_KTVL[block, step]
                d_sources_VL[row.one] = 0
                d_sources_VL[row.input : row.old] = 0
                for b in range(LANES):
                    if not (step + 1 < steps and goes_on(missing_TB, reset_TB, step + 1, lane + b)):
                        d_sources_VL[row.time, b] = 0
                for b in range(lanes):
                    for o in range(outputs):
                        d_sources_VL[row.old + units - outputs + o, b] += grad_BTO[
                            lane + b, step, o
                        ]
                for n in range(units):
                    d_state = load(d_sources_VL, (row.old + n, 0))
                    d_held = d_state - d_state
                    if missing_TB.size:
                        d_held = select(missing_TB, (step, lane), d_state, 0.0)
                        d_state = select(missing_TB, (step, lane), 0.0, d_state)
                    store(d_state, d_sources_VL, (row.fresh + n, 0))
                    store(d_held, d_sources_VL, (row.old + n, 0))
                t = load(rows, (row.time, 0))
                for n in range(units - 1, -1, -1):
                    d_u, d_h, d_t, d_c = gradient(
                        load(d_sources_VL, (row.fresh + n, 0)),
                        load_each(Saved, saved_KTHQL, (block, step, n)),
                        load(rows, (row.old + n, 0)),
                        t,
                        numbers_each(Constants, constants_CH, n),
                    )
                    d_u = named(Heads, d_u)
                    add_to(d_t, d_sources_VL, (row.time, 0))
                    add_to(d_h, d_sources_VL, (row.old + n, 0))
                    add_each(named(Constants, d_c), d_constants_HCL, (n,))
                    store_each(d_u, d_u_HNSL, (n, step % chunk))
                    for z in range(start[n], start[n + 1]):
                        add_to(weighted_total(d_u, w_ZS, z), d_sources_VL, (source[z], 0))
                if step % chunk == 0:
                    count = min(chunk, steps - step)
                    add_to_weights(
                        start, source, sources_KTVL[block], step, count, d_u_HNSL, d_w_ZS
                    )
                if reset_TB.size:
                    for n in range(units):
                        d_old = load(d_sources_VL, (row.old + n, 0))
                        store(
                            select(reset_TB, (step, lane), 0.0, d_old),
                            d_sources_VL,
                            (row.old + n, 0),
                        )
                for b in range(lanes):
                    d_dt_BT[lane + b, step] = d_sources_VL[row.time, b] * rate
                    if d_x_BTF.size:
                        for i in range(inputs):
                            d_x_BTF[lane + b, step, i] = d_sources_VL[row.input + i, b]
            for b in range(lanes):
                for n in range(units):
                    d_h_BH[lane + b, n] = d_sources_VL[row.old + n, b]
        for n in range(units):
            for k in range(constants_CH.shape[0]):
                d_constants_CH[k, n] = total(load(d_constants_HCL, (n, k, 0)))

    return kernel(backward, mode.name)
