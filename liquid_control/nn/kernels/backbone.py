"""A closed-form cell with a backbone over whole sequences as one function of autograd.

The loops are in :mod:`liquid_control.nn.kernels.backbone_loops`. Gradients are derived by hand, in
the modes and activations, and tested against autograd.

Shapes: B batch, T time, F inputs, U neurons, C constants; others as in the loops.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from liquid_control.nn.cells.activations import Activation
from liquid_control.nn.cells.modes.mode import Mode
from liquid_control.nn.kernels.backbone_loops import loops_of
from liquid_control.nn.kernels.calls import LANES, Scratch, blocks_of, refuse_second_derivatives


class Call(NamedTuple):
    """What a call has besides tensors; none of it carries a gradient."""

    mode: Mode
    activation: Activation | None  # None without a backbone
    kept: int  # of how many steps a backward pass's values are kept


class BackboneSequence(torch.autograd.Function):
    """(states_BTU, last state_BU) of a sequence; parameters: weights of all layers, then biases."""

    @staticmethod
    def forward(ctx, call: Call, constants_CU, x_BTF, h_BU, t_BT1, *parameters):
        given = (constants_CU, x_BTF, h_BU, t_BT1[:, :, 0])
        constants, *moving = (value.detach().numpy() for value in given)
        (batch, steps, inputs), units = x_BTF.shape, h_BU.shape[1]
        matrices = _matrices(call.mode, parameters)
        layers, rows, width = len(parameters) // 2 - 1, len(matrices[0]), blocks_of(batch) * LANES
        shapes = (
            (width,),
            (inputs + 1 + units, width),
            (layers, rows + 1, width),
            (layers, rows, width),
            (units * len(call.mode.kernel.saved), width),
        )
        scratch = [Scratch((call.kept, *shape), constants.dtype) for shape in shapes]
        rooms = [one.array for one in scratch]
        rooms[2][:, :, rows] = 1.0
        output = torch.empty(batch, steps, units, dtype=x_BTF.dtype)
        last = torch.empty(batch, units, dtype=x_BTF.dtype)
        loops_of(call.mode, call.activation).forward(
            *matrices, constants, *moving, *rooms, output.numpy(), last.numpy()
        )
        ctx.call, ctx.shared, ctx.inputs = call, (*matrices, constants, *rooms), inputs
        ctx.scratch = scratch  # lest a later call write into them
        ctx.wants_input, ctx.layers = x_BTF.requires_grad, layers
        return output, last

    @staticmethod
    def backward(ctx, grad_BTU: Tensor, grad_BU: Tensor):
        """Gradients of the constants, inputs, state, t and parameters."""
        refuse_second_derivatives()
        batch, steps, units = grad_BTU.shape
        *matrices, constants = ctx.shared[:4]
        d_matrices = [np.zeros_like(matrix) for matrix in matrices]
        d_constants = np.zeros((units, len(constants), LANES), constants.dtype)
        d_x = np.empty(
            (batch, steps, ctx.inputs) if ctx.wants_input else (0, 0, 0), constants.dtype
        )
        d_h, d_t = (np.empty((batch, size), constants.dtype) for size in (units, steps))
        gradients = grad_BTU.contiguous().numpy(), grad_BU.contiguous().numpy()
        loops_of(ctx.call.mode, ctx.call.activation).backward(
            *ctx.shared, *gradients, *d_matrices, d_constants, d_x, d_h, d_t
        )
        return (
            None,  # call
            torch.from_numpy(d_constants).sum(dim=2).T,
            torch.from_numpy(d_x) if ctx.wants_input else None,
            torch.from_numpy(d_h),
            torch.from_numpy(d_t)[:, :, None],
            *_parameters(ctx.call.mode, d_matrices, ctx.inputs, ctx.layers),
        )


def _matrices(mode: Mode, parameters: tuple[Tensor, ...]) -> tuple[np.ndarray, ...]:
    """first_RS, inner_LKJ and heads_HJ of the loops; the heads of a neuron are neighbours.

    The first layer of a cell without a backbone is that of the heads, and nothing is behind it.
    """
    count = len(parameters) // 2
    weights = [weight.detach() for weight in parameters[:count]]
    biases = [bias.detach()[:, None] for bias in parameters[count:]]
    heads = len(mode.heads)
    for values in (weights, biases):
        values[-1] = values[-1].unflatten(0, (heads, -1)).transpose(0, 1).flatten(0, 1)
    inputs = weights[0].shape[1] - len(biases[-1]) // heads
    first = torch.cat([weights[0][:, :inputs], biases[0], weights[0][:, inputs:]], dim=1)
    others = [torch.cat(pair, dim=1) for pair in zip(weights[1:], biases[1:])]
    inner = torch.stack(others[:-1]) if len(others) > 1 else first.new_empty(0, 1, 1)
    last = others[-1] if others else first.new_empty(0, 1)
    return first.numpy(), inner.numpy(), last.numpy()


def _parameters(mode: Mode, matrices: list[np.ndarray], inputs: int, layers: int) -> list[Tensor]:
    """Weights, then biases, of matrices like those of :func:`_matrices`."""
    first, inner, last = (torch.from_numpy(matrix) for matrix in matrices)
    weights = [torch.cat([first[:, :inputs], first[:, inputs + 1 :]], dim=1)]
    biases = [first[:, inputs]]
    for matrix in (*inner, last)[:layers]:
        weights.append(matrix[:, :-1])
        biases.append(matrix[:, -1])
    for values in (weights, biases):
        heads = values[-1].unflatten(0, (-1, len(mode.heads)))
        values[-1] = heads.transpose(0, 1).flatten(0, 1)
    return [*weights, *biases]
