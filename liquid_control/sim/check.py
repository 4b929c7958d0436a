"""Checks of world files before anybody flies in them, and their JSON schema for editors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from liquid_control.config import ConfigError, share_dir
from liquid_control.sim.scenario import WorldConfig, read_world


class Problem(NamedTuple):
    """One mistake in a world file."""

    path: str
    key: str  # dotted, "" for the file as a whole
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)


def world_files() -> list[Path]:
    """The worlds that ship."""
    return sorted((share_dir() / "sim_worlds").glob("*.yaml"))


def check_worlds(
    paths: Iterable[str | Path], read: Callable[[Path], WorldConfig] = read_world
) -> list[Problem]:
    """Every mistake in the files, by file, key and reason; empty if there is none.

    Args:
        read: the way to a world of whoever is going to fly in it.
    """
    return [problem for path in paths for problem in _check(Path(path), read)]


def _check(path: Path, read: Callable[[Path], WorldConfig]) -> list[Problem]:
    try:
        read(path)
    except ConfigError as error:
        if error.details:
            return [Problem(str(path), key, reason) for key, reason in error.details]
        return [Problem(str(path), "", str(error).removeprefix(f"{path}: "))]
    return []


def world_schema() -> dict[str, Any]:
    """JSON schema of a world file (draft 2020-12), for editors and other tools."""
    schema = WorldConfig.model_json_schema()
    base = {"type": "string", "description": "another world, of which all else is taken"}
    schema["properties"] = {"extends": base, **schema["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
