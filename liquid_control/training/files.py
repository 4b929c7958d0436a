"""The files of a training run: checkpoint, log, and the artifact with its record at the end.

A checkpoint that can't be written is named, and tried again: a disk that is full for a while costs
no run.
"""

from __future__ import annotations

import io
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pydantic import ValidationError

from liquid_control.config import ConfigError
from liquid_control.evaluation.provenance import provenance
from liquid_control.evaluation.runs.record import TRAINING, read_record, write_record
from liquid_control.nn.export import export_policy
from liquid_control.runtime.artifact import load_artifact
from liquid_control.training.config import TrainingConfig
from liquid_control.training.expert import Expert
from liquid_control.training.policy import Progress, Trainer, rules_of
from liquid_control.training.watching import LOG, Watch
from liquid_control.whole_file import write_whole

CHECKPOINT_EVERY = 20.0  # s
LOG_EVERY = 10  # updates


class RunFiles:
    """Files of one run; ``name`` is that of its configuration."""

    def __init__(
        self,
        name: str,
        config: TrainingConfig,
        trainer: Trainer,
        out: Path,
        clock: Callable[[], float],
        restart: bool,
    ) -> None:
        self.name, self.config, self.trainer = name, config, trainer
        self.out, self._clock = out, clock
        self.checkpoint, self.log = out / "checkpoint.pt", out / "log.jsonl"
        self.seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        if self.checkpoint.is_file() and not restart:
            self._resume()
        self._origin, self._failing = provenance(), False
        self._watch = Watch(
            out, name, config.model_dump(mode="json"), self.rows, self.trainer.update
        )
        self._row_seconds, self._row_steps = self.seconds, 0
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
        """Note an update; every so often, save all."""
        self.seconds += self._clock() - self._since
        self._row_steps += progress.env_steps
        if progress.update % LOG_EVERY == 0 or progress.update == progress.updates:
            self.rows.append(self._row(progress))
            self._watch.row(self.rows[-1])
        if time.monotonic() - self._saved > CHECKPOINT_EVERY:
            self.save_if_possible()
        self._since = self._clock()  # what is written for those who watch is no training

    def _row(self, progress: Progress) -> dict[str, Any]:
        spent = self.seconds - self._row_seconds
        rate = self._row_steps / spent if spent > 0 and self._row_steps else None
        self._row_seconds, self._row_steps = self.seconds, 0
        return {
            "update": progress.update,
            "seconds": round(self.seconds, 2),
            "loss": progress.loss,
            "rmse_m": None if np.isnan(progress.error) else progress.error,
            "learning_rate": progress.learning_rate or None,
            "env_steps_per_s": None if rate is None else round(rate, 1),
            "rollbacks": progress.rollbacks,
            "held_out_m": None if np.isnan(progress.held_out) else progress.held_out,
        }

    def save(self, last: bool = False) -> None:
        """Write checkpoint, log and what is watched; each file appears whole or not at all.

        Raises:
            OSError: for the first that can't be written, once the others are.
        """
        self._saved = time.monotonic()
        errors = []
        for write in (self._write_checkpoint, self._write_log, self._record):
            try:
                write()
            except OSError as error:
                errors.append(error)
        self._watch.checkpoint(self.rows, last)
        if errors:
            raise errors[0]

    def _write_checkpoint(self) -> None:
        state = {
            "config": self.config.model_dump_json(),
            "trainer": self.trainer.state_dict(),
            "seconds": self.seconds,
            "rows": self.rows,
        }
        buffer = io.BytesIO()  # a full disk is then an OSError, not one of torch's own
        torch.save(state, buffer)
        write_whole(self.checkpoint, buffer.getbuffer())

    def _write_log(self) -> None:
        write_whole(self.log, "".join(json.dumps(row) + "\n" for row in self.rows))

    def save_if_possible(self, last: bool = False) -> None:
        """`save`, but what goes wrong with the disk is only told, once until it goes well."""
        try:
            self.save(last)
            self._failing = False
        except OSError as error:
            if not self._failing:
                reason = error.strerror or error
                LOG.warning("%s: can't be written: %s; training goes on", error.filename, reason)
            self._failing = True

    def _record(self, done: bool = False) -> None:
        facts = {
            "name": self.name,
            "config": self.config.model_dump(mode="json"),
            "update": self.trainer.update,
            "updates": self.trainer.updates,
            "seconds": round(self.seconds, 1),
            "done": done,
        }
        write_record(self.out, TRAINING, facts, self._origin)

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
            "held_out_m": self.rows[-1].get("held_out_m"),
            "provenance": provenance(),
        }
        if isinstance(trainer.policy, Expert):
            path = _write_gains(self.out / "gains.yaml", trainer.policy, record)
            self._record(done=True)
            return path
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
            encoder=getattr(trainer, "encoder", None),
            intrinsics=getattr(trainer, "intrinsics", None),
        )
        self._record(done=True)
        return path


def finished(out: Path, config: TrainingConfig) -> Path | None:
    """The result of a run that is done, its checkpoint there or not; ``None`` if there is none.

    Raises:
        ConfigError: for one of another configuration, which would be lost.
    """
    result = out / ("gains.yaml" if config.tunes_gains else "policy.onnx")
    try:
        record = read_record(out, TRAINING)
        if not (record.get("done") and result.is_file()):
            return None
        if not config.tunes_gains:
            load_artifact(result)
    except ConfigError:  # damaged: trained from the checkpoint, or anew
        return None
    if not _is_of(record["config"], config):
        raise ConfigError(
            f"{out}: holds a run of another configuration; give another --out, or start anew with "
            "--restart"
        )
    return result


def _is_of(recorded: Any, config: TrainingConfig) -> bool:
    """Whether a record is of this configuration; keys that are newer have their defaults in it."""
    try:
        return type(config).model_validate_json(json.dumps(recorded)) == config
    except ValidationError:
        return False


def _write_gains(path: Path, expert: Expert, record: dict[str, Any]) -> Path:
    text = (
        f"# Gains of the geometric controller, tuned in {record['updates']} updates, "
        f"{record['seconds']} s.\n"
        "# Units and ranges: see GeometricGains in vehicles/quadrotor/parameters.py.\n"
    )
    text += yaml.safe_dump(expert.gains().model_dump(), sort_keys=False)
    return write_whole(path, text)


def _network_name(cell: dict[str, Any]) -> list[str]:
    name = [cell["kind"]]
    if "mode" in cell:
        name.append(cell["mode"])
    if "wiring" in cell:
        name.append(cell["wiring"]["kind"])
    return name
