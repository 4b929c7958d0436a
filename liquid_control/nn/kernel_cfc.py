"""A wired closed-form cell over whole sequences, forward and backward, in two compiled loops.

The batch is the innermost, contiguous dimension, so every inner loop is vector code; missing
synapses are not stored and cost nothing. Gradients are derived by hand and tested against autograd.

Shapes: T time, B batch, F inputs, H state, R rows (head by head, neuron by neuron, of all layers),
O outputs, V sources (F + H), Z synapses of all rows.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.compiled import Scratch
from liquid_control.nn.kernel_math import exp, kernel, sigmoid, tanh
from liquid_control.nn.wiring import Layer

CLOSED, CTRNN, LEAKY, DEFAULT, NO_GATE, PURE = range(6)
MODES = {
    name: k for k, name in enumerate(("closed", "ctrnn", "leaky", "default", "no_gate", "pure"))
}
SAVED = 4  # values a neuron and step that the backward pass needs again; the last for dt only


class Structure(NamedTuple):
    """Where the synapses are; the same for all calls of a cell."""

    mode: int
    inputs: int
    layers: np.ndarray  # (L, 3) first neuron, neuron past the last, first row
    row_start: np.ndarray  # (R + 1,) synapses of row r are row_start[r] : row_start[r + 1]
    source: np.ndarray  # (Z,) source of each synapse
    column_start: np.ndarray  # (L, V + 1) synapses of layer l that leave source v, in `by_column`
    by_column: np.ndarray  # (Z,) synapses of each layer sorted by source
    row_by_column: np.ndarray  # (Z,) their rows, counted from the layer's first


def build_structure(
    mode: str, inputs: int, layers: tuple[Layer, ...], exists: list[Tensor]
) -> Structure:
    """exists: per layer (rows, sources) bool; synapses are counted row by row."""
    units = layers[-1].stop
    table, row_start, source, rows = [], [0], [], []
    first_row = 0
    for layer, mask in zip(layers, (mask.numpy() for mask in exists)):
        table.append((layer.start, layer.stop, first_row))
        row, column = np.nonzero(mask)
        row_start.extend(row_start[-1] + np.cumsum(mask.sum(axis=1)))
        source.append(column + layer.source_start)
        rows.append(row)
        first_row += len(mask)
    by_column, column_start, offset = [], [], 0
    for columns in source:
        order = np.argsort(columns, kind="stable")
        by_column.append(order + offset)
        counts = np.bincount(columns, minlength=inputs + units)
        column_start.append(offset + np.concatenate([[0], np.cumsum(counts)]))
        offset += len(columns)

    def integers(values, dtype=np.int64) -> np.ndarray:
        return np.ascontiguousarray(values, dtype)

    # unsigned where they index in an inner loop: numba looks for negative ones otherwise
    return Structure(
        MODES[mode],
        inputs,
        integers(table),
        integers(row_start),
        integers(np.concatenate(source), np.uint32),
        integers(column_start),
        integers(np.concatenate(by_column)),
        integers(np.concatenate(rows)[np.concatenate(by_column)], np.uint32),
    )


@kernel
def _accumulate(total, scale, first, last, index, values, lanes):
    """total[b] += sum over k of scale[k] * values[index[k], b], four terms at a time."""
    k = first
    while k + 4 <= last:
        i0, i1, i2, i3 = index[k], index[k + 1], index[k + 2], index[k + 3]
        w0, w1, w2, w3 = scale[k], scale[k + 1], scale[k + 2], scale[k + 3]
        for b in range(lanes):
            total[b] += (
                w0 * values[i0, b] + w1 * values[i1, b] + w2 * values[i2, b] + w3 * values[i3, b]
            )
        k += 4
    while k < last:
        i0, w0 = index[k], scale[k]
        for b in range(lanes):
            total[b] += w0 * values[i0, b]
        k += 1


@kernel
def _add_products(d_w, u, first, last, index, values, lanes):
    """d_w[k] += sum over b of u[b] * values[index[k], b], four synapses at a time."""
    k = first
    zero = d_w.dtype.type(0)
    while k + 4 <= last:
        i0, i1, i2, i3 = index[k], index[k + 1], index[k + 2], index[k + 3]
        t0, t1, t2, t3 = zero, zero, zero, zero
        for b in range(lanes):
            t0 += u[b] * values[i0, b]
            t1 += u[b] * values[i1, b]
            t2 += u[b] * values[i2, b]
            t3 += u[b] * values[i3, b]
        d_w[k] += t0
        d_w[k + 1] += t1
        d_w[k + 2] += t2
        d_w[k + 3] += t3
        k += 4
    while k < last:
        i0, t0 = index[k], zero
        for b in range(lanes):
            t0 += u[b] * values[i0, b]
        d_w[k] += t0
        k += 1


@kernel
def _clear(values, mask_TB, step):
    """Zero the lanes that the mask names at this step; an empty mask names none."""
    if mask_TB.size:
        for n in range(values.shape[0]):
            for b in range(values.shape[1]):
                if mask_TB[step, b]:
                    values[n, b] = 0


@kernel
def forward(mode, inputs, layers, row_start, source, w_Z, bias_R, constants, x_BTF, h_HB, t_TB,
            missing_TB, reset_TB, states_THB, saved_TSHB):  # fmt: skip
    """Fill states_THB, and saved_TSHB with what :func:`backward` needs."""
    lanes, steps, _ = x_BTF.shape
    units = h_HB.shape[0]
    time_gradient = saved_TSHB.shape[1] == SAVED
    v_VB = np.empty((inputs + units, lanes), x_BTF.dtype)
    u_RB = np.empty((4 * units, lanes), x_BTF.dtype)
    zero, one = w_Z.dtype.type(0), w_Z.dtype.type(1)
    for step in range(steps):
        t = t_TB[step]
        for b in range(lanes):
            for i in range(inputs):
                v_VB[i, b] = x_BTF[b, step, i]
        v_VB[inputs:] = h_HB if step == 0 else states_THB[step - 1]
        _clear(v_VB[inputs:], reset_TB, step)
        for layer in range(layers.shape[0]):
            start, stop, first_row = layers[layer]
            neurons = stop - start
            last_row = bias_R.shape[0]
            if layer + 1 < layers.shape[0]:
                last_row = layers[layer + 1, 2]
            for r in range(first_row, last_row):
                u = u_RB[r - first_row]
                u[:] = bias_R[r]
                _accumulate(u, w_Z, row_start[r], row_start[r + 1], source, v_VB, lanes)
            for n in range(neurons):
                h = v_VB[inputs + start + n]
                s0, s1 = saved_TSHB[step, 0, start + n], saved_TSHB[step, 1, start + n]
                s2, s3 = saved_TSHB[step, 2, start + n], saved_TSHB[step, -1, start + n]
                c0, c1 = constants[0, start + n], constants[1, start + n]
                u0 = u_RB[n]
                if mode in (LEAKY, PURE):
                    s0[:] = u0
                else:
                    for b in range(lanes):
                        s0[b] = tanh(u0[b])
                if mode == PURE:
                    for b in range(lanes):
                        s2[b] = exp(-t[b] * (c0 + abs(u0[b])))
                    for b in range(lanes):
                        h[b] = c1 - c1 * s2[b] * s0[b]
                elif mode in (DEFAULT, NO_GATE):
                    u1, u2, u3 = u_RB[neurons + n], u_RB[2 * neurons + n], u_RB[3 * neurons + n]
                    keep = one if mode == DEFAULT else zero
                    if time_gradient:
                        s3[:] = u2
                    for b in range(lanes):
                        s1[b] = tanh(u1[b])
                    for b in range(lanes):
                        s2[b] = sigmoid(u2[b] * t[b] + u3[b])
                    for b in range(lanes):
                        h[b] = s0[b] + s2[b] * (s1[b] - keep * s0[b])
                else:
                    if mode == CLOSED:
                        u1 = u_RB[neurons + n]
                        for b in range(lanes):
                            s1[b] = sigmoid(u1[b])
                        for b in range(lanes):
                            s2[b] = exp(-t[b] * (c0 + c1 * s1[b]))
                    else:
                        for b in range(lanes):
                            s2[b] = exp(-t[b] * c0)
                    for b in range(lanes):
                        h[b] = s0[b] + (h[b] - s0[b]) * s2[b]
        states_THB[step] = v_VB[inputs:]
        if missing_TB.size:
            for n in range(units):
                for b in range(lanes):
                    if missing_TB[step, b]:
                        old = h_HB[n, b] if step == 0 else states_THB[step - 1, n, b]
                        reset = reset_TB.size > 0 and reset_TB[step, b]
                        states_THB[step, n, b] = zero if reset else old


@kernel
def backward(mode, inputs, layers, row_start, source, column_start, by_column, row_by_column,
             w_Z, bias_R, constants, x_BTF, h_HB, t_TB, missing_TB, reset_TB, states_THB,
             saved_TSHB, grad_TOB, grad_HB, d_x_BTF):  # fmt: skip
    """Gradients of w_Z, bias_R, constants, h_HB and t_TB; fills d_x_BTF unless it is empty.

    grad_TOB: of the output, i.e. of the last neurons; grad_HB: of the last state.
    """
    lanes, steps, _ = x_BTF.shape
    units, outputs = h_HB.shape[0], grad_TOB.shape[1]
    dtype = w_Z.dtype
    zero, one = dtype.type(0), dtype.type(1)
    d_w, d_bias, d_constants = np.zeros_like(w_Z), np.zeros_like(bias_R), np.zeros_like(constants)
    d_t = np.zeros_like(t_TB)
    time_gradient = saved_TSHB.shape[1] == SAVED
    old_HB = np.empty_like(h_HB)
    v_VB = np.empty((inputs + units, lanes), dtype)  # sources as a layer saw them
    d_v = np.empty((inputs + units, lanes), dtype)
    d_u = np.empty((4 * units, lanes), dtype)
    d_state = grad_HB.copy()
    d_exponent = np.empty(lanes, dtype)
    w_by_column = w_Z[by_column]
    for step in range(steps - 1, -1, -1):
        t, dt = t_TB[step], d_t[step]
        for b in range(lanes):
            for i in range(inputs):
                v_VB[i, b] = x_BTF[b, step, i]
        d_v[:inputs] = zero
        d_state[units - outputs :] += grad_TOB[step]
        old_HB[:] = h_HB if step == 0 else states_THB[step - 1]
        _clear(old_HB, reset_TB, step)
        v_VB[inputs:] = states_THB[step]  # fresh, until its layer is done
        d_v[inputs:] = d_state
        _clear(d_v[inputs:], missing_TB, step)
        d_state -= d_v[inputs:]  # what remains is the gradient of states that were held
        for layer in range(layers.shape[0] - 1, -1, -1):
            start, stop, first_row = layers[layer]
            neurons = stop - start
            last_row = bias_R.shape[0]
            if layer + 1 < layers.shape[0]:
                last_row = layers[layer + 1, 2]
            for n in range(neurons):
                d = d_v[inputs + start + n]
                h, d_h = old_HB[start + n], d_state[start + n]
                s0, s1 = saved_TSHB[step, 0, start + n], saved_TSHB[step, 1, start + n]
                s2, s3 = saved_TSHB[step, 2, start + n], saved_TSHB[step, -1, start + n]
                c0, c1 = constants[0, start + n], constants[1, start + n]
                d_c0, d_c1 = zero, zero
                u0 = d_u[n]
                if mode in (DEFAULT, NO_GATE):
                    u1, u2, u3 = d_u[neurons + n], d_u[2 * neurons + n], d_u[3 * neurons + n]
                    keep = one if mode == DEFAULT else zero
                    for b in range(lanes):
                        u3[b] = d[b] * (s1[b] - keep * s0[b]) * s2[b] * (one - s2[b])
                    for b in range(lanes):
                        u0[b] = d[b] * (one - keep * s2[b]) * (one - s0[b] * s0[b])
                    for b in range(lanes):
                        u1[b] = d[b] * s2[b] * (one - s1[b] * s1[b])
                    for b in range(lanes):
                        u2[b] = u3[b] * t[b]
                    if time_gradient:
                        for b in range(lanes):
                            dt[b] += u3[b] * s3[b]
                elif mode == PURE:
                    for b in range(lanes):
                        d_exponent[b] = d[b] * c1 * s0[b] * s2[b]
                    for b in range(lanes):
                        dt[b] += d_exponent[b] * (c0 + abs(s0[b]))
                    for b in range(lanes):
                        d_c0 += d_exponent[b] * t[b]
                        d_c1 += d[b] * (one - s2[b] * s0[b])
                    for b in range(lanes):
                        sign = one if s0[b] > zero else (-one if s0[b] < zero else zero)
                        u0[b] = d_exponent[b] * t[b] * sign - d[b] * c1 * s2[b]
                else:
                    for b in range(lanes):
                        d_exponent[b] = -d[b] * (h[b] - s0[b]) * s2[b]
                    for b in range(lanes):
                        d_h[b] += d[b] * s2[b]
                    slope = zero if mode == LEAKY else one
                    for b in range(lanes):
                        u0[b] = d[b] * (one - s2[b]) * (one - slope * s0[b] * s0[b])
                    for b in range(lanes):
                        d_c0 += d_exponent[b] * t[b]
                    if mode == CLOSED:
                        u1 = d_u[neurons + n]
                        for b in range(lanes):
                            dt[b] += d_exponent[b] * (c0 + c1 * s1[b])
                        for b in range(lanes):
                            d_c1 += d_exponent[b] * t[b] * s1[b]
                        for b in range(lanes):
                            u1[b] = d_exponent[b] * t[b] * c1 * s1[b] * (one - s1[b])
                    else:
                        for b in range(lanes):
                            dt[b] += d_exponent[b] * c0
                d_constants[0, start + n] += d_c0
                d_constants[1, start + n] += d_c1
                # before this layer's update its own neurons were old, and so seen by it
                v_VB[inputs + start + n] = h
            for r in range(first_row, last_row):
                u = d_u[r - first_row]
                total = zero
                for b in range(lanes):
                    total += u[b]
                d_bias[r] += total
                _add_products(d_w, u, row_start[r], row_start[r + 1], source, v_VB, lanes)
            for s in range(inputs + units):
                first, last = column_start[layer, s], column_start[layer, s + 1]
                if s >= inputs + start:  # this layer and those after it: an old state
                    target = d_state[s - inputs]
                else:
                    target = d_v[s]
                _accumulate(target, w_by_column, first, last, row_by_column, d_u, lanes)
        if d_x_BTF.size:
            for b in range(lanes):
                for i in range(inputs):
                    d_x_BTF[b, step, i] = d_v[i, b]
        _clear(d_state, reset_TB, step)
    return d_w, d_bias, d_constants, d_state, d_t


class CfCSequence(torch.autograd.Function):
    """(output_TOB, last state_HB) of a sequence; masks and structure carry no gradient."""

    @staticmethod
    def forward(ctx, structure, outputs, missing, reset, w_Z, bias_R, constants, x_BTF, h_HB, t_TB):
        lanes, steps, _ = x_BTF.shape
        units = h_HB.shape[0]
        values = [v.detach().numpy() for v in (w_Z, bias_R, constants, x_BTF, h_HB, t_TB)]
        states = Scratch((steps, units, lanes), values[0].dtype)
        time_gradient = ctx.needs_input_grad[9]
        saved = Scratch((steps, SAVED - (not time_gradient), units, lanes), values[0].dtype)
        forward(
            structure.mode, structure.inputs, structure.layers, structure.row_start,
            structure.source, *values, missing, reset, states.array, saved.array,
        )  # fmt: skip
        ctx.structure, ctx.scratch = structure, (states, saved)
        ctx.kept = (*values, missing, reset, states.array, saved.array)
        return (
            torch.from_numpy(states.array[:, units - outputs :].copy()),
            torch.from_numpy(states.array[-1].copy()),
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_TOB: Tensor, grad_HB: Tensor):
        structure = ctx.structure
        x_BTF = ctx.kept[3]
        d_x = np.empty(x_BTF.shape if ctx.needs_input_grad[7] else (0, 0, 0), x_BTF.dtype)
        *weights, d_h, d_t = backward(
            structure.mode, structure.inputs, structure.layers, structure.row_start,
            structure.source, structure.column_start, structure.by_column,
            structure.row_by_column, *ctx.kept, grad_TOB.contiguous().numpy(),
            grad_HB.contiguous().numpy(), d_x,
        )  # fmt: skip
        weights = [torch.from_numpy(value) for value in weights]
        d_x = torch.from_numpy(d_x) if ctx.needs_input_grad[7] else None
        return (None,) * 4 + (*weights, d_x, torch.from_numpy(d_h), torch.from_numpy(d_t))
