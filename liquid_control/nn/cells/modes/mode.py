"""What a mode of the closed-form cell is: one object that holds all the cell asks of it.

A mode says how a neuron's heads, which are weighted sums over its synapses, become its next state.
A new one is one such object; nothing else in the package knows the modes by name. ``closed.py`` is
the one to read first. Give the object to ``CfC(mode=...)``, or make it known by its name with
:func:`liquid_control.nn.cells.modes.registry.register_mode`, which configs need.

Heads, constants and saved values are declared once, as names. Functions get them as named tuples in
that order (``u.target``, ``c.k_leak``) and return plain tuples in the same order.

Shapes: B batch, N neurons of a layer, H all neurons, S sources of a layer.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Constant:
    """A trained number of each neuron that no input changes.

    name: in the equation; parameter: of the stored tensor, e.g. the logarithm.
    initial: rate (H,) in 1/nominal_dt that a neuron should start with -> stored values (H,).
    effective: stored values -> those in the equation.
    theirs: its name in the ncps package.
    """

    name: str
    parameter: str
    initial: Callable[[Tensor], Tensor]
    effective: Callable[[Tensor], Tensor] = torch.exp
    theirs: str = ""


@dataclass(frozen=True)
class Ncps:
    """How the ncps package computes the mode.

    heads: its names of the heads, in the order of ours; constants: in place of the mode's own.
    """

    heads: tuple[str, ...]
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True)
class ModeKernel:
    """A mode as the compiled kernel runs it, on 32 samples at a time.

    Both functions are plain Python of ``+ - * /``, numbers and the functions of
    :mod:`liquid_control.nn.kernels.functions` (``0.0 - x`` in place of ``-x``); numba inlines them.

    saved: names of what ``gradient`` needs of ``update``'s work.
    update: (u, h, t, c) -> (new state, (saved values)).
    gradient: (d, s, h, t, c) -> ((gradients of u), of h, of t, (of c)) where d is the gradient of
        the new state and s the saved values; ``None`` where one is always zero.
    """

    saved: tuple[str, ...]
    update: Callable
    gradient: Callable

    @cached_property
    def Saved(self) -> type:
        """Named tuple of the saved values."""
        return namedtuple("Saved", self.saved)


@dataclass(frozen=True, eq=False)
class Mode:
    """How a neuron's heads become its next state; t = dt / nominal_dt.

    name: in configs.
    polar: heads that give the target; synapses keep their sign in them.
    plain: heads that give a rate or a gate, which have no polarity.
    update: (u, h_BN, t_B1, c) -> new state (B, N) in torch; u the heads (B, N) each, c the
        constants (N,) each.
    gain: standard deviation of the target heads' weights at initialisation, times the square root
        of a neuron's number of synapses; choose it so that outputs vary by about 0.3 at the start.
    constants: trained numbers of each neuron.
    own_state: whether each neuron also reads its own last state where no synapse says so.
    recurrent: whether there are synapses inside a layer.
    unit_output: whether the state stays within [-1, 1] whatever weights and input.
    inverted: whether the state falls where a target head rises.
    rest: state of a neuron that nothing drives; the biases start so that it drives nobody.
    tau: (c) -> smallest and largest time constant in nominal_dt, (N,) each, that any input can
        cause; None if the mode has none.
    kernel: without one, sequences run in torch.
    nodes: writes a layer's update as ONNX nodes, see ``closed.py``; without it the step is exported
        by torch's tracer, which gives a larger graph that computes the same.
    ncps: None if the ncps package has no such mode.
    """

    name: str
    polar: tuple[str, ...]
    plain: tuple[str, ...]
    update: Callable
    gain: float
    constants: tuple[Constant, ...] = ()
    own_state: bool = False
    recurrent: bool = True
    unit_output: bool = False
    inverted: bool = False
    rest: float = 0.0
    tau: Callable | None = None
    kernel: ModeKernel | None = None
    nodes: Callable | None = None
    ncps: Ncps | None = None
    Heads: type = field(init=False, repr=False)
    Constants: type = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.polar:
            raise ValueError(f"mode {self.name!r} has no head that gives the target")
        for kind, names in (
            ("Heads", self.heads),
            ("Constants", tuple(constant.name for constant in self.constants)),
        ):
            object.__setattr__(self, kind, namedtuple(kind, names))

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of all heads, the polar ones first."""
        return (*self.polar, *self.plain)

    def __deepcopy__(self, memo: dict) -> "Mode":
        return self  # a copied cell shares the compiled kernel
