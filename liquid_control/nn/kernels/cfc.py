"""A wired closed-form cell over whole sequences, forward and backward, in two compiled loops.

A block of LANES samples is computed from the first step to the last before the next one, in rows
of one value a lane. ``synapses`` tells what the rows of a step's sources are; the gradient of each
has the same row in ``d_sources``. A neuron has two or four heads (one head has a partner without
weight), each a weighted sum over the same synapses; missing ones are not stored and cost nothing.
Gradients are derived by hand and tested against autograd.

Shapes: K blocks, T time, B batch, L lanes, F inputs, H neurons, V sources, Z synapses, S heads,
O outputs, C steps of a chunk.
"""

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.kernels.calls import Scratch, blocks_of, refuse_second_derivatives
from liquid_control.nn.kernels.simd import (
    LANES,
    exp,
    goes_on,
    inlined,
    kernel,
    load,
    select,
    sigmoid,
    sign,
    size,
    store,
    tanh,
    total,
    zeros,
)  # fmt: skip
from liquid_control.nn.kernels.synapses import INPUT, TIME

CLOSED, CTRNN, LEAKY, DEFAULT, NO_GATE, PURE = range(6)
MODES = ("closed", "ctrnn", "leaky", "default", "no_gate", "pure")
SAVED = 4  # values a neuron and step that the backward pass needs again
CACHE = 2**19  # bytes of sources that the pass over the weights' gradients reads again and again


@inlined
def _sums(w_ZS, first, last, source, sources_VL):
    """Sum over the synapses of w*source for each head; of two heads both twice."""
    a, b = zeros(sources_VL), zeros(sources_VL)
    if w_ZS.shape[1] == 2:
        for z in range(first, last):
            value = load(sources_VL, (source[z], 0))
            a, b = a + w_ZS[z, 0] * value, b + w_ZS[z, 1] * value
        return a, b, a, b
    c, d = zeros(sources_VL), zeros(sources_VL)
    for z in range(first, last):
        value = load(sources_VL, (source[z], 0))
        a, b = a + w_ZS[z, 0] * value, b + w_ZS[z, 1] * value
        c, d = c + w_ZS[z, 2] * value, d + w_ZS[z, 3] * value
    return a, b, c, d


@inlined
def _add_to_sources(w_ZS, first, last, source, d_a, d_b, d_c, d_d, d_sources_VL):
    """Backward of :func:`_sums` for the sources."""
    if w_ZS.shape[1] == 4:
        for z in range(first, last):
            row = (source[z], 0)
            one_two = w_ZS[z, 0] * d_a + w_ZS[z, 1] * d_b
            three_four = w_ZS[z, 2] * d_c + w_ZS[z, 3] * d_d
            store(load(d_sources_VL, row) + one_two + three_four, d_sources_VL, row)
    else:
        for z in range(first, last):
            row = (source[z], 0)
            one_two = w_ZS[z, 0] * d_a + w_ZS[z, 1] * d_b
            store(load(d_sources_VL, row) + one_two, d_sources_VL, row)


@kernel
def _add_to_weights(start, source, sources_TVL, first_step, steps, d_u_HCSL, d_w_ZS):
    """Backward of :func:`_sums` for the weights, over some steps."""
    for n in range(start.size - 1):
        for z in range(start[n], start[n + 1]):
            for head in range(0, d_w_ZS.shape[1], 2):
                a, b = zeros(sources_TVL), zeros(sources_TVL)
                for k in range(steps):
                    value = load(sources_TVL, (first_step + k, source[z], 0))
                    a = a + load(d_u_HCSL, (n, k, head, 0)) * value
                    b = b + load(d_u_HCSL, (n, k, head + 1, 0)) * value
                d_w_ZS[z, head] += total(a)
                d_w_ZS[z, head + 1] += total(b)


@inlined
def _update(mode, u0, u1, u2, u3, t, h, c0, c1):
    """The fresh state, and what the backward pass needs."""
    if mode in (DEFAULT, NO_GATE):
        f1, f2, s = tanh(u0), tanh(u1), sigmoid(u2 * t + u3)
        keep = 1.0 if mode == DEFAULT else 0.0
        return f1 + s * (f2 - keep * f1), f1, f2, s, u2
    if mode == PURE:
        decay = exp(0.0 - t * (c0 + size(u0)))
        return c1 - c1 * decay * u0, u0, u1, decay, u3
    target = u0 if mode == LEAKY else tanh(u0)
    s = sigmoid(u1) if mode == CLOSED else u1
    decay = exp(0.0 - t * (c0 + c1 * s))
    state = h + (target - h) * (1.0 - decay) if mode == LEAKY else target + (h - target) * decay
    return state, target, s, decay, u3


@inlined
def _update_gradient(mode, d, s0, s1, s2, s3, t, h, c0, c1):
    """Backward of :func:`_update`: gradients of u0, u1, u2, u3, t, h, c0 and c1."""
    zero = d - d
    if mode in (DEFAULT, NO_GATE):
        keep = 1.0 if mode == DEFAULT else 0.0
        d_gate = d * (s1 - keep * s0) * s2 * (1.0 - s2)
        d_f1, d_f2 = d * (1.0 - keep * s2), d * s2
        d_u0, d_u1 = d_f1 * (1.0 - s0 * s0), d_f2 * (1.0 - s1 * s1)
        return d_u0, d_u1, d_gate * t, d_gate, d_gate * s3, zero, zero, zero
    if mode == PURE:
        d_exponent = d * c1 * s0 * s2
        d_u0 = d_exponent * t * sign(s0) - d * c1 * s2
        return (
            d_u0,
            zero,
            zero,
            zero,
            d_exponent * (c0 + size(s0)),
            zero,
            d_exponent * t,
            d * (1.0 - s2 * s0),
        )
    d_exponent = (s0 - h) * d * s2
    d_c0 = d_exponent * t
    slope = 0.0 if mode == LEAKY else 1.0
    d_u0 = d * (1.0 - s2) * (1.0 - slope * s0 * s0)
    d_u1 = d_c0 * c1 * s1 * (1.0 - s1)
    return d_u0, d_u1, zero, zero, d_exponent * (c0 + c1 * s1), d * s2, d_c0, d_c0 * s1


@kernel
def forward(mode, start, source, w_ZS, constants, rate, x_BTF, h_BH, dt_BT, missing_TB, reset_TB,
            sources_KTVL, saved_KTHSL, output_BTO, last_BH):  # fmt: skip
    """Fill the last four; constants: (2, H).

    sources and saved hold all steps, or the last few in turn.
    """
    batch, steps, inputs = x_BTF.shape
    units, outputs = h_BH.shape[1], output_BTO.shape[2]
    kept = sources_KTVL.shape[1]
    old, fresh = INPUT + inputs, INPUT + inputs + units
    for block in range(sources_KTVL.shape[0]):
        lane = block * LANES
        lanes = min(LANES, batch - lane)
        for step in range(steps):
            rows, last = sources_KTVL[block, step % kept], sources_KTVL[block, (step - 1) % kept]
            saved = saved_KTHSL[block, step % kept]
            rows[0] = 1
            if lanes < LANES:
                rows[TIME:old] = 0
            for b in range(lanes):
                rows[TIME, b] = dt_BT[lane + b, step] * rate
                if goes_on(missing_TB, reset_TB, step, lane + b):
                    rows[TIME, b] += last[TIME, b]
                for i in range(inputs):
                    rows[INPUT + i, b] = x_BTF[lane + b, step, i]
            if step == 0:
                if lanes < LANES:
                    rows[old:fresh] = 0
                for b in range(lanes):
                    for n in range(units):
                        rows[old + n, b] = h_BH[lane + b, n]
            else:
                for n in range(units):
                    state = load(last, (fresh + n, 0))
                    if missing_TB.size:
                        state = select(
                            missing_TB, (step - 1, lane), load(last, (old + n, 0)), state
                        )
                    store(state, rows, (old + n, 0))
            if reset_TB.size:
                for n in range(units):
                    state = load(rows, (old + n, 0))
                    store(select(reset_TB, (step, lane), 0.0, state), rows, (old + n, 0))
            t = load(rows, (TIME, 0))
            for n in range(units):
                u0, u1, u2, u3 = _sums(w_ZS, start[n], start[n + 1], source, rows)
                h = load(rows, (old + n, 0))
                state, s0, s1, s2, s3 = _update(
                    mode, u0, u1, u2, u3, t, h, constants[0, n], constants[1, n]
                )
                store(state, rows, (fresh + n, 0))
                for k, value in enumerate((s0, s1, s2, s3)):
                    store(value, saved, (n, k, 0))
            for b in range(lanes):
                held = missing_TB.size > 0 and missing_TB[step, lane + b]
                state_row = old if held else fresh
                for o in range(outputs):
                    output_BTO[lane + b, step, o] = rows[state_row + units - outputs + o, b]
                if step == steps - 1:
                    for n in range(units):
                        last_BH[lane + b, n] = rows[state_row + n, b]


@kernel
def backward(mode, start, source, w_ZS, constants, rate, missing_TB, reset_TB, sources_KTVL,
             saved_KTHSL, grad_BTO, grad_BH, d_sources_VL, d_u_HCSL, d_w_ZS, d_constants, d_x_BTF,
             d_h_BH, d_dt_BT):  # fmt: skip
    """Fill the last five; d_sources_VL and d_u_HCSL are room to work in.

    grad_BTO: gradient of the output; grad_BH: of the last state.
    """
    batch, units = grad_BH.shape
    steps, outputs = grad_BTO.shape[1:]
    inputs = sources_KTVL.shape[2] - 2 * units - INPUT
    old, fresh = INPUT + inputs, INPUT + inputs + units
    chunk = d_u_HCSL.shape[1]
    d_w_ZS[:] = 0
    d_constants[:] = 0
    d_constants_HL = np.zeros((2, units, LANES), w_ZS.dtype)
    for block in range(sources_KTVL.shape[0]):
        lane = block * LANES
        lanes = min(LANES, batch - lane)
        d_sources_VL[:] = 0
        for b in range(lanes):
            for n in range(units):
                d_sources_VL[old + n, b] = grad_BH[lane + b, n]
        for step in range(steps - 1, -1, -1):
            rows = sources_KTVL[block, step]
            d_sources_VL[0] = 0
            d_sources_VL[INPUT:old] = 0
            for b in range(LANES):
                if not (step + 1 < steps and goes_on(missing_TB, reset_TB, step + 1, lane + b)):
                    d_sources_VL[TIME, b] = 0
            for b in range(lanes):
                for o in range(outputs):
                    d_sources_VL[old + units - outputs + o, b] += grad_BTO[lane + b, step, o]
            for n in range(units):
                d_state = load(d_sources_VL, (old + n, 0))
                d_held = d_state - d_state
                if missing_TB.size:
                    d_held = select(missing_TB, (step, lane), d_state, 0.0)
                    d_state = select(missing_TB, (step, lane), 0.0, d_state)
                store(d_state, d_sources_VL, (fresh + n, 0))
                store(d_held, d_sources_VL, (old + n, 0))
            t = load(rows, (TIME, 0))
            for n in range(units - 1, -1, -1):
                first, last = start[n], start[n + 1]
                saved = saved_KTHSL[block, step, n]
                d = load(d_sources_VL, (fresh + n, 0))
                s0, s1 = load(saved, (0, 0)), load(saved, (1, 0))
                s2, s3 = load(saved, (2, 0)), load(saved, (3, 0))
                h, c0, c1 = load(rows, (old + n, 0)), constants[0, n], constants[1, n]
                d_u0, d_u1, d_u2, d_u3, d_t, d_h, d_c0, d_c1 = _update_gradient(
                    mode, d, s0, s1, s2, s3, t, h, c0, c1
                )
                store(load(d_sources_VL, (TIME, 0)) + d_t, d_sources_VL, (TIME, 0))
                if mode not in (DEFAULT, NO_GATE):
                    store(load(d_sources_VL, (old + n, 0)) + d_h, d_sources_VL, (old + n, 0))
                    for k, value in enumerate((d_c0, d_c1)):
                        store(load(d_constants_HL, (k, n, 0)) + value, d_constants_HL, (k, n, 0))
                d_u = d_u_HCSL[n, step % chunk]
                for k, value in enumerate((d_u0, d_u1, d_u2, d_u3)):
                    if k < d_u.shape[0]:
                        store(value, d_u, (k, 0))
                _add_to_sources(w_ZS, first, last, source, d_u0, d_u1, d_u2, d_u3, d_sources_VL)
            if step % chunk == 0:
                count = min(chunk, steps - step)
                _add_to_weights(start, source, sources_KTVL[block], step, count, d_u_HCSL, d_w_ZS)
            if reset_TB.size:
                for n in range(units):
                    d_old = load(d_sources_VL, (old + n, 0))
                    store(select(reset_TB, (step, lane), 0.0, d_old), d_sources_VL, (old + n, 0))
            for b in range(lanes):
                d_dt_BT[lane + b, step] = d_sources_VL[TIME, b] * rate
                if d_x_BTF.size:
                    for i in range(inputs):
                        d_x_BTF[lane + b, step, i] = d_sources_VL[INPUT + i, b]
        for b in range(lanes):
            for n in range(units):
                d_h_BH[lane + b, n] = d_sources_VL[old + n, b]
    for k in range(2):
        for n in range(units):
            d_constants[k, n] = total(load(d_constants_HL, (k, n, 0)))


class CfCSequence(torch.autograd.Function):
    """(output_BTO, last state_BH) of a sequence; masks and synapses carry no gradient."""

    @staticmethod
    def forward(
        ctx,
        mode,
        synapses,
        outputs,
        kept,
        nominal_dt,
        missing,
        reset,
        constants,
        x_BTF,
        h_BH,
        dt_BT1,
        *parameters,
    ):
        (batch, steps, inputs), units = x_BTF.shape, h_BH.shape[1]
        given = [value.detach().numpy() for value in (constants, x_BTF, h_BH, dt_BT1[:, :, 0])]
        constants, dtype = given[0], given[0].dtype
        # one more, without weight, for heads without the synapse
        flat = np.concatenate([p.detach().numpy().ravel() for p in parameters] + [[0.0]])
        p_ZS = flat.astype(dtype)[synapses.parameter]
        w_ZS = (np.abs(p_ZS) * synapses.sign + p_ZS * synapses.free).astype(dtype)
        blocks = blocks_of(batch)
        sources = Scratch((blocks, kept, INPUT + inputs + 2 * units, LANES), dtype)
        saved = Scratch((blocks, kept, units, SAVED, LANES), dtype)
        output = torch.empty(batch, steps, outputs, dtype=x_BTF.dtype)
        last = torch.empty(batch, units, dtype=x_BTF.dtype)
        shared = MODES.index(mode), synapses.start, synapses.source, w_ZS, constants, 1 / nominal_dt
        forward(*shared, *given[1:], missing, reset, sources.array, saved.array, output.numpy(),
                last.numpy())  # fmt: skip
        ctx.synapses, ctx.shared, ctx.shapes = synapses, shared, [p.shape for p in parameters]
        ctx.p_ZS, ctx.masks, ctx.sources, ctx.saved = p_ZS, (missing, reset), sources, saved
        return output, last

    @staticmethod
    def backward(ctx, grad_BTO: Tensor, grad_BH: Tensor):
        refuse_second_derivatives()
        synapses, sources = ctx.synapses, ctx.sources.array
        _, steps, width, _ = sources.shape
        (batch, units), dtype = grad_BH.shape, sources.dtype
        inputs = width - 2 * units - INPUT
        chunk = min(16, steps, max(1, CACHE // (width * LANES * dtype.itemsize)))
        d_sources = Scratch((width, LANES), dtype)
        d_u = Scratch((units, chunk, synapses.parameter.shape[1], LANES), dtype)
        d_w, d_constants = np.empty_like(ctx.shared[3]), np.empty((2, units), dtype)
        wants_input = ctx.needs_input_grad[8]
        d_x = np.empty((batch, steps, inputs) if wants_input else (0, 0, 0), dtype)
        d_h, d_dt = np.empty((batch, units), dtype), np.empty((batch, steps), dtype)
        backward(*ctx.shared, *ctx.masks, sources, ctx.saved.array, grad_BTO.contiguous().numpy(),
                 grad_BH.contiguous().numpy(), d_sources.array, d_u.array, d_w, d_constants, d_x,
                 d_h, d_dt)  # fmt: skip
        sizes = [shape.numel() for shape in ctx.shapes]
        d_flat = np.zeros(sum(sizes) + 1, dtype)
        d_flat[synapses.parameter] = d_w * (np.sign(ctx.p_ZS) * synapses.sign + synapses.free)
        d_flat = torch.from_numpy(d_flat[:-1]).split(sizes)
        d_parameters = [d.view(shape) for d, shape in zip(d_flat, ctx.shapes)]
        return (
            *(None,) * 7,
            torch.from_numpy(d_constants),
            torch.from_numpy(d_x) if wants_input else None,
            torch.from_numpy(d_h),
            torch.from_numpy(d_dt)[:, :, None],
            *d_parameters,
        )
