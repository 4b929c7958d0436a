"""A policy's step as symbols: torch's functions on what has no numbers.

A `Traced` stands for a tensor ``(B, ...)`` without its batch axis, or for weights, as an array of
symbols. Weights that are zero whatever the parameters, such as those of synapses that do not exist,
are left out of the code, and so is what would be multiplied by them.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liquid_control.training.lanes.adjoint import ancestors
from liquid_control.training.lanes.symbols import (
    CannotTrace,
    Symbol,
    Synapses,
    Tape,
    maximum,
    minimum,
)

MOST_SYMBOLS = 12_000  # of a step; the compiler takes too long for more


class Traced:
    """An array of symbols that torch's functions take as a tensor, see the module."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, symbols: Any, tape: Tape, known: dict, batched: bool = True) -> None:
        self.symbols, self.batched = np.asarray(symbols, object), batched
        self.tape, self.known = tape, known

    def _new(self, symbols: Any, batched: bool = True) -> Traced:
        return Traced(symbols, self.tape, self.known, batched)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the tensor; there is no telling how large the batch is."""
        return (-1, *self.symbols.shape) if self.batched else self.symbols.shape

    def _array(self, value: Any) -> Any:
        """What an operand is in NumPy."""
        if isinstance(value, Traced):
            return value.symbols
        if not isinstance(value, Tensor):
            return value
        if id(value) in self.known:
            return self.known[id(value)]
        if value.requires_grad:
            raise TypeError("a policy that computes with its parameters can't be traced")
        return value.double().numpy().astype(object)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if kwargs is None:
            kwargs = {}
        if name not in _FUNCTIONS:
            raise TypeError(f"{name} can't be traced")
        flat = [*args, *(args[0] if args and isinstance(args[0], (list, tuple)) else ())]
        own = next(a for a in flat if isinstance(a, Traced))
        return _FUNCTIONS[name](own, *args, **kwargs)

    def __getitem__(self, index: Any) -> Traced:
        if not self.batched:
            return self._new(self.symbols[index], batched=False)
        if not isinstance(index, tuple) or index[0] not in (slice(None), Ellipsis):
            raise TypeError(f"index {index} can't be traced")
        return self._new(self.symbols[index[1:]])

    def chunk(self, chunks: int, dim: int) -> list[Traced]:
        """As of a tensor."""
        parts = np.array_split(self.symbols, chunks, axis=_axis(dim))
        return [self._new(part) for part in parts]

    def clamp(self, min: float | None = None, max: float | None = None) -> Traced:
        """As of a tensor."""

        def one(x):
            x = x if min is None else maximum(x, min)
            return x if max is None else minimum(x, max)

        return self._new(_each(one, self.symbols))

    def abs(self) -> Traced:
        """As of a tensor."""
        return self._new(_each(abs, self.symbols))

    def gather(self, dim: int, index: Tensor) -> Traced:
        """As of a tensor (B, n), where the index is the same for the whole batch."""
        if dim != 1 or self.symbols.ndim != 1 or index.shape[0] != 1:
            raise TypeError("such a gather can't be traced")
        return self._new(self.symbols[index[0].numpy()])

    def view(self, batch: int, *shape: int) -> Traced:
        """As of a tensor whose batch axis stays the first one."""
        return self._new(self.symbols.reshape(shape))

    def sum(self, dim: int) -> Traced:
        """As of a tensor."""
        return self._new(self.symbols.sum(axis=_axis(dim)))

    def __neg__(self) -> Traced:
        return self._new(-self.symbols)


def _axis(dim: int) -> int:
    if dim == 0:
        raise TypeError("an operation over the batch can't be traced")
    return dim if dim < 0 else dim - 1


def _each(function: Callable, array: np.ndarray) -> np.ndarray:
    return np.frompyfunc(function, 1, 1)(array)


def _binary(function: Callable) -> Callable:
    def apply(own: Traced, a: Any, b: Any) -> Traced:
        return own._new(function(own._array(a), own._array(b)))

    return apply


def _unary(name: str) -> Callable:
    def one(x):
        return getattr(x, name)() if isinstance(x, Symbol) else _NUMBERS[name](x)

    return lambda own, a: own._new(_each(one, own._array(a)))


def _linear(own: Traced, inputs: Any, weight: Any, bias: Any = None) -> Traced:
    sources, matrix = list(own._array(inputs)), own._array(weight)
    if bias is not None:
        matrix = np.concatenate([matrix, own._array(bias)[:, None]], axis=1)
        sources.append(1.0)
    if any(isinstance(w, Symbol) and w.op != "weight" for w in matrix.flat):
        raise TypeError("a matrix that is computed can't be traced")
    if not all(isinstance(w, Symbol) or w == 0.0 for w in matrix.flat):
        raise TypeError("a matrix that is not trained can't be traced")
    rows = [[(s, w.args[1]) for s, w in enumerate(row) if isinstance(w, Symbol)] for row in matrix]
    flat = [synapse for row in rows for synapse in row]
    start = np.cumsum([0, *map(len, rows)]).tolist()
    synapses = Synapses(tuple(start), *(tuple(s[k] for s in flat) for k in (0, 1)))
    return own._new(synapses.sums(own.tape, sources))


def _cat(own: Traced, parts: Sequence, dim: int = 0) -> Traced:
    return own._new(np.concatenate([own._array(part) for part in parts], axis=_axis(dim)))


_NUMBERS = {  # of what is no symbol, such as a synapse that does not exist
    "tanh": math.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "exp": math.exp,
    "expm1": math.expm1,
}
_ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
_FUNCTIONS: dict[str, Callable] = {
    "linear": _linear,
    "cat": _cat,
    "relu": lambda own, a: own._new(_each(lambda x: maximum(x, 0.0), own._array(a))),
    "abs": lambda own, a: own._new(_each(abs, own._array(a))),
    **{name: _unary(name) for name in ("tanh", "sigmoid", "exp", "expm1")},
    **{name: _binary(function) for name, function in _ARITHMETIC.items()},
    "div": _binary(operator.truediv),
    "rsub": _binary(lambda a, b: b - a),
    "true_divide": _binary(operator.truediv),
}


def _operator(name: str, swapped: bool = False) -> Callable:
    function = _FUNCTIONS[name]

    def apply(self: Traced, other: Any) -> Traced:
        return function(self, other, self) if swapped else function(self, self, other)

    return apply


for _name, _method in (("add", "add"), ("sub", "sub"), ("mul", "mul"), ("div", "truediv")):
    setattr(Traced, f"__{_method}__", _operator(_name))
    setattr(Traced, f"__r{_method}__", _operator(_name, swapped=True))


def direct_parameters(policy: nn.Module, observations: int) -> dict[str, nn.Parameter]:
    """The parameters that a step reads itself, beside what ``weights()`` gives, by name."""
    with torch.enable_grad():
        weights = policy.weights()
        fixed = _like(weights, [weight.detach() for weight in weights])
        dt, seen = torch.full((1, 1), 0.01), torch.zeros(1, observations)
        results = policy.step(seen, dt, policy.initial_state(1), fixed)
        total = sum(result.sum() for result in results)
        if not total.requires_grad:
            return {}
        named = dict(policy.named_parameters())
        used = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return {name: p for (name, p), g in zip(named.items(), used, strict=True) if g is not None}


def always_zero(policy: nn.Module, direct: Sequence[Tensor]) -> list[np.ndarray]:
    """Which of ``policy.weights()`` are zero for every value of the parameters; none of direct."""
    other, found = copy.deepcopy(policy), []
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(2):
            for parameter in other.parameters():
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            found.append([weight.eq(0).numpy() for weight in other.weights()])
    never = [np.zeros(tuple(parameter.shape), bool) for parameter in direct]
    return [*(a & b for a, b in zip(*found, strict=True)), *never]


def trace_policy(
    tape: Tape,
    policy: nn.Module,
    observations: int,
    direct: Sequence[Tensor],
    zeros: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, list[Symbol]]:
    """Command and next state as symbols, and the weights that are used outside of matrices.

    Reads groups ``observation``, ``now`` (its row 0 is dt), ``state``, and ``weights``: those of
    ``policy.weights()`` and then ``direct``, flat, without the ones that are ``zeros``.

    Raises:
        CannotTrace: for a policy that computes what a trace doesn't know, or is too large.
    """
    effective = policy.weights()
    count, arrays = 0, []
    for zero in zeros:
        symbols = np.zeros(zero.shape, object)
        for place in zip(*np.nonzero(~zero), strict=True) if zero.ndim else [()]:
            symbols[place] = tape.record("weight", "weights", count)
            count += 1
        arrays.append(symbols)
    known = {id(p): a for p, a in zip(direct, arrays[len(effective) :], strict=True)}

    def traced(symbols: np.ndarray) -> Traced:
        return Traced(symbols, tape, known)

    weights = [Traced(array, tape, known, batched=False) for array in arrays[: len(effective)]]
    given = (
        traced(tape.read("observation", observations)),
        traced(tape.read("now", 1)),
        traced(tape.read("state", policy.initial_state(1).shape[1])),
    )
    try:
        command, state = policy.step(*given, _like(effective, weights))
    except Exception as error:  # whatever somebody's policy raises
        raise CannotTrace(f"{type(error).__name__}: {error}") from error
    if tape.size > MOST_SYMBOLS:
        raise CannotTrace(f"a step of {tape.size} operations, expected at most {MOST_SYMBOLS}")
    results = [*command.symbols, *state.symbols]
    used = [symbol for symbol in ancestors(results) if symbol.op == "weight"]
    return command.symbols, state.symbols, sorted(used, key=lambda s: s.number)


def _like(weights: tuple, values: Sequence) -> tuple:
    """Values in a tuple of the same kind, which may have names."""
    return type(weights)(*values) if hasattr(weights, "_fields") else tuple(values)
