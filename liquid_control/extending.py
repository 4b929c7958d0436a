"""YAML files that extend others and name others: a world, a suite, a training run, a sensor."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError, find_file, merge, read_yaml


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
    whoever reads it tells. A name is that of the whole file here, with its suffix, as a stem may be
    that of something else beside it.

    Args:
        places: where names of files stand, as dotted keys, ``*`` for all of a mapping or list;
            a list there is one of names. ``file.py:Name`` is a name too.
    """
    for place in places:
        data = _locate(data, place.split("."), path)
    return data


def _locate(data: Any, keys: list[str], path: Path) -> Any:
    if isinstance(data, str) and not keys:
        file, colon, name = data.rpartition(":")
        module = bool(colon) and file.endswith(".py")
        found = path.parent / (file if module else data)
        if not found.is_file() or found.samefile(path):
            return data
        return f"{found.absolute()}:{name}" if module else str(found.absolute())
    if isinstance(data, list) and (not keys or keys[0] == "*"):
        return [_locate(item, keys[1:], path) for item in data]
    if isinstance(data, dict) and keys:
        changed = data if keys[0] == "*" else {keys[0]} & set(data)
        return data | {key: _locate(data[key], keys[1:], path) for key in changed}
    return data
