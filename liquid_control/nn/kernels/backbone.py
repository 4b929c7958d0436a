"""A closed-form cell with a backbone over whole sequences as one function of autograd.

What depends on the inputs alone is one product before the loop, and the gradients of the weights
are one product each behind it. The loops are in :mod:`liquid_control.nn.kernels.backbone_loops`.

Shapes: B batch, T time, F inputs, U neurons, S heads, H = U*S, C constants, K units of a layer, R
rows of the first layer, W columns of a step (the batch, filled up to whole vectors), N = T*W.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from liquid_control.nn.cells.activations import Activation
from liquid_control.nn.cells.modes.mode import Mode
from liquid_control.nn.kernels.backbone_loops import loops_of
from liquid_control.nn.kernels.calls import LANES, Scratch, blocks_of, refuse_second_derivatives

PAD = 16  # columns, lest all rows begin at the same place of the cache


class Call(NamedTuple):
    """What a call has besides tensors; none of it carries a gradient."""

    mode: Mode
    activation: Activation | None  # None without a backbone
    kept: int  # of how many steps a backward pass's values are kept


class BackboneSequence(torch.autograd.Function):
    """(states_BTU, last state_BU) of a sequence; parameters: weights of all layers, then biases."""

    @staticmethod
    def forward(ctx, call: Call, constants_CU, x_BTF, h_BU, t_BT1, *parameters):
        (batch, steps, inputs), units = x_BTF.shape, h_BU.shape[1]
        width, layers = blocks_of(batch) * LANES, len(parameters) // 2 - 1
        columns, kept = steps * width, call.kept * width
        room, matrices = _Room(x_BTF.dtype), _matrices(call.mode, parameters)
        first_RF, recurrent_RU = matrices[0].split([inputs + 1, units], dim=1)
        x_FN, t_1N = room.matrix(inputs + 1, columns), room.matrix(1, columns)
        x_FN[inputs] = 1.0
        _by_step(x_FN[:inputs], width).copy_(_filled(x_BTF, width))
        _by_step(t_1N, width).copy_(_filled(t_BT1, width))
        states_UN = room.matrix(units, width + columns)
        state_UW = _filled(h_BU[:, None], width)[:, 0].contiguous()
        states_UN[:, :width] = state_UW
        rows = len(first_RF)
        bent_LKN = room.stack(layers, rows + 1, kept)
        bent_LKN[:, rows] = 1.0
        slope_LKN = room.stack(layers, rows, kept)
        saved_QN = room.matrix(units * len(call.mode.kernel.saved), kept)
        first_RN = room.matrix(rows, columns)
        first_RN.copy_(first_RF @ x_FN)
        _run(
            loops_of(call.mode, call.activation).forward,
            recurrent_RU.contiguous(),
            _stack(matrices[1:-1], recurrent_RU),
            matrices[-1] if layers else recurrent_RU.new_empty(0, 0),
            constants_CU,
            t_1N,
            first_RN,
            call.kept,
            state_UW,
            bent_LKN,
            slope_LKN,
            saved_QN,
            states_UN,
        )
        ctx.call, ctx.room, ctx.matrices = call, room, matrices  # room: lest others write into it
        ctx.kept = constants_CU.detach(), x_FN, t_1N, states_UN, bent_LKN, slope_LKN, saved_QN
        ctx.wants_input = x_BTF.requires_grad
        output_BTU = _samples(states_UN[:, width:], width, batch)
        return output_BTU, state_UW[:, :batch].T.contiguous()

    @staticmethod
    def backward(ctx, grad_BTU: Tensor, grad_BU: Tensor):
        """Gradients of the constants, inputs, state, t and parameters."""
        refuse_second_derivatives()
        constants_CU, x_FN, t_1N, states_UN, bent_LKN, slope_LKN, saved_QN = ctx.kept
        batch, steps, units = grad_BTU.shape
        layers, columns, inputs = len(slope_LKN), t_1N.shape[1], len(x_FN) - 1
        width = columns // steps
        room, matrices = _Room(grad_BTU.dtype), ctx.matrices
        first_RF, recurrent_RU = matrices[0].split([inputs + 1, units], dim=1)
        rows = len(first_RF)
        grad_UN = room.matrix(units, columns).zero_()
        _by_step(grad_UN, width)[..., :batch].copy_(grad_BTU.permute(2, 1, 0))
        d_state_UW = grad_BU.new_zeros(units, width)
        d_state_UW[:, :batch] = grad_BU.T
        d_layers_LKN = room.stack(layers, rows, columns)
        d_heads_HN = room.matrix(units * len(ctx.call.mode.heads), columns)
        d_t_1N = room.matrix(1, columns).zero_()
        d_constants_UCL = grad_BU.new_zeros(units, len(constants_CU), LANES)
        _run(
            loops_of(ctx.call.mode, ctx.call.activation).backward,
            recurrent_RU.T.contiguous(),
            _stack([matrix[:, :-1].T for matrix in matrices[1:-1]], recurrent_RU),
            matrices[-1][:, :-1].T.contiguous() if layers else grad_BU.new_empty(0, 0),
            constants_CU,
            t_1N,
            states_UN,
            slope_LKN,
            saved_QN,
            grad_UN,
            d_state_UW,
            d_layers_LKN,
            d_heads_HN,
            d_t_1N,
            d_constants_UCL,
        )
        d_rows = [*d_layers_LKN, d_heads_HN]
        read = torch.cat([d_rows[0] @ x_FN.T, d_rows[0] @ states_UN[:, :columns].T], dim=1)
        gradients = [read, *(d @ z.T for d, z in zip(d_rows[1:], bent_LKN))]
        d_x = first_RF[:, :inputs].T @ d_rows[0] if ctx.wants_input else None
        return (
            None,  # call
            d_constants_UCL.sum(dim=2).T,
            None if d_x is None else _samples(d_x, width, batch),
            d_state_UW[:, :batch].T,
            _samples(d_t_1N, width, batch),
            *_parameters(ctx.call.mode, gradients, inputs),
        )


class _Room:
    """Matrices for one call, of memory that is used again after it."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = torch.empty(0, dtype=dtype).numpy().dtype
        self._scratch: list[Scratch] = []

    def stack(self, count: int, rows: int, columns: int) -> Tensor:
        """(count, rows, columns) numbers, whatever they were."""
        scratch = Scratch((count, rows, columns + PAD), self._dtype)
        self._scratch.append(scratch)
        return torch.from_numpy(scratch.array)[..., :columns]

    def matrix(self, rows: int, columns: int) -> Tensor:
        """(rows, columns) numbers, whatever they were."""
        return self.stack(1, rows, columns)[0]


def _run(loop, *arguments) -> None:
    """Call a compiled loop with what NumPy sees of the tensors."""
    given = (a.detach().numpy() if isinstance(a, Tensor) else a for a in arguments)
    loop(*given)


def _matrices(mode: Mode, parameters: tuple[Tensor, ...]) -> list[Tensor]:
    """[weight | bias] of each layer, the heads of a neuron in a row; the first [input | 1 | state].

    The first layer of a cell without a backbone is that of the heads.
    """
    count = len(parameters) // 2
    weights = [weight.detach() for weight in parameters[:count]]
    biases = [bias.detach()[:, None] for bias in parameters[count:]]
    heads, units = len(mode.heads), len(biases[-1]) // len(mode.heads)
    weights[-1] = weights[-1].unflatten(0, (heads, units)).transpose(0, 1).flatten(0, 1)
    biases[-1] = biases[-1].unflatten(0, (heads, units)).transpose(0, 1).flatten(0, 1)
    inputs = weights[0].shape[1] - units
    first = [weights[0][:, :inputs], biases[0], weights[0][:, inputs:]]
    others = zip(weights[1:], biases[1:])
    return [torch.cat(first, dim=1), *(torch.cat(pair, dim=1) for pair in others)]


def _parameters(mode: Mode, matrices: list[Tensor], inputs: int) -> list[Tensor]:
    """Weights, then biases, of matrices like those of :func:`_matrices`."""
    first, *others = matrices
    weights = [torch.cat([first[:, :inputs], first[:, inputs + 1 :]], dim=1)]
    biases = [first[:, inputs]]
    weights += [matrix[:, :-1] for matrix in others]
    biases += [matrix[:, -1] for matrix in others]
    for of_heads in (weights, biases):
        of_heads[-1] = of_heads[-1].unflatten(0, (-1, len(mode.heads))).transpose(0, 1).flatten(0, 1)
    return [*weights, *biases]


def _stack(matrices: list[Tensor], like: Tensor) -> Tensor:
    """The matrices one behind another; of none, nothing of the type of ``like``."""
    return torch.stack(matrices).contiguous() if matrices else like.new_empty(0, 1, 1)


def _filled(x_BTF: Tensor, width: int) -> Tensor:
    """(F, T, W) of (B, T, F); the last sample stands in all columns behind it.

    So no column computes with numbers that no sample has.
    """
    more = x_BTF[-1:].expand(width - len(x_BTF), -1, -1)
    return torch.cat([x_BTF, more]).detach().permute(2, 1, 0)


def _by_step(matrix: Tensor, width: int) -> Tensor:
    """View (rows, T, W) of a matrix (rows, N)."""
    return matrix.unflatten(1, (-1, width))


def _samples(matrix: Tensor, width: int, batch: int) -> Tensor:
    """(B, T, rows) of a matrix (rows, N)."""
    return _by_step(matrix, width)[..., :batch].permute(2, 1, 0).contiguous()
