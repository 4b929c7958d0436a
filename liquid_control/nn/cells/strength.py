"""How strong the synapses of a wired cell are, read from the weights that it has now.

A synapse has a weight in every head of a closed-form cell, and four parameters in an LTC. The one
number that stands for it is its pull: what a unit of its source adds to the value that the neuron
is drawn to, where nothing else drives the neuron. Above 0 the synapse excites, below 0 it inhibits.
What a synapse does to the rate of its neuron is not in it: that has no direction.

Shapes: F inputs, H neurons, N neurons of a layer, S sources of a layer. Sources and neurons are
numbered as in :class:`liquid_control.nn.cells.circuit.Wiring`.
"""

import torch
from torch import Tensor

from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.circuit import Layer


def cfc_strengths(cell: Cell) -> Tensor:
    """(F + H, H) strengths of a closed-form cell's synapses; NaN where there is none.

    The mean of a synapse's weights in the heads that give the target (`Mode.polar`), each weighed
    by the derivative of the neuron's new state with respect to that head where all heads are 0 and
    t = 1. So with one such head it is that head's weight, and its sign holds for every input:

        closed, ctrnn, leaky  w of target: A = tanh(w z + b), leaky A = w z + b
        default               (w of first + w of second) / 2: the gate half open
        no_gate               (2 w of first + w of second) / 3
        pure                  -w of drive, which is subtracted; turned over where t*|drive| > 1

    Where the two heads of ``default`` or ``no_gate`` disagree in sign, which ``polarity="fixed"``
    rules out, the effect of the synapse turns over with the gate.

    A synapse is listed wherever a weight of those heads exists: that of a neuron to itself in modes
    that read the own state, none inside a layer of ``leaky``, and the dense own blocks of
    ``compat="ncps"``, whatever the wiring says.
    """
    inputs, polar = cell.input_size, len(cell.mode.polar)
    strengths = torch.full((inputs + cell.state_size, cell.state_size), torch.nan)
    weights = [value.detach().cpu() for value in cell.weights()]
    for index, layer in enumerate(cell.layers):
        neurons = layer.stop - layer.start
        sign, free = (getattr(cell, f"{name}{index}").cpu() for name in ("sign", "free"))
        exists_NS = (sign.ne(0) | free.ne(0))[: polar * neurons].unflatten(0, (polar, -1)).any(0)
        weight = weights[2 * index][: polar * neurons].unflatten(0, (polar, -1))
        constants = weights[2 * len(cell.layers) :]
        pull_NS = (_shares(cell, layer, constants)[:, :, None] * weight).sum(dim=0)
        block = strengths[layer.source_start : layer.source_stop, layer.start : layer.stop]
        block.copy_(torch.where(exists_NS, pull_NS, torch.nan).T)
    return strengths


def _shares(cell: Cell, layer: Layer, constants: list[Tensor]) -> Tensor:
    """(polar heads, N) how much each head moves the new state at rest; sizes sum to 1."""
    mode, neurons = cell.mode, layer.stop - layer.start
    like = cell.weight[0].detach().cpu()
    c = mode.Constants(*(value[layer.start : layer.stop] for value in constants))
    with torch.enable_grad():
        u = mode.Heads(*(like.new_zeros(1, neurons).requires_grad_() for _ in mode.heads))
        new_1N = mode.update(u, like.new_zeros(1, neurons), like.new_ones(1, 1), c)
        slopes = torch.autograd.grad(new_1N.sum(), u[: len(mode.polar)], materialize_grads=True)
    slope = torch.cat(slopes)
    size = slope.abs().sum(dim=0)
    return torch.where(size > 0, slope / size, 1.0 / len(slope))


def ltc_strengths(cell: Cell) -> Tensor:
    """(F + H, H) strengths of an LTC's synapses; NaN where there is none.

    The derivative of the neuron's settled state (g l + sum w s E)/(g + sum w s) with respect to
    the source y_j, at the state 0 and with every synapse half open (s = 1/2):

        w_ij sigma_ij E_ij / 4 / (g_i + sum_k w_ik / 2)

    for an input times its trained ``input_w``. ``polarity="fixed"`` keeps the sign of E; training
    may still turn sigma or ``input_w`` below 0, and then the sign here is the other one.
    """
    wiring = cell.wiring
    strengths = torch.full((cell.input_size + cell.state_size, cell.state_size), torch.nan)
    conductance, currents = cell._neuron_values().gleak.detach().cpu().clone(), []
    for block, matrix, first in (
        ("sensory", wiring.sensory_adjacency, 0),
        ("neural", wiring.adjacency, cell.input_size),
    ):
        target, source = torch.tensor(matrix.T).nonzero(as_tuple=True)  # the order of parameters
        w, we, sigma, _ = (value.detach().cpu() for value in cell.synapses(block))
        conductance.index_add_(0, target, 0.5 * w)
        gain = cell.input_w.detach().cpu()[source] if block == "sensory" else 1.0
        currents.append((source + first, target, 0.25 * we * sigma * gain))
    for source, target, slope in currents:
        strengths[source, target] = (slope / conductance[target]).to(strengths.dtype)
    return strengths
