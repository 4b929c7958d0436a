"""YAML files that extend others and name others: a world, a suite, a training run, a sensor."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError, find_file, merge, read_yaml, shipped


def read_extended(
    path: Path,
    folder: str,
    *,
    whole: Container[str] = (),
    own: Container[str] = (),
    places: Iterable[str] = (),
    seen: tuple[Path, ...] = (),
) -> Any:
    """The content of a YAML file that may say ``extends: NAME`` of another.

    It then takes all of that file but the keys it gives itself, see `config.merge`. The name
    is that of a file beside it, a path, or one of those in ``folder`` of the share folder.

    Args:
        whole: see `config.merge`.
        own: keys of the outermost mapping that are not taken over.
        places: of names of files, which each file looks for beside itself, see `located`.

    Raises:
        ConfigError: for a file that can't be read, is not there or extends itself.
    """
    if path in seen:
        raise ConfigError(f"{path}: extends itself by way of {', '.join(map(str, seen))}")
    data = located(read_yaml(path), path, places)
    return extended(data, folder, path, whole=whole, own=own, places=places, seen=(*seen, path))


def extended(
    data: Any,
    folder: str,
    path: Path | None = None,
    *,
    whole: Container[str] = (),
    own: Container[str] = (),
    places: Iterable[str] = (),
    seen: tuple[Path, ...] = (),
) -> Any:
    """``data`` without its ``extends``, which `read_extended` describes; it stands in ``path``."""
    if not isinstance(data, dict) or "extends" not in data:
        return data
    name = data["extends"]
    if not isinstance(name, str):
        place = f"{path}: " if path else ""
        raise ConfigError(f"{place}extends: expected the name of a file, got {name!r}")
    base_path = find_file(name, folder, beside=path)
    base = read_extended(base_path, folder, whole=whole, own=own, places=places, seen=seen)
    if isinstance(base, dict):
        base = {key: value for key, value in base.items() if key not in own}
    rest = {key: value for key, value in data.items() if key != "extends"}
    return merge(base, rest, whole=whole)


def located(data: Any, path: Path, places: Iterable[str]) -> Any:
    """``data`` of the file at ``path``, with the full path in place of each name of one beside it.

    What names no file beside it stays as it is: the name of a shipped one, or a mistake that
    whoever reads it tells.

    Args:
        places: where names of files stand, as dotted keys, ``*`` for all of a mapping or list;
            a list there is one of names. A name has its suffix, or is ``file.py:Name``. Where
            a place says ``key:folder`` it may be a stem too, other than of what is shipped there.
    """
    for place in places:
        keys, _, folder = place.partition(":")
        data = _locate(data, keys.split("."), path, folder)
    return data


def _locate(data: Any, keys: list[str], path: Path, folder: str) -> Any:
    if isinstance(data, str) and not keys:
        return _full_name(data, path, folder)
    if isinstance(data, list) and (not keys or keys[0] == "*"):
        return [_locate(item, keys[1:], path, folder) for item in data]
    if isinstance(data, dict) and keys:
        changed = data if keys[0] == "*" else {keys[0]} & set(data)
        return data | {key: _locate(data[key], keys[1:], path, folder) for key in changed}
    return data


def _full_name(name: str, path: Path, folder: str) -> str:
    file, colon, attribute = name.rpartition(":")
    if colon and file.endswith(".py"):
        found = path.parent / file
        return f"{found.absolute()}:{attribute}" if found.is_file() else name
    candidates = [path.parent / name]
    if folder and name not in shipped(folder):
        candidates.append(path.parent / f"{name}.yaml")
    for found in candidates:
        if found.is_file() and not found.samefile(path):
            return str(found.absolute())
    return name
