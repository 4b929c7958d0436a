"""Reverse derivative of a trace: more symbols on the same tape.

With the adjoint ā = ∂L/∂a of each result a, that of an operand b is the sum of ā ∂a/∂b over the
operations that read it (Griewank and Walther, "Evaluating derivatives", 2008, chapter 3). Where a
function has a kink, the derivative is that of torch: a clamp passes it on at its bounds, an
absolute value at zero does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from liquid_control.training.lanes.symbols import Operand, Symbol, where


def adjoints(results: Sequence[Symbol], given: Sequence[Operand], of: Sequence[Symbol]) -> list:
    """The adjoint of each symbol in ``of``; 0.0 where no result depends on it.

    Args:
        results: what the loss depends on.
        given: its adjoint of each of them.
        of: inputs, or any other symbols.
    """
    sums: dict[Symbol | tuple, Operand] = {}  # by symbol, or by (linear, item)
    for result, adjoint in zip(results, given, strict=True):
        _add(sums, result, adjoint)
    wanted = set(of)
    depends = _depending_on(results, wanted)
    for symbol in sorted(depends, key=lambda s: s.number, reverse=True):
        if symbol.op == "linear":
            _linear(symbol, sums)
            continue
        adjoint = sums.get(symbol, 0.0)
        if symbol in wanted or _is_zero(adjoint):
            continue
        if symbol.op == "item":
            sums[symbol.args] = adjoint
            continue
        for operand, part in zip(symbol.args, _parts(symbol, adjoint), strict=True):
            if operand in depends and part is not None:
                _add(sums, operand, part)
    return [sums.get(symbol, 0.0) for symbol in of]


def _linear(symbol: Symbol, sums: dict) -> None:
    """Of all the sums of `symbols.Synapses` at once."""
    synapses, *sources = symbol.args
    given = [sums.get((symbol, n), 0.0) for n in range(len(synapses.start) - 1)]
    whole = symbol.tape.record("linear_back", symbol, *given)
    for k, source in enumerate(sources):
        _add(sums, source, symbol.tape.record("item", whole, k))


def _is_zero(value: Operand) -> bool:
    return not isinstance(value, Symbol) and value == 0.0


def _add(sums: dict, symbol: Operand, adjoint: Operand) -> None:
    if isinstance(symbol, Symbol) and not _is_zero(adjoint):
        sums[symbol] = sums[symbol] + adjoint if symbol in sums else adjoint


def _depending_on(results: Sequence[Symbol], of: set[Symbol]) -> set[Symbol]:
    """The symbols on the way from ``of`` to the results."""
    order = sorted(ancestors(results), key=lambda s: s.number)
    found: set[Symbol] = set()
    for symbol in order:
        if symbol in of or any(isinstance(a, Symbol) and a in found for a in symbol.args):
            found.add(symbol)
    return found


def ancestors(results: Sequence[Operand]) -> set[Symbol]:
    """All symbols that the results are computed of, they themselves included."""
    todo = [symbol for symbol in results if isinstance(symbol, Symbol)]
    found = set(todo)
    while todo:
        for operand in todo.pop().args:
            if isinstance(operand, Symbol) and operand not in found:
                found.add(operand)
                todo.append(operand)
    return found


def _parts(result: Symbol, g: Operand) -> tuple:
    """What each operand of an operation gets of its adjoint ``g``."""
    a, *others = result.args
    b = others[0] if others else None
    match result.op:
        case "add":
            return g, g
        case "sub":
            return g, -g
        case "mul":
            return g * b, g * a
        case "div":
            share = g / b
            return share, -share * result
        case "neg":
            return (-g,)
        case "sqrt":
            return (0.5 * g / result,)
        case "exp":
            return (g * result,)
        case "expm1":
            return (g * (result + 1.0),)
        case "tanh":
            return (g * (1.0 - result * result),)
        case "sigmoid":
            return (g * (result * (1.0 - result)),)
        case "sin":
            return (g * a.cos(),)
        case "cos":
            return (-g * a.sin(),)
        case "abs":
            return (where(a > 0.0, g, where(a < 0.0, -g, 0.0)),)
        case "max":
            return where(b <= a, g, 0.0), where(b <= a, 0.0, g)
        case "min":
            return where(a <= b, g, 0.0), where(a <= b, 0.0, g)
        case "where":
            return None, where(a, g, 0.0), where(a, 0.0, g)
        case "lt" | "le" | "ceil" | "read" | "weight":
            return (None,) * len(result.args)
    raise TypeError(f"{result.op} has no derivative here")
