"""The files of a training run: checkpoint, log, and the artifact with its record at the end."""

from __future__ import annotations

import io
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from liquid_control.config import ConfigError
from liquid_control.evaluation.provenance import provenance
from liquid_control.nn.export import export_policy
from liquid_control.training.config import TrainingConfig
from liquid_control.training.expert import Expert
from liquid_control.training.policy import Progress, Trainer, rules_of

CHECKPOINT_EVERY = 20.0  # s
LOG_EVERY = 10  # updates


class RunFiles:
    """Files of one run."""

    def __init__(
        self,
        config: TrainingConfig,
        trainer: Trainer,
        out: Path,
        clock: Callable[[], float],
        restart: bool,
    ) -> None:
        self.config, self.trainer, self.out, self._clock = config, trainer, out, clock
        self.checkpoint, self.log = out / "checkpoint.pt", out / "log.jsonl"
        self.seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        if self.checkpoint.is_file() and not restart:
            self._resume()
        self._since, self._saved = clock(), time.monotonic()

    def _resume(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what a damaged file seems to be
                state = torch.load(self.checkpoint, weights_only=True, map_location="cpu")
            of_config = state["config"]
        except Exception:  # torch raises errors of many kinds, and of many lines
            raise ConfigError(
                f"{self.checkpoint}: damaged, or not a checkpoint; start anew with --restart"
            ) from None
        if of_config != self.config.model_dump_json():
            raise ConfigError(
                f"{self.checkpoint}: of another configuration; give another --out, or start anew "
                "with --restart"
            )
        try:
            self.trainer.load_state_dict(state["trainer"])
            self.seconds, self.rows = state["seconds"], state["rows"]
        except (KeyError, RuntimeError):
            raise ConfigError(
                f"{self.checkpoint}: of another version of liquid_control; start anew with "
                "--restart"
            ) from None

    def after_update(self, progress: Progress) -> None:
        now = self._clock()
        self.seconds += now - self._since
        self._since = now
        if progress.update % LOG_EVERY == 0 or progress.update == progress.updates:
            self.rows.append(
                {
                    "update": progress.update,
                    "seconds": round(self.seconds, 2),
                    "loss": progress.loss,
                    "rmse_m": None if np.isnan(progress.error) else progress.error,
                }
            )
        if time.monotonic() - self._saved > CHECKPOINT_EVERY:
            self.save()

    def save(self) -> None:
        """Write checkpoint and log; each appears whole or not at all."""
        state = {
            "config": self.config.model_dump_json(),
            "trainer": self.trainer.state_dict(),
            "seconds": self.seconds,
            "rows": self.rows,
        }
        partial = self.checkpoint.with_suffix(".partial")
        buffer = io.BytesIO()  # a full disk is then an OSError, not one of torch's own
        torch.save(state, buffer)
        partial.write_bytes(buffer.getbuffer())
        os.replace(partial, self.checkpoint)
        partial = self.log.with_suffix(".partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        os.replace(partial, self.log)
        self._saved = time.monotonic()

    def export(self) -> Path:
        """Write the result with its training record; returns its path."""
        trainer, config = self.trainer, self.config
        tail = [row["rmse_m"] for row in self.rows[-10:] if row["rmse_m"] is not None]
        record = {
            "config": config.model_dump(mode="json"),
            "updates": trainer.update,
            "seconds": round(self.seconds, 1),
            "loss": self.rows[-1]["loss"],
            "training_rmse_m": float(np.mean(tail)) if tail else None,
            "provenance": provenance(),
        }
        if isinstance(trainer.policy, Expert):
            return _write_gains(self.out / "gains.yaml", trainer.policy, record)
        cell = trainer.policy.cell
        path = self.out / "policy.onnx"
        export_policy(
            trainer.policy.cpu(),
            path,
            observation=trainer.layout,
            command=rules_of(config).command,
            control_period=1.0 / config.control_rate,
            network="_".join(_network_name(cell.config())),
            vehicle=config.vehicle,
            training=record,
            rng=np.random.default_rng(config.seed),
        )
        return path


def _write_gains(path: Path, expert: Expert, record: dict[str, Any]) -> Path:
    text = (
        f"# Gains of the geometric controller, tuned in {record['updates']} updates, "
        f"{record['seconds']} s.\n"
        "# Units and ranges: see GeometricGains in vehicles/quadrotor/parameters.py.\n"
    )
    partial = path.with_suffix(".partial")
    partial.write_text(text + yaml.safe_dump(expert.gains().model_dump(), sort_keys=False))
    os.replace(partial, path)
    return path


def _network_name(cell: dict[str, Any]) -> list[str]:
    name = [cell["kind"]]
    if "mode" in cell:
        name.append(cell["mode"])
    if "wiring" in cell:
        name.append(cell["wiring"]["kind"])
    return name
