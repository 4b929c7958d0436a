"""Things of your own by name: ``package.module:Name`` or ``file.py:Name``.

A policy, or the kind of a vehicle, may be given so: what stands in the module is imported, and
whatever it registers (sensors, wind sources, metrics, ...) is known from then on, in every process
that reads the name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from liquid_control.config import ConfigError


def is_import_name(name: str) -> bool:
    """Whether a name is of the form ``package.module:Name`` or ``file.py:Name``."""
    module, colon, attribute = name.rpartition(":")
    return bool(colon and module) and attribute.isidentifier()


def import_object(name: str, folder: Path | None = None) -> Any:
    """What a name stands for.

    Args:
        name: see `is_import_name`. A file is relative to ``folder``, or else to the working folder;
            a package is also looked for in the working folder.

    Raises:
        ConfigError: for a module that can't be imported, and for a name that it lacks.
    """
    module_name, _, attribute = name.rpartition(":")
    try:
        if module_name.endswith(".py"):
            module = _import_file((folder or Path()) / module_name)
        else:
            if str(Path.cwd()) not in sys.path:
                sys.path.append(str(Path.cwd()))  # a console script does not have it
            module = importlib.import_module(module_name)
    except Exception as error:  # an ImportError, or whatever the module raises
        reason = error if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"{name}: {reason}") from None
    if not hasattr(module, attribute):
        raise ConfigError(f"{name}: {module_name} has no {attribute}")
    return getattr(module, attribute)


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


def _import_file(path: Path) -> ModuleType:
    """The module of a file; the same one every time, so that it registers things once."""
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"no such file: {path}")
    for module in tuple(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).name == path.name and Path(file).resolve() == path:
            return module
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_{abs(hash(path)):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
