"""How kernels are compiled, and kept on disk for as long as nothing that they are made of changes.

Compiling takes seconds, so it is paid once a machine, not once a process. numba looks for changes
in the kernel's own file only; here a kernel is compiled anew as well when a function that it
inlines, a file of this folder or a number or name that it reads was changed.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

FOLDER = Path(__file__).parent
inlined = numba.njit(forceinline=True, error_model="numpy")


def kernel(function: Callable, name: str = "") -> Dispatcher:
    """``function`` compiled, and kept on disk where a folder for that can be written.

    name: tells kernels apart that one function makes of what is given to it.
    """
    dispatcher = numba.njit(error_model="numpy")(function)
    # nowhere to write, or a source without a file: it lives as long as the process
    with suppress(RuntimeError, OSError, TypeError):
        dispatcher._cache = _Cache(function, name)
    return dispatcher


class _Cache(FunctionCache):
    """numba's cache, with a digest of all sources in place of one file's date."""

    def __init__(self, function: Callable, name: str) -> None:
        super().__init__(function)
        suffix = "-" + re.sub(r"\W", "_", name) if name else ""
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base + suffix,
            source_stamp=sources_digest(function),
        )

    def _index_key(self, signature, codegen) -> tuple:
        return signature, codegen.magic_tuple()


def sources_digest(function: Callable) -> str:
    """Digest of a kernel's ingredients: files, and numbers and names from outside."""
    parts = set()
    files = set(FOLDER.glob("*.py"))
    for ingredient in _ingredients(function, set()):
        (files if isinstance(ingredient, Path) else parts).add(ingredient)
    digest = hashlib.sha256(repr(sorted(parts)).encode())
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _ingredients(function: FunctionType, seen: set) -> Iterator[Path | str]:
    """The file of a function and of each that it calls, and the values it reads from outside."""
    if function in seen:
        return
    seen.add(function)
    yield Path(inspect.getfile(function))
    outside = inspect.getclosurevars(function)
    for name, value in {**outside.globals, **outside.nonlocals}.items():
        value = getattr(value, "py_func", value)
        if isinstance(value, FunctionType):
            yield from _ingredients(value, seen)
        elif _is_plain(value):
            yield f"{name} = {value!r}"
        elif hasattr(value, "_fields"):
            yield f"{name}: {value._fields}"


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, (int, float, str))
