"""The two loops of the LTC's fused solver over whole sequences, forward and backward.

As in ``cfc_loops`` a block of LANES samples is computed at a time, in rows of one value a lane,
and only synapses that exist are computed. The backward pass keeps the state of every substep and
computes the synapses again, which is cheaper than storing them.

A synapse set is (start, source, values): synapses of neuron n are start[n] : start[n + 1], and
values (4, Z) holds a row of each field of :class:`SynapseValues`; neurons (3, N) of each field of
:class:`NeuronValues`.

Shapes: K blocks, T time, U substeps, B batch, L lanes, F inputs, N neurons, Z synapses, O outputs.
"""

from typing import NamedTuple

import numpy as np

from liquid_control.nn.kernels.calls import LONGEST
from liquid_control.nn.kernels.compile import inlined, kernel
from liquid_control.nn.kernels.functions import sigmoid
from liquid_control.nn.kernels.gaps import goes_on, pass_time
from liquid_control.nn.kernels.simd import LANES, load, select, splat, store, total
from liquid_control.nn.kernels.synapses import NeuronValues, SynapseValues


class Room(NamedTuple):
    """What the backward pass works in: rows (N or F, L) of one array."""

    d_v: int
    d_old: int
    d_kept: int
    d_x: int
    held_current: int
    held_conductance: int
    d_current: int
    d_conductance: int
    d_time: int


def _rows(kind):
    """The place of each field's row."""
    return kind(*range(len(kind._fields)))


SYNAPSE, NEURON, ROOM = _rows(SynapseValues), _rows(NeuronValues), _rows(Room)
CURRENT, CONDUCTANCE, STATE = range(3)  # rows of what the inputs drive, and of the state


@inlined
def _drive(n, start, source, synapses, y_VL, s_ZL, current, conductance):
    """The current sum(w s E) and conductance sum(w s) of neuron n added; keeps each s in s_ZL."""
    for z in range(start[n], start[n + 1]):
        s = sigmoid(
            synapses[SYNAPSE.sigma, z] * load(y_VL, (source[z], 0)) - synapses[SYNAPSE.sigma_mu, z]
        )
        store(s, s_ZL, (z, 0))
        current = current + synapses[SYNAPSE.w_erev, z] * s
        conductance = conductance + synapses[SYNAPSE.w, z] * s
    return current, conductance


@inlined
def _drive_gradient(n, start, source, synapses, y_VL, s_ZL, d_i, d_g, d_synapses, d_y_VL):
    """Backward of :func:`_drive`; adds to d_synapses and d_y_VL."""
    for z in range(start[n], start[n + 1]):
        row = (source[z], 0)
        s, y = load(s_ZL, (z, 0)), load(y_VL, row)
        d_s = d_i * synapses[SYNAPSE.w_erev, z] + d_g * synapses[SYNAPSE.w, z]
        q = d_s * s * (1.0 - s)
        store(load(d_y_VL, row) + q * synapses[SYNAPSE.sigma, z], d_y_VL, row)
        d_synapses[SYNAPSE.w, z] += total(d_g * s)
        d_synapses[SYNAPSE.w_erev, z] += total(d_i * s)
        d_synapses[SYNAPSE.sigma, z] += total(q * y)
        d_synapses[SYNAPSE.sigma_mu, z] -= total(q)


@kernel
def forward(sensory_start, sensory_source, sensory, neural_start, neural_source, neural, neurons,
            rate, x_BTF, v_BN, dt_BT, missing_TB, reset_TB, x_KTFL, d_KTL, substates_KTUNL, held_NL,
            s_ZL, output_BTO, last_BN):  # fmt: skip
    """Fill x, d and the states in blocks, output_BTO and last_BN; held_NL, s_ZL are room to work.

    substates_KTUNL: [k, t, 0] is the state before step t, [k, t, u] that after u substeps; all
        steps, or the last few in turn, as x and d. Of a missing sample: a step from rest.
    rate: substeps' duration is d = rate*dt, at most LONGEST.
    """
    batch, steps, inputs = x_BTF.shape
    units, outputs = v_BN.shape[1], output_BTO.shape[2]
    kept, unfolds = substates_KTUNL.shape[1], substates_KTUNL.shape[2] - 1
    waited_L = np.zeros(LANES, x_BTF.dtype)
    for block in range(substates_KTUNL.shape[0]):
        lane = block * LANES
        lanes = min(LANES, batch - lane)
        for b in range(LANES):
            for n in range(units):
                held_NL[STATE, n, b] = v_BN[lane + min(b, lanes - 1), n]
        for step in range(steps):
            row = step % kept
            x_FL, before = x_KTFL[block, row], substates_KTUNL[block, row, 0]
            for b in range(LANES):
                sample = lane + min(b, lanes - 1)
                d_KTL[block, row, b] = dt_BT[sample, step] * rate
                for i in range(inputs):
                    x_FL[i, b] = x_BTF[sample, step, i]
            if missing_TB.size:
                pass_time(missing_TB, reset_TB, step, lane, d_KTL[block, row], waited_L)
            for b in range(LANES):
                if d_KTL[block, row, b] > LONGEST:
                    d_KTL[block, row, b] = LONGEST
            for n in range(units):
                state = load(held_NL, (STATE, n, 0))
                if reset_TB.size:
                    state = select(reset_TB, (step, lane), 0.0, state)
                    store(state, held_NL, (STATE, n, 0))
                if missing_TB.size:
                    state = select(missing_TB, (step, lane), 0.0, state)
                store(state, before, (n, 0))
                i_L, g_L = _drive(
                    n, sensory_start, sensory_source, sensory, x_FL, s_ZL,
                    splat(neurons[NEURON.gleak_vleak, n]), splat(neurons[NEURON.gleak, n]),
                )  # fmt: skip
                store(i_L, held_NL, (CURRENT, n, 0))
                store(g_L, held_NL, (CONDUCTANCE, n, 0))
            d = load(d_KTL, (block, row, 0))
            for u in range(unfolds):
                old, new = substates_KTUNL[block, row, u], substates_KTUNL[block, row, u + 1]
                for n in range(units):
                    i_L, g_L = _drive(
                        n, neural_start, neural_source, neural, old, s_ZL,
                        load(held_NL, (CURRENT, n, 0)), load(held_NL, (CONDUCTANCE, n, 0)),
                    )  # fmt: skip
                    c = neurons[NEURON.cm, n]
                    store((c * load(old, (n, 0)) + d * i_L) / (c + d * g_L), new, (n, 0))
            for n in range(units):
                state = load(substates_KTUNL, (block, row, unfolds, n, 0))
                if missing_TB.size:
                    held = load(held_NL, (STATE, n, 0))
                    state = select(missing_TB, (step, lane), held, state)
                store(state, held_NL, (STATE, n, 0))
            for b in range(lanes):
                for o in range(outputs):
                    output_BTO[lane + b, step, o] = held_NL[STATE, units - outputs + o, b]
                if step == steps - 1:
                    for n in range(units):
                        last_BN[lane + b, n] = held_NL[STATE, n, b]


@kernel
def backward(sensory_start, sensory_source, sensory, neural_start, neural_source, neural, neurons,
             rate, missing_TB, reset_TB, x_KTFL, d_KTL, substates_KTUNL, grad_BTO, grad_BN, room,
             s_sensory, s_neural, d_sensory, d_neural, d_neurons, d_x_BTF, d_v_BN,
             d_dt_BT):  # fmt: skip
    """Fill the last six, d_x_BTF unless it is empty; room (its fields, max(N, F), L) is to work in.

    grad_BTO: gradient of the motor states; grad_BN: of the last state.
    """
    batch, units = grad_BN.shape
    steps, outputs = grad_BTO.shape[1:]
    inputs, unfolds = x_KTFL.shape[2], substates_KTUNL.shape[2] - 1
    d_v, d_old, d_kept, d_x = (
        room[ROOM.d_v], room[ROOM.d_old], room[ROOM.d_kept], room[ROOM.d_x],
    )  # fmt: skip
    held_current, held_conductance = room[ROOM.held_current], room[ROOM.held_conductance]
    d_current, d_conductance = room[ROOM.d_current], room[ROOM.d_conductance]
    d_time = room[ROOM.d_time]
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
            d_current[:] = 0
            d_conductance[:] = 0
            d_x[:] = 0
            for n in range(units):
                if missing_TB.size:
                    d_after = load(d_v, (n, 0))
                    store(select(missing_TB, (step, lane), d_after, 0.0), d_kept, (n, 0))
                    store(select(missing_TB, (step, lane), 0.0, d_after), d_v, (n, 0))
                i_L, g_L = _drive(
                    n, sensory_start, sensory_source, sensory, x_FL, s_sensory,
                    splat(neurons[NEURON.gleak_vleak, n]), splat(neurons[NEURON.gleak, n]),
                )  # fmt: skip
                store(i_L, held_current, (n, 0))
                store(g_L, held_conductance, (n, 0))
            d_d = load(d_time, (0, 0))
            for u in range(unfolds - 1, -1, -1):
                old = substates_KTUNL[block, step, u]
                d_old[:] = 0
                for n in range(units):
                    i_L, g_L = _drive(
                        n, neural_start, neural_source, neural, old, s_neural,
                        load(held_current, (n, 0)), load(held_conductance, (n, 0)),
                    )  # fmt: skip
                    c, v = neurons[NEURON.cm, n], load(old, (n, 0))
                    # new = (c v + d i)/(c + d g) =: top/bottom
                    d_top = load(d_v, (n, 0)) / (c + d * g_L)
                    d_bottom = 0.0 - d_top * load(substates_KTUNL, (block, step, u + 1, n, 0))
                    d_neurons[NEURON.cm, n] += total(d_top * v + d_bottom)
                    d_d = d_d + d_top * i_L + d_bottom * g_L
                    d_i, d_g = d_top * d, d_bottom * d
                    store(load(d_current, (n, 0)) + d_i, d_current, (n, 0))
                    store(load(d_conductance, (n, 0)) + d_g, d_conductance, (n, 0))
                    store(load(d_old, (n, 0)) + d_top * c, d_old, (n, 0))
                    _drive_gradient(
                        n, neural_start, neural_source, neural, old, s_neural, d_i, d_g, d_neural,
                        d_old,
                    )  # fmt: skip
                d_v[:] = d_old
            for n in range(units):
                d_i, d_g = load(d_current, (n, 0)), load(d_conductance, (n, 0))
                _drive_gradient(
                    n, sensory_start, sensory_source, sensory, x_FL, s_sensory, d_i, d_g, d_sensory,
                    d_x,
                )  # fmt: skip
                d_neurons[NEURON.gleak, n] += total(d_g)
                d_neurons[NEURON.gleak_vleak, n] += total(d_i)
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
