"""Things of your own by name: ``package.module:Name`` or ``file.py:Name``.

A policy, or the kind of a vehicle, may be given so: what stands in the module is imported, and
whatever it registers (sensors, wind sources, metrics, ...) is known from then on, in every process
that reads the name, and in every worker process that is started after it.

A file's folder is appended to ``sys.path`` for good, so that it can import its neighbours, at once
or when it is used. It is appended, so no neighbour hides a package that is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from liquid_control.config import ConfigError


class Own(NamedTuple):
    """A thing of somebody's own, as another process can come to know it; it travels by pickle."""

    module: str  # its name in this process, which pickled objects go by
    file: str  # full path; "" for a module that is found by its name
    attribute: str
    register: Callable[[Any], object] | None


_imported: dict[Own, None] = {}  # in order


def is_import_name(name: str) -> bool:
    """Whether a name is of the form ``package.module:Name`` or ``file.py:Name``."""
    module, colon, attribute = name.rpartition(":")
    return bool(colon and module) and attribute.isidentifier()


def import_object(
    name: str, folder: Path | None = None, *, register: Callable[[Any], object] | None = None
) -> Any:
    """What a name stands for.

    Args:
        name: see `is_import_name`. A file is relative to ``folder``, or else to the working folder;
            a package is also looked for in the working folder.
        register: called with it, here and in each worker process; a function of a module.

    Raises:
        ConfigError: for a module that can't be imported, and for a name that it lacks.
    """
    module_name, _, attribute = name.rpartition(":")
    file = ""
    try:
        if module_name.endswith(".py"):
            path = ((folder or Path()) / module_name).resolve()
            module, file = _import_file(path), str(path)
        else:
            _look_in(Path.cwd())  # a console script does not have it
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # an ImportError, or whatever the module raises
        reason = error if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{name}: {reason}") from None
    if not hasattr(module, attribute):
        raise ConfigError(f"{name}: {module_name} has no {attribute}")
    found = getattr(module, attribute)
    if register is not None:
        register(found)
    # the main module is loaded by whoever starts the process; what was made can't be hashed
    if module.__name__ != "__main__":
        _imported[Own(module.__name__, file, attribute if register else "", register)] = None
    return found


def own_things() -> tuple[Own, ...]:
    """All that was imported by a name so far and is still there, for `know`."""
    return tuple(thing for thing in _imported if thing.module in sys.modules)


def know(things: Iterable[Own]) -> None:
    """Import, in a new process, what another one had: what it pickles can be read then."""
    for thing in things:
        if thing.file:
            module = _import_file(Path(thing.file), thing.module)
        else:
            module = importlib.import_module(thing.module)
        if thing.register is not None:
            thing.register(getattr(module, thing.attribute))
        _imported[thing] = None


def absolute_name(name: str) -> str:
    """The same name from any working folder: a file by its full path."""
    module, _, attribute = name.rpartition(":")
    return f"{Path(module).absolute()}:{attribute}" if module.endswith(".py") else name


def source_of(name: str) -> bytes:
    """The text of the module in which the name stands, by which a change of it is noticed."""
    import_object(name)
    module = name.rpartition(":")[0]
    path = Path(module) if module.endswith(".py") else Path(sys.modules[module].__file__)
    return path.read_bytes()


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _own_name(path: Path) -> str:
    """A name that no package has and that is the same in every process."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return f"own_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"


def _import_file(path: Path, name: str = "") -> ModuleType:
    """The module of a file; the same one every time, so that it registers things once.

    It has the ``name``, or one by its path; a module that was loaded from the file under another
    name is that module, which then has this one too if it was asked for.
    """
    if not path.is_file():
        raise ConfigError(f"no such file: {path}")
    for module in tuple(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).name == path.name and Path(file).resolve() == path:
            if name:
                sys.modules.setdefault(name, module)
            return module
    _look_in(path.parent)
    name = name or _own_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
