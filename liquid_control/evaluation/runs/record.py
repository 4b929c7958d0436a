"""What a run says of itself: a small JSON file in its folder, ``flight.json`` or ``training.json``.

It holds what a list of runs shows and no array tells: when, by which version, with which settings,
what came of it. The file appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError
from liquid_control.evaluation.provenance import provenance
from liquid_control.whole_file import write_whole

FLIGHT, TRAINING = "flight", "training"
SCHEMA = 1


def record_name(kind: str) -> str:
    """Name of the file of a kind of run."""
    return f"{kind}.json"


def write_record(
    folder: Path, kind: str, facts: Mapping[str, Any], origin: Mapping[str, str] | None = None
) -> Path:
    """Write the record of a run into its folder; returns its path.

    Args:
        kind: `FLIGHT` or `TRAINING`.
        facts: plain values, for strict JSON.
        origin: versions, machine and date; default: those of now.

    Raises:
        OSError: if it can't be written.
    """
    origin = provenance() if origin is None else origin
    record = {"kind": kind, "schema": SCHEMA, **facts, "provenance": dict(origin)}
    path = folder / record_name(kind)
    return write_whole(path, json.dumps(record, allow_nan=False, indent=1) + "\n")


def read_record(folder: Path, kind: str) -> dict[str, Any]:
    """The record of a run; empty where there is none.

    Raises:
        ConfigError: for a file that is none, or of a newer schema.
    """
    path = folder / record_name(kind)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: no JSON: {error}") from None
    if not isinstance(record, dict) or record.get("kind") != kind:
        raise ConfigError(f"{path}: not the record of a {kind}")
    if record.get("schema") != SCHEMA:
        raise ConfigError(f"{path}: schema {record.get('schema')!r}, expected {SCHEMA}")
    return record
