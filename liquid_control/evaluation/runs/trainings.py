"""A training run that `train` keeps: its log, its record, and the policy once there is one.

A log that lies beside a policy of its name, as those of the shipped ones do, is a run as well; what
it does not say is told by the policy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.evaluation.runs.record import TRAINING, read_record, record_name
from liquid_control.evaluation.runs.run import POINTS, Curve, Run, changed, present
from liquid_control.evaluation.views.training_curves import SPAN, TRAINING_LOG
from liquid_control.runtime.artifact import load_artifact

FILES = {
    **{"picture": "training.png", "policy": "policy.onnx", "gains": "gains.yaml"},
    "log": TRAINING_LOG,
}
AXES = {"update": "update", "seconds": "training time, s"}
_CURVES = (  # column of the log, group, title, factor, whether it is noisy and spans decades
    ("rmse_m", "error", "error in training, cm", 100, True),
    ("held_out_m", "held-out error", "error in held-out episodes, cm", 100, False),
    ("loss", "loss", "loss", 1, True),
    ("learning_rate", "learning rate", "learning rate", 1, False),
    ("env_steps_per_s", "speed", "environment steps per s", 1, False),
)


def training_logs(folder: Path, names: set[str]) -> list[Path]:
    """The logs of a folder with these files: its own, and those beside a policy of their name."""
    found = [name for name in names if name.endswith(".jsonl") and f"{name[:-6]}.onnx" in names]
    if TRAINING_LOG in names or record_name(TRAINING) in names:
        found.append(TRAINING_LOG)
    return [folder / name for name in sorted(found)]


def training_run(log: Path, name: str) -> Run:
    """The training run of a log.

    Raises:
        ConfigError: which names the file that can't be read.
    """
    own = log.name == TRAINING_LOG
    record = read_record(log.parent, TRAINING) if own else {}
    rows = _read_rows(log)
    stride = -(-len(rows) // POINTS)
    kept = np.arange(len(rows))[::-stride][::-1]  # the last row among them
    policy = log.with_name("policy.onnx") if own else log.with_suffix(".onnx")
    record = record or _of_policy(policy)
    config = record.get("config", {})
    measured = _column(rows, "held_out_m")
    measured = measured[np.isfinite(measured)]
    error = measured[-1] if len(measured) else _running_mean(_column(rows, "rmse_m"))[-1]
    updates = record.get("update", rows[-1]["update"])
    planned = record.get("updates")
    files = present(log.parent, FILES) if own else {"policy": policy, "log": log}
    return Run(
        TRAINING,
        name,
        record.get("provenance", {}).get("date") or changed(log),
        policy=str(record.get("name", "")),
        setting=config.get("method", ""),
        vehicle=config.get("vehicle", ""),
        seed=config.get("seed"),
        error_m=float(error) if np.isfinite(error) else None,
        count=updates,
        planned=planned if planned is not None and planned > updates else None,
        seconds=record.get("seconds", rows[-1]["seconds"]),
        verdict=record.get("done"),
        files=files,
        axes={title: _column(rows, column)[kept] for column, title in AXES.items()},
        curves=[
            _curve(factor * values, kept, group, title, noisy)
            for column, group, title, factor, noisy in _CURVES
            if np.isfinite(values := _column(rows, column)).any()
        ],
    )


def _curve(values: np.ndarray, kept: np.ndarray, group: str, title: str, noisy: bool) -> Curve:
    if not noisy:  # what few rows have, as the error in held-out episodes, is joined by lines
        known = np.flatnonzero(np.isfinite(values))
        return Curve(group, title, np.interp(kept, known, values[known], left=np.nan))
    mean = _running_mean(values)
    return Curve(group, title, mean[kept], raw=values[kept], logarithmic=True)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean ``(N,)`` of each row and the up to `SPAN` - 1 before it, of those that are known."""
    known = np.isfinite(values)
    total, count = (
        np.convolve(part, np.ones(SPAN))[: len(values)]
        for part in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0.5)


def _of_policy(policy: Path) -> dict[str, Any]:
    """What a policy says of its training, in the words of a record."""
    if not policy.is_file():
        return {}
    metadata = load_artifact(policy).metadata
    training = metadata.training
    return {
        "name": metadata.network,
        "done": True,
        **{key: training[key] for key in ("config", "seconds", "provenance") if key in training},
    }


def _read_rows(log: Path) -> list[dict[str, Any]]:
    """The rows of a log, at least one."""
    try:
        rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            if not {"update", "seconds", "loss", "rmse_m"} <= row.keys():
                raise ValueError("expected update, seconds, loss and rmse_m in each row")
        if not rows:
            raise ValueError("it has no row yet")
        for column in ("update", "seconds", *(curve[0] for curve in _CURVES)):
            _column(rows, column)
    except OSError as error:
        raise ConfigError(f"{log}: can't be read: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{log}: not the log of a training: {error}") from None
    return rows


def _column(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """``(N,)``, NaN where a row has none; `TypeError` or `ValueError` for what is no number."""
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], float)
