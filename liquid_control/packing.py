"""Named tuples of numbers as one flat array, and back: the form that a compiled call takes fastest.

The layout follows from the annotations of the fields, in their order; nothing is numbered by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np


def pack(*values: tuple) -> np.ndarray:
    """All numbers of nested tuples, in order, as one float array ``(n,)``."""
    return np.array(list(_leaves(values)), dtype=float)


def unpacker(*kinds: type) -> Callable[[np.ndarray], Any]:
    """The inverse of `pack` for values of these NamedTuples: the tuple of them, or the only one.

    A field is annotated with a NamedTuple, with ``tuple[...]`` that spells out its items, or with
    anything else for one number. What is returned is a plain function of indexing and calls, which
    numba compiles.
    """
    numbers = itertools.count()
    fields = ", ".join(name for kind in kinds for name in _names(kind))
    parts = [_expression(kind, numbers) for kind in kinds]
    scope: dict[str, Any] = {"__name__": __name__}
    for kind in kinds:
        scope.update((c.__name__, c) for c in _classes(kind))
    # the names of the fields in its docstring: two layouts never make the same function
    source = f'def unpack(a):\n    """{fields}"""\n    return {", ".join(parts)}\n'
    exec(compile(source, f"<layout of {', '.join(k.__name__ for k in kinds)}>", "exec"), scope)
    return scope["unpack"]


def _leaves(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _is_named(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def _items(hint: Any) -> tuple | None:
    """What a tuple of this kind holds; None for a number."""
    if _is_named(hint):
        hints = get_type_hints(hint)
        return tuple(hints[name] for name in hint._fields)
    return get_args(hint) if get_origin(hint) is tuple else None


def _expression(hint: Any, numbers: Iterator[int]) -> str:
    items = _items(hint)
    if items is None:
        return f"a[{next(numbers)}]"
    inside = ", ".join(_expression(item, numbers) for item in items)
    return f"{hint.__name__}({inside})" if _is_named(hint) else f"({inside},)"


def _classes(hint: Any) -> Iterator[type]:
    if _is_named(hint):
        yield hint
    for item in _items(hint) or ():
        yield from _classes(item)


def _names(hint: Any) -> Iterator[str]:
    if _is_named(hint):
        for name, item in zip(hint._fields, _items(hint), strict=True):
            yield name
            yield from _names(item)
    else:
        for item in _items(hint) or ():
            yield from _names(item)
