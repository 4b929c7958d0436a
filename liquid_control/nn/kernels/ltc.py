"""The LTC's fused solver over whole sequences as one function of autograd.

The loops are in :mod:`liquid_control.nn.kernels.ltc_loops`.

Shapes: K blocks, T time, U substeps, B batch, L lanes, F inputs, N neurons, Z synapses, O outputs.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.kernels.calls import LANES, Scratch, blocks_of, refuse_second_derivatives
from liquid_control.nn.kernels.ltc_loops import Room, backward, forward


class Call(NamedTuple):
    """What a call has besides tensors; none of it carries a gradient."""

    sensory: tuple[np.ndarray, np.ndarray]  # start, source
    neural: tuple[np.ndarray, np.ndarray]
    unfolds: int
    outputs: int
    kept: int  # of how many steps states are kept
    rate: float  # 1/(nominal_dt*unfolds), 1/s
    missing_TB: np.ndarray  # empty if no sample is missing
    reset_TB: np.ndarray  # empty if there is no reset


class LTCSequence(torch.autograd.Function):
    """(motor states_BTO, last state_BN) of a sequence."""

    @staticmethod
    def forward(ctx, call: Call, sensory, neural, neurons, x_BTF, v_BN, dt_BT1):
        (batch, steps, inputs), units = x_BTF.shape, v_BN.shape[1]
        given = (sensory, neural, neurons, x_BTF, v_BN, dt_BT1[:, :, 0])
        sensory, neural, neurons, *moving = (value.detach().numpy() for value in given)
        dtype, blocks = sensory.dtype, blocks_of(batch)
        network = (*call.sensory, sensory, *call.neural, neural, neurons, call.rate)
        masks = call.missing_TB, call.reset_TB
        x = Scratch((blocks, call.kept, inputs, LANES), dtype)
        d = Scratch((blocks, call.kept, LANES), dtype)
        substates = Scratch((blocks, call.kept, call.unfolds + 1, units, LANES), dtype)
        held = Scratch((3, units, LANES), dtype)
        s = Scratch((max(sensory.shape[1], neural.shape[1]), LANES), dtype)
        output = torch.empty(batch, steps, call.outputs, dtype=x_BTF.dtype)
        last = torch.empty(batch, units, dtype=x_BTF.dtype)
        forward(*network, *moving, *masks, x.array, d.array, substates.array, held.array,
                s.array, output.numpy(), last.numpy())  # fmt: skip
        ctx.shared = (*network, *masks, x.array, d.array, substates.array)
        ctx.values = sensory, neural, neurons
        ctx.scratch = x, d, substates  # lest a later call write into them
        ctx.inputs, ctx.wants_input = inputs, x_BTF.requires_grad
        return output, last

    @staticmethod
    def backward(ctx, grad_BTO: Tensor, grad_BN: Tensor):
        """Gradients of the inputs, state, dt and parameters."""
        refuse_second_derivatives()
        sensory, neural, neurons = ctx.values
        dtype, (batch, steps, _), inputs = sensory.dtype, grad_BTO.shape, ctx.inputs
        room = Scratch((len(Room._fields), max(inputs, neurons.shape[1]), LANES), dtype)
        s_sensory = Scratch((sensory.shape[1], LANES), dtype)
        s_neural = Scratch((neural.shape[1], LANES), dtype)
        d_network = [np.empty_like(values) for values in ctx.values]
        d_x = np.empty((batch, steps, inputs) if ctx.wants_input else (0, 0, 0), dtype)
        d_v, d_dt = np.empty(grad_BN.shape, dtype), np.empty((batch, steps), dtype)
        backward(*ctx.shared, grad_BTO.contiguous().numpy(), grad_BN.contiguous().numpy(),
                 room.array, s_sensory.array, s_neural.array, *d_network, d_x, d_v,
                 d_dt)  # fmt: skip
        return (
            None,  # call
            *(torch.from_numpy(value) for value in d_network),
            torch.from_numpy(d_x) if ctx.wants_input else None,
            torch.from_numpy(d_v),
            torch.from_numpy(d_dt)[:, :, None],
        )
