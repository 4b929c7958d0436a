"""Checks of world files before anybody flies in them, and their JSON schema for editors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from liquid_control.config import ConfigError, error_details, read_yaml, share_dir
from liquid_control.sim.scenario import WorldConfig
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.params import RateLoopParams


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


def check_worlds(paths: Iterable[str | Path]) -> list[Problem]:
    """Every mistake in the files, by file, key and reason; empty if there is none."""
    return [problem for path in paths for problem in _check(Path(path))]


def _check(path: Path) -> list[Problem]:
    try:
        data = read_yaml(path)
        config = WorldConfig.model_validate(data)
        # the autopilot's mixer is only made, and so only checked, with the vehicle
        RateLoopParams.from_vehicle(load_vehicle(config.vehicle))
    except ValidationError as error:
        return [Problem(str(path), key, reason) for key, reason in error_details(error, data)]
    except ConfigError as error:
        return [Problem(str(path), "", str(error).removeprefix(f"{path}: "))]
    problems = []
    if config.name != path.stem:
        problems.append(Problem(str(path), "name", f"expected {path.stem!r}, got {config.name!r}"))
    if config.success.settle_time >= config.duration:
        reason = f"expected less than the duration, got {config.success.settle_time:g}"
        problems.append(Problem(str(path), "success.settle_time", reason))
    length = sum(segment.duration for segment in config.task)
    if abs(length - config.duration) > 1e-9:
        reason = f"expected the {length:g} s that the task's segments last, got {config.duration:g}"
        problems.append(Problem(str(path), "duration", reason))
    return problems


def world_schema() -> dict[str, Any]:
    """JSON schema of a world file (draft 2020-12), for editors and other tools."""
    schema = WorldConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
