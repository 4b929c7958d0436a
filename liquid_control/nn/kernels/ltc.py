"""The LTC's fused solver over whole sequences, forward and backward, in two compiled loops.

As in ``kernel_cfc`` a block of LANES samples is computed at a time, in rows of one value a lane,
and only synapses that exist are computed. The backward pass keeps the state of every substep and
computes the synapses again, which is cheaper than storing them.

A synapse set is (start, source, values): synapses of neuron n are start[n] : start[n + 1], and
values (4, Z) holds the rows w, w E, sigma, sigma mu.

Shapes: K blocks, T time, U substeps, B batch, L lanes, F inputs, N neurons, Z synapses, O outputs.
"""

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.kernels.calls import LONGEST, Scratch, blocks_of, refuse_second_derivatives
from liquid_control.nn.kernels.compile import inlined, kernel
from liquid_control.nn.kernels.functions import sigmoid
from liquid_control.nn.kernels.simd import LANES, goes_on, load, select, splat, store, total


@inlined
def _drive(n, start, source, synapses, y_VL, s_ZL, current, conductance):
    """The current sum(w s E) and conductance sum(w s) of neuron n added; keeps each s in s_ZL."""
    for z in range(start[n], start[n + 1]):
        s = sigmoid(synapses[2, z] * load(y_VL, (source[z], 0)) - synapses[3, z])
        store(s, s_ZL, (z, 0))
        current = current + synapses[1, z] * s
        conductance = conductance + synapses[0, z] * s
    return current, conductance


@inlined
def _drive_gradient(n, start, source, synapses, y_VL, s_ZL, d_i, d_g, d_synapses, d_y_VL):
    """Backward of :func:`_drive`; adds to d_synapses and d_y_VL."""
    for z in range(start[n], start[n + 1]):
        row = (source[z], 0)
        s, y = load(s_ZL, (z, 0)), load(y_VL, row)
        q = (d_i * synapses[1, z] + d_g * synapses[0, z]) * s * (1.0 - s)
        store(load(d_y_VL, row) + q * synapses[2, z], d_y_VL, row)
        d_synapses[0, z] += total(d_g * s)
        d_synapses[1, z] += total(d_i * s)
        d_synapses[2, z] += total(q * y)
        d_synapses[3, z] -= total(q)


@kernel
def forward(sensory_start, sensory_source, sensory, neural_start, neural_source, neural, neurons,
            rate, x_BTF, v_BN, dt_BT, missing_TB, reset_TB, x_KTFL, d_KTL, substates_KTUNL, held_NL,
            s_ZL, output_BTO, last_BN):  # fmt: skip
    """Fill x, d and the states in blocks, output_BTO and last_BN; held_NL, s_ZL are room to work.

    substates_KTUNL: [k, t, 0] is the state before step t, [k, t, u] that after u substeps; all
        steps, or the last few in turn, as x and d.
    neurons: (3, N) g, g l, c; rate: substeps' duration is d = rate*dt, at most LONGEST.
    """
    batch, steps, inputs = x_BTF.shape
    units, outputs = v_BN.shape[1], output_BTO.shape[2]
    kept, unfolds = substates_KTUNL.shape[1], substates_KTUNL.shape[2] - 1
    for block in range(substates_KTUNL.shape[0]):
        lane = block * LANES
        lanes = min(LANES, batch - lane)
        if lanes < LANES:
            x_KTFL[block] = 0
            d_KTL[block] = 1  # some time, lest an empty lane divide by a zero capacitance
            substates_KTUNL[block, 0, 0] = 0
        for b in range(lanes):
            for n in range(units):
                substates_KTUNL[block, 0, 0, n, b] = v_BN[lane + b, n]
        for step in range(steps):
            row, last = step % kept, (step - 1) % kept
            x_FL, before = x_KTFL[block, row], substates_KTUNL[block, row, 0]
            for b in range(lanes):
                time = dt_BT[lane + b, step] * rate
                if goes_on(missing_TB, reset_TB, step, lane + b):
                    time += d_KTL[block, last, b]
                d_KTL[block, row, b] = LONGEST if time > LONGEST else time
                for i in range(inputs):
                    x_FL[i, b] = x_BTF[lane + b, step, i]
            for n in range(units):
                if step > 0:
                    store(load(substates_KTUNL, (block, last, unfolds, n, 0)), before, (n, 0))
                if reset_TB.size:
                    cleared = select(reset_TB, (step, lane), 0.0, load(before, (n, 0)))
                    store(cleared, before, (n, 0))
                i_L, g_L = _drive(
                    n, sensory_start, sensory_source, sensory, x_FL, s_ZL,
                    splat(neurons[1, n]), splat(neurons[0, n]),
                )  # fmt: skip
                store(i_L, held_NL, (0, n, 0))
                store(g_L, held_NL, (1, n, 0))
            d = load(d_KTL, (block, row, 0))
            for u in range(unfolds):
                old, new = substates_KTUNL[block, row, u], substates_KTUNL[block, row, u + 1]
                for n in range(units):
                    i_L, g_L = _drive(
                        n, neural_start, neural_source, neural, old, s_ZL,
                        load(held_NL, (0, n, 0)), load(held_NL, (1, n, 0)),
                    )  # fmt: skip
                    c = neurons[2, n]
                    store((c * load(old, (n, 0)) + d * i_L) / (c + d * g_L), new, (n, 0))
            after = substates_KTUNL[block, row, unfolds]
            if missing_TB.size:
                for n in range(units):
                    old_L, new_L = load(before, (n, 0)), load(after, (n, 0))
                    store(select(missing_TB, (step, lane), old_L, new_L), after, (n, 0))
            for b in range(lanes):
                for o in range(outputs):
                    output_BTO[lane + b, step, o] = after[units - outputs + o, b]
                if step == steps - 1:
                    for n in range(units):
                        last_BN[lane + b, n] = after[n, b]


@kernel
def backward(sensory_start, sensory_source, sensory, neural_start, neural_source, neural, neurons,
             rate, missing_TB, reset_TB, x_KTFL, d_KTL, substates_KTUNL, grad_BTO, grad_BN, room,
             s_sensory, s_neural, d_sensory, d_neural, d_neurons, d_x_BTF, d_v_BN,
             d_dt_BT):  # fmt: skip
    """Fill the last six, d_x_BTF unless it is empty; room (9, max(N, F), L) is to work in.

    grad_BTO: gradient of the motor states; grad_BN: of the last state.
    """
    batch, units = grad_BN.shape
    steps, outputs = grad_BTO.shape[1:]
    inputs, unfolds = x_KTFL.shape[2], substates_KTUNL.shape[2] - 1
    d_v, d_old, d_kept, d_x = room[0], room[1], room[2], room[3]
    held, d_held, d_time = room[4:6], room[6:8], room[8]
    d_sensory[:] = 0
    d_neural[:] = 0
    d_neurons[:] = 0
    for block in range(x_KTFL.shape[0]):
        lane = block * LANES
        lanes = min(LANES, batch - lane)
        d_v[:] = 0
        for b in range(lanes):
            for n in range(units):
                d_v[n, b] = grad_BN[lane + b, n]
        for step in range(steps - 1, -1, -1):
            x_FL, d = x_KTFL[block, step], load(d_KTL, (block, step, 0))
            for b in range(LANES):
                if not (step + 1 < steps and goes_on(missing_TB, reset_TB, step + 1, lane + b)):
                    d_time[0, b] = 0
            for b in range(lanes):
                for o in range(outputs):
                    d_v[units - outputs + o, b] += grad_BTO[lane + b, step, o]
            d_held[:] = 0
            d_x[:] = 0
            for n in range(units):
                if missing_TB.size:
                    d_after = load(d_v, (n, 0))
                    store(select(missing_TB, (step, lane), d_after, 0.0), d_kept, (n, 0))
                    store(select(missing_TB, (step, lane), 0.0, d_after), d_v, (n, 0))
                i_L, g_L = _drive(
                    n, sensory_start, sensory_source, sensory, x_FL, s_sensory,
                    splat(neurons[1, n]), splat(neurons[0, n]),
                )  # fmt: skip
                store(i_L, held, (0, n, 0))
                store(g_L, held, (1, n, 0))
            d_d = load(d_time, (0, 0))
            for u in range(unfolds - 1, -1, -1):
                old = substates_KTUNL[block, step, u]
                d_old[:] = 0
                for n in range(units):
                    i_L, g_L = _drive(
                        n, neural_start, neural_source, neural, old, s_neural,
                        load(held, (0, n, 0)), load(held, (1, n, 0)),
                    )  # fmt: skip
                    c, v = neurons[2, n], load(old, (n, 0))
                    # new = (c v + d i)/(c + d g) =: top/bottom
                    d_top = load(d_v, (n, 0)) / (c + d * g_L)
                    d_bottom = 0.0 - d_top * load(substates_KTUNL, (block, step, u + 1, n, 0))
                    d_neurons[2, n] += total(d_top * v + d_bottom)
                    d_d = d_d + d_top * i_L + d_bottom * g_L
                    d_i, d_g = d_top * d, d_bottom * d
                    store(load(d_held, (0, n, 0)) + d_i, d_held, (0, n, 0))
                    store(load(d_held, (1, n, 0)) + d_g, d_held, (1, n, 0))
                    store(load(d_old, (n, 0)) + d_top * c, d_old, (n, 0))
                    _drive_gradient(
                        n, neural_start, neural_source, neural, old, s_neural, d_i, d_g, d_neural,
                        d_old,
                    )  # fmt: skip
                d_v[:] = d_old
            for n in range(units):
                d_i, d_g = load(d_held, (0, n, 0)), load(d_held, (1, n, 0))
                _drive_gradient(
                    n, sensory_start, sensory_source, sensory, x_FL, s_sensory, d_i, d_g, d_sensory,
                    d_x,
                )  # fmt: skip
                d_neurons[0, n] += total(d_g)
                d_neurons[1, n] += total(d_i)
                d_before = load(d_v, (n, 0))
                if missing_TB.size:
                    d_before = d_before + load(d_kept, (n, 0))
                if reset_TB.size:
                    d_before = select(reset_TB, (step, lane), 0.0, d_before)
                store(d_before, d_v, (n, 0))
            store(d_d, d_time, (0, 0))
            for b in range(lanes):
                d_dt_BT[lane + b, step] = d_time[0, b] * rate
                if d_x_BTF.size:
                    for i in range(inputs):
                        d_x_BTF[lane + b, step, i] = d_x[i, b]
        for b in range(lanes):
            for n in range(units):
                d_v_BN[lane + b, n] = d_v[n, b]


class LTCSequence(torch.autograd.Function):
    """(motor states_BTO, last state_BN) of a sequence; indices and masks carry no gradient."""

    @staticmethod
    def forward(
        ctx, indices, unfolds, outputs, kept, rate, missing, reset, sensory, neural, neurons, x_BTF,
        v_BN, dt_BT1,
    ):  # fmt: skip
        (batch, steps, inputs), units = x_BTF.shape, v_BN.shape[1]
        given = (sensory, neural, neurons, x_BTF, v_BN, dt_BT1[:, :, 0])
        sensory, neural, neurons, *moving = (value.detach().numpy() for value in given)
        dtype, blocks = sensory.dtype, blocks_of(batch)
        network = (*indices[:2], sensory, *indices[2:], neural, neurons, rate)
        x = Scratch((blocks, kept, inputs, LANES), dtype)
        d = Scratch((blocks, kept, LANES), dtype)
        substates = Scratch((blocks, kept, unfolds + 1, units, LANES), dtype)
        held = Scratch((2, units, LANES), dtype)
        s = Scratch((max(sensory.shape[1], neural.shape[1]), LANES), dtype)
        output = torch.empty(batch, steps, outputs, dtype=x_BTF.dtype)
        last = torch.empty(batch, units, dtype=x_BTF.dtype)
        forward(*network, *moving, missing, reset, x.array, d.array, substates.array, held.array,
                s.array, output.numpy(), last.numpy())  # fmt: skip
        ctx.network, ctx.masks, ctx.scratch = network, (missing, reset), (x, d, substates)
        return output, last

    @staticmethod
    def backward(ctx, grad_BTO: Tensor, grad_BN: Tensor):
        refuse_second_derivatives()
        x, d, substates = (scratch.array for scratch in ctx.scratch)
        sensory, neural, neurons = (ctx.network[k] for k in (2, 5, 6))
        dtype, (batch, steps, _), inputs = x.dtype, grad_BTO.shape, x.shape[2]
        room = Scratch((9, max(inputs, neurons.shape[1]), LANES), dtype)
        s_sensory = Scratch((sensory.shape[1], LANES), dtype)
        s_neural = Scratch((neural.shape[1], LANES), dtype)
        wants_input = ctx.needs_input_grad[10]
        d_network = [np.empty_like(values) for values in (sensory, neural, neurons)]
        d_x = np.empty((batch, steps, inputs) if wants_input else (0, 0, 0), dtype)
        d_v, d_dt = np.empty(grad_BN.shape, dtype), np.empty((batch, steps), dtype)
        backward(*ctx.network, *ctx.masks, x, d, substates, grad_BTO.contiguous().numpy(),
                 grad_BN.contiguous().numpy(), room.array, s_sensory.array, s_neural.array,
                 *d_network, d_x, d_v, d_dt)  # fmt: skip
        return (
            *(None,) * 7,
            *(torch.from_numpy(value) for value in d_network),
            torch.from_numpy(d_x) if wants_input else None,
            torch.from_numpy(d_v),
            torch.from_numpy(d_dt)[:, :, None],
        )
