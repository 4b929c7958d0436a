"""Numbers that write down what is done to them.

A `Symbol` is one component of a batch. Formulas written for NumPy take it as they take a float;
NumPy's arrays of objects are its vectors. What they do is recorded once (the same operation of the
same operands is the same symbol), without branches: a formula that asks whether a symbol is true
can't be traced and raises a TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Operand = Any  # Symbol or float


class CannotTrace(Exception):
    """A formula is not one of those that a trace knows; the text says why."""


class Tape:
    """The symbols of one trace, each in front of those that use it."""

    def __init__(self) -> None:
        self._known: dict[tuple, Symbol] = {}

    def record(self, op: str, *args: Operand) -> Symbol:
        """The symbol of an operation; the one that is there already, if it is."""
        key = (op, *args)
        if key not in self._known:
            self._known[key] = Symbol(self, op, args, len(self._known))
        return self._known[key]

    @property
    def size(self) -> int:
        """How many symbols were recorded so far."""
        return len(self._known)

    def read(self, group: str, rows: int, first: int = 0) -> np.ndarray:
        """Inputs: rows ``first`` to ``first + rows`` of a group, as an array of symbols (rows)."""
        symbols = np.empty(rows, object)
        for k in range(rows):
            symbols[k] = self.record("read", group, first + k)
        return symbols


@dataclass(frozen=True, eq=False)
class Synapses:
    """A matrix of weights with its zeros left out; it stays a loop in the code.

    Neuron n has the synapses ``start[n]`` to ``start[n + 1]``. Recorded as ``linear`` of all
    sources, whose ``item`` n is the sum of weight times source over them. ``linear_back`` of the
    ``linear`` and the adjoint of each sum has the adjoints of the sources as its items, and adds
    those of the weights to ``d_weights``, as an output that is summed (`source.Output`).
    """

    start: tuple[int, ...]
    source: tuple[int, ...]
    weight: tuple[int, ...]  # its place in the group ``weights``

    def sums(self, tape: Tape, sources: Sequence[Operand]) -> list[Symbol]:
        """The sum of each neuron."""
        whole = tape.record("linear", self, *sources)
        return [tape.record("item", whole, n) for n in range(len(self.start) - 1)]


class Symbol:
    """One component of a batch, see the module."""

    __slots__ = ("args", "number", "op", "tape")

    def __init__(self, tape: Tape, op: str, args: tuple, number: int) -> None:
        self.tape, self.op, self.args, self.number = tape, op, args, number

    def __bool__(self) -> bool:
        raise TypeError("a formula that branches on its data can't be traced")

    def __float__(self) -> float:
        raise TypeError("a formula that wants the value of a number can't be traced")

    def _of(self, op: str, *args: Operand) -> Symbol:
        return self.tape.record(op, *(_plain(a) for a in args))

    def __add__(self, other):
        if other is self:
            return 2.0 * self
        return self if _is(other, 0.0) else self._sum("add", self, other)

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self if _is(other, 0.0) else self._sum("sub", self, other)

    def __rsub__(self, other):
        return -self if _is(other, 0.0) else self._sum("sub", other, self)

    def _sum(self, op: str, a: Operand, b: Operand):
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            return NotImplemented
        return self._of(op, a, b)

    def __mul__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        if _is(other, 0.0):
            return 0.0
        if _is(other, -1.0):
            return -self
        return self if _is(other, 1.0) else self._of("mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self if _is(other, 1.0) else self._of("div", self, other)

    def __rtruediv__(self, other):
        return 0.0 if _is(other, 0.0) else self._of("div", other, self)

    def __pow__(self, power):
        if power == 0.5:
            return self.sqrt()
        if power == 2:
            return self * self
        raise TypeError(f"power {power} can't be traced, expected 0.5 or 2")

    def __neg__(self):
        return self.args[0] if self.op == "neg" else self._of("neg", self)

    def __abs__(self):
        return self._of("abs", self)

    def __lt__(self, other):
        return self._of("lt", self, other)

    def __gt__(self, other):
        return self._of("lt", other, self)

    def __le__(self, other):
        return self._of("le", self, other)

    def __ge__(self, other):
        return self._of("le", other, self)

    def sqrt(self):
        """The square root, elementwise."""
        return self._of("sqrt", self)

    def exp(self):
        """The exponential, e to it."""
        return self._of("exp", self)

    def sin(self):
        """Sine of an angle in rad."""
        return self._of("sin", self)

    def cos(self):
        """Cosine of an angle in rad."""
        return self._of("cos", self)

    def tanh(self):
        """The hyperbolic tangent of it."""
        return self._of("tanh", self)

    def sigmoid(self):
        """The logistic function, 1/(1 + exp(-x))."""
        return self._of("sigmoid", self)

    def expm1(self):
        """e to it, minus 1."""
        return self._of("expm1", self)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method != "__call__" or options:
            raise TypeError(f"{ufunc.__name__}.{method} can't be traced")
        function = _UFUNCS.get(ufunc.__name__)
        if function is None:
            raise TypeError(f"{ufunc.__name__} can't be traced, expected one of {list(_UFUNCS)}")
        inputs = [float(v) if isinstance(v, np.generic) else v for v in inputs]
        if any(isinstance(value, np.ndarray) for value in inputs):
            return np.frompyfunc(function, len(inputs), 1)(*_as_objects(inputs))
        return function(*inputs)

    def __array_function__(self, function, types, args, options):
        name = function.__name__
        if name not in _FUNCTIONS or options:
            raise TypeError(f"{name} can't be traced, expected one of {list(_FUNCTIONS)}")
        return _FUNCTIONS[name](*args)


def _plain(value: Operand) -> Operand:
    return value if isinstance(value, Symbol) else float(value)


def _is(value: Operand, number: float) -> bool:
    return not isinstance(value, (Symbol, np.ndarray)) and value == number


def _as_objects(values: Sequence) -> list[np.ndarray]:
    """Each as an array, a symbol as one without axes."""
    result = []
    for value in values:
        if isinstance(value, Symbol):
            holder = np.empty((), object)
            holder[()] = value
            value = holder
        result.append(value)
    return result


def _symbol_of(*values: Operand) -> Symbol | None:
    return next((value for value in values if isinstance(value, Symbol)), None)


def maximum(a: Operand, b: Operand) -> Operand:
    """The larger one; a where both are equal, as in torch's gradient of a clamp."""
    symbol = _symbol_of(a, b)
    return max(a, b) if symbol is None else symbol._of("max", a, b)


def minimum(a: Operand, b: Operand) -> Operand:
    """The smaller one; a where both are equal."""
    symbol = _symbol_of(a, b)
    return min(a, b) if symbol is None else symbol._of("min", a, b)


def where(condition: Operand, a: Operand, b: Operand) -> Operand:
    """a where the condition is not 0, else b."""
    if not isinstance(condition, Symbol):
        return a if condition else b
    if not isinstance(a, Symbol) and a == b:
        return a
    return a if a is b else condition._of("where", condition, a, b)


def _clip(x: Operand, low: float, high: float) -> Operand:
    x = x if low == -math.inf else maximum(x, low)
    return x if high == math.inf else minimum(x, high)


_UFUNCS: dict[str, Callable] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "negative": lambda a: -a,
    "absolute": abs,
    "sqrt": lambda a: a.sqrt(),
    "exp": lambda a: a.exp(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "ceil": lambda a: a._of("ceil", a),
    "maximum": maximum,
    "minimum": minimum,
    "less": lambda a, b: a < b,
    "greater": lambda a, b: a > b,
}
_FUNCTIONS: dict[str, Callable] = {
    "where": where,
    "clip": _clip,
    "ones_like": lambda a: 1.0,
}
