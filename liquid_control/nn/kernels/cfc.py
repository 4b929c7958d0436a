"""A wired closed-form cell over whole sequences as one function of autograd.

The loops are in :mod:`liquid_control.nn.kernels.cfc_loops`. Gradients are derived by hand, in the
modes, and tested against autograd.

Shapes: T time, B batch, L lanes, F inputs, H neurons, Z synapses, S heads, C constants, O outputs.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.cells.modes.mode import Mode
from liquid_control.nn.kernels.calls import LANES, Scratch, blocks_of, refuse_second_derivatives
from liquid_control.nn.kernels.cfc_loops import give_gradients, loops_of, take_weights
from liquid_control.nn.kernels.synapses import Synapses, source_rows

CACHE = 2**19  # bytes of sources that the pass over the weights' gradients reads again and again


class Call(NamedTuple):
    """What a call has besides tensors; none of it carries a gradient."""

    mode: Mode
    synapses: Synapses
    outputs: int
    kept: int  # of how many steps the sources are kept
    rate: float  # 1/nominal_dt, 1/s
    missing_TB: np.ndarray  # empty if no sample is missing
    reset_TB: np.ndarray  # empty if there is no reset


class CfCSequence(torch.autograd.Function):
    """(output_BTO, last state_BH) of a sequence."""

    @staticmethod
    def forward(ctx, call: Call, constants_CH, x_BTF, h_BH, dt_BT1, *parameters):
        (batch, steps, inputs), units = x_BTF.shape, h_BH.shape[1]
        given = [value.detach().numpy() for value in (constants_CH, x_BTF, h_BH, dt_BT1[:, :, 0])]
        constants, *moving = given
        dtype, synapses = constants.dtype, call.synapses
        stops = list(accumulate(parameter.numel() for parameter in parameters))
        flat = np.zeros(stops[-1] + 1, dtype)  # the last is of heads without the synapse
        for parameter, stop in zip(parameters, stops):
            flat[stop - parameter.numel() : stop] = parameter.detach().numpy().ravel()
        w_ZS, factor_ZS = np.empty((2, *synapses.parameter.shape), dtype)
        take_weights(flat, *synapses[2:], w_ZS, factor_ZS)
        blocks, width = blocks_of(batch), source_rows(inputs, units).end
        sources = Scratch((blocks, call.kept, width, LANES), dtype)
        saved = Scratch((blocks, call.kept, units, len(call.mode.kernel.saved), LANES), dtype)
        output = torch.empty(batch, steps, call.outputs, dtype=x_BTF.dtype)
        last = torch.empty(batch, units, dtype=x_BTF.dtype)
        network = synapses.start, synapses.source, w_ZS, constants, call.rate
        masks = call.missing_TB, call.reset_TB
        loops_of(call.mode).forward(
            *network, *masks, *moving, sources.array, saved.array, output.numpy(), last.numpy()
        )
        ctx.call, ctx.shared = call, (*network, *masks, sources.array, saved.array)
        ctx.scratch = sources, saved  # lest a later call write into them
        ctx.w_ZS, ctx.factor_ZS = w_ZS, factor_ZS
        ctx.stops, ctx.shapes = stops, [parameter.shape for parameter in parameters]
        ctx.inputs, ctx.wants_input = inputs, x_BTF.requires_grad
        return output, last

    @staticmethod
    def backward(ctx, grad_BTO: Tensor, grad_BH: Tensor):
        """Gradients of the constants, inputs, state, dt and weights."""
        refuse_second_derivatives()
        mode, synapses, w_ZS = ctx.call.mode, ctx.call.synapses, ctx.w_ZS
        (batch, steps, _), units, dtype = grad_BTO.shape, grad_BH.shape[1], w_ZS.dtype
        width = source_rows(ctx.inputs, units).end
        chunk = min(16, steps, max(1, CACHE // (width * LANES * dtype.itemsize)))
        d_sources = Scratch((width, LANES), dtype)
        d_u = Scratch((units, chunk, w_ZS.shape[1], LANES), dtype)
        if len(mode.heads) < w_ZS.shape[1]:  # the partner without weight
            d_u.array[:, :, -1] = 0
        d_w = np.empty_like(w_ZS)
        d_constants = np.empty((len(mode.Constants._fields), units), dtype)
        d_x = np.empty((batch, steps, ctx.inputs) if ctx.wants_input else (0, 0, 0), dtype)
        d_h, d_dt = np.empty((batch, units), dtype), np.empty((batch, steps), dtype)
        gradients = grad_BTO.contiguous().numpy(), grad_BH.contiguous().numpy()
        loops_of(mode).backward(
            *ctx.shared, *gradients, d_sources.array, d_u.array, d_w, d_constants, d_x, d_h, d_dt
        )
        d_flat = np.zeros(ctx.stops[-1] + 1, dtype)
        give_gradients(d_w, ctx.factor_ZS, synapses.parameter, d_flat)
        starts = (0, *ctx.stops)
        d_parameters = (
            torch.from_numpy(d_flat[start:stop].reshape(shape))
            for start, stop, shape in zip(starts, ctx.stops, ctx.shapes)
        )
        return (
            None,  # call
            torch.from_numpy(d_constants),
            torch.from_numpy(d_x) if ctx.wants_input else None,
            torch.from_numpy(d_h),
            torch.from_numpy(d_dt)[:, :, None],
            *d_parameters,
        )
