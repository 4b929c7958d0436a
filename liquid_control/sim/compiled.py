"""The world's kernels, compiled by numba where that is installed, else as plain Python.

A kernel is a function of floats. What it calls is found from its code, so a formula that a kernel
begins to use is compiled with it; nothing is listed here. A function that serves floats and arrays
by looking at their type, which numba can't, says what it is for floats in its ``on_floats``.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from types import CellType, FunctionType, ModuleType

_PROJECT = __name__.partition(".")[0]
_compiled: dict[Callable, Callable] = {}
_registered: set[Callable] = set()


def kernel_kind() -> str:
    """How this installation runs the kernels: "numba" or "python"."""
    return "python" if importlib.util.find_spec("numba") is None else "numba"


def called_by(function: Callable) -> list[Callable]:
    """The functions of this project that ``function`` calls, directly or not, without itself."""
    found: dict[Callable, None] = {}
    waiting = [function]
    while waiting:
        code = waiting.pop()
        for callee in _named_in(code):
            if callee is not function and callee not in found:
                found[callee] = None
                waiting.append(_on_floats(callee))
    return list(found)


def compile_kernel(function: Callable) -> Callable:
    """``function`` on floats as fast as this installation can run it.

    numba keeps what it has compiled on disk, and compiles anew after an edit of any function that
    the kernel calls.
    """
    if kernel_kind() == "python":
        return function
    if function not in _compiled:
        from numba import njit

        callees = called_by(function)
        for callee in callees:
            _register(callee)
        stamped = _stamped(function, callees)
        try:
            _compiled[function] = njit(cache=True)(stamped)
        except RuntimeError:  # no folder that can be written: compiled in every process
            _compiled[function] = njit(stamped)
    return _compiled[function]


def _on_floats(function: Callable) -> Callable:
    return getattr(function, "on_floats", function)


def _named_in(function: Callable) -> list[Callable]:
    """Functions of the project that the code names, in its own module or through another."""
    names, scope = function.__code__.co_names, function.__globals__
    values = [scope[name] for name in names if name in scope]
    modules = [value for value in values if isinstance(value, ModuleType)]
    values += [getattr(module, name, None) for module in modules for name in names]
    return [
        value
        for value in values
        if isinstance(value, FunctionType) and value.__module__.split(".")[0] == _PROJECT
    ]


def _register(function: Callable) -> None:
    """Tell numba that a kernel may call ``function``."""
    if function in _registered:
        return
    from numba.extending import overload

    on_floats = _on_floats(function)
    overload(function, strict=False)(lambda *args, **kwargs: on_floats)
    _registered.add(function)


def _stamped(function: FunctionType, callees: list[Callable]) -> FunctionType:
    """``function`` with a digest of all that is compiled into it among its closure, which numba's
    cache on disk is keyed by; of callees it knows nothing."""
    digest = hashlib.sha256()
    for part in (function, *map(_on_floats, callees)):
        code, scope = part.__code__, part.__globals__
        numbers = [(n, scope[n]) for n in code.co_names if isinstance(scope.get(n), int | float)]
        digest.update(code.co_code)
        digest.update(repr((code.co_consts, code.co_names, numbers)).encode())
    code = function.__code__.replace(co_freevars=("digest",))
    stamped = FunctionType(
        code, function.__globals__, function.__name__, None, (CellType(digest.hexdigest()),)
    )
    stamped.__qualname__, stamped.__module__ = function.__qualname__, function.__module__
    return stamped
