"""A training run as a command: progress, checkpoints, resume, and the artifact at the end.

``out/checkpoint.pt`` holds all that the rest of the run depends on, ``out/log.jsonl`` the course
of loss and error, ``out/policy.onnx`` the result with its training record. Seconds are CPU time
where a CPU trains, so that other work on the machine does not count, and wall time on a GPU.
"""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from liquid_control.config import ConfigError
from liquid_control.evaluation.provenance import provenance
from liquid_control.nn.export import export_policy
from liquid_control.preflight import output_folder
from liquid_control.training.config import EarlyStopConfig, TrainingConfig, load_training
from liquid_control.training.expert import Expert
from liquid_control.training.gradient import GradientTrainer
from liquid_control.training.imitation import ImitationTrainer
from liquid_control.training.policy import Progress, make_policy, rules_of
from liquid_control.training.search import SearchTrainer
from liquid_control.workers import worker_pool

Trainer = GradientTrainer | ImitationTrainer | SearchTrainer
TRAINERS: dict[str, type[Trainer]] = {
    "gradient": GradientTrainer,
    "imitation": ImitationTrainer,
    "search": SearchTrainer,
}
CHECKPOINT_EVERY = 20.0  # s
LOG_EVERY = 10  # updates
EARLY_STOP_ROWS = 10  # of the log, over which the error is averaged


def train(
    config_file: str | Path,
    out: str | Path,
    *,
    device: str | None = None,
    compiled: bool | None = None,
    restart: bool = False,
    changes: Mapping[str, Any] | None = None,
    on_start: Callable[[Trainer], None] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train, or go on with, the run that ``config_file`` describes.

    Returns the result: ``out/policy.onnx``, or ``out/gains.yaml`` where an expert is tuned.

    Args:
        device: of the tensors, ``cpu`` or ``cuda``; CUDA if torch sees one, else the CPU.
        compiled: see `GradientTrainer`.
        restart: drop a checkpoint that is there.
        changes: of the configuration, see `load_training`.

    Raises:
        ConfigError: for a bad configuration, and for a checkpoint of another configuration.
    """
    config = load_training(config_file, changes)
    out, device = output_folder(Path(out)), _device(device)
    try:
        trainer = TRAINERS[config.method](config, device=device, compiled=compiled)
    except ValueError as error:
        raise ConfigError(f"{config_file}: {error}") from None
    clock = time.process_time if device.startswith("cpu") else time.monotonic
    run = _Run(config, trainer, out, clock, restart)
    if on_start is not None:
        on_start(trainer)
    with _between_updates() as check_interrupt:
        while trainer.update < trainer.updates and not stops_early(run.rows, config.early_stop):
            progress = trainer.step()
            run.after_update(progress)
            try:
                on_progress(progress)
                check_interrupt()
            except BaseException:
                run.save()
                raise
    run.save()
    return run.export()


@dataclass(frozen=True)
class TrainingJob:
    """One of several runs: see `train`."""

    config_file: Path
    out: Path
    changes: Mapping[str, Any]
    device: str | None = None
    compiled: bool | None = None
    restart: bool = False


def check_job(job: TrainingJob) -> None:
    """`ConfigError` for what would end a run at its start, so that none of several has begun."""
    config = load_training(job.config_file, job.changes)
    _device(job.device)
    try:
        make_policy(config)
    except ValueError as error:
        raise ConfigError(f"{job.config_file}: {error}") from None


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        known = torch.device(name).type in ("cpu", "cuda")
    except RuntimeError:
        known = False
    if not known:
        raise ConfigError(f"--device {name}: expected cpu or cuda")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):  # the latter from a torch that is built without CUDA
        raise ConfigError(f"--device {name}: torch sees no such device here") from None
    return name


def train_all(
    runs: Sequence[TrainingJob],
    *,
    jobs: int = 1,
    ray_address: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Train several runs; returns their results, in order.

    ``jobs`` and ``ray_address``: see `worker_pool`; each worker has one thread. On a cluster the
    folders of the runs are ones that all machines see. ``on_progress`` is called with runs done
    and in total. An interruption leaves every run at its last checkpoint.
    """
    one_thread = partial(torch.set_num_threads, 1)
    results = {}
    with worker_pool(jobs, ray_address, len(runs), start=one_thread) as run:
        on_progress(0, len(runs))
        for result in run(_train_job, runs):
            results[result.parent] = result
            on_progress(len(results), len(runs))
    return [results[job.out] for job in runs]


def _train_job(job: TrainingJob) -> Path:
    return train(**vars(job))


@contextmanager
def _between_updates() -> Iterator[Callable[[], None]]:
    """Ctrl-C waits for the call of what this yields, so that no half update is ever saved.

    A second one does not wait; the checkpoint before it then stands.
    """
    asked = False

    def note(signum, frame):
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield check  # signals are the main thread's; a worker's are its parent's
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def stops_early(rows: Sequence[Mapping[str, Any]], settings: EarlyStopConfig | None) -> bool:
    """Whether the early stop has come; by the rows of the log alone, so that it can be resumed."""
    if settings is None:
        return False
    errors = [row["rmse_m"] for row in rows if row["rmse_m"] is not None]
    means = [
        float(np.mean(errors[k - EARLY_STOP_ROWS : k]))
        for k in range(EARLY_STOP_ROWS, len(errors) + 1)
    ]
    if not means:
        return False
    since_best = (len(means) - 1 - int(np.argmin(means))) * LOG_EVERY
    return means[-1] <= settings.target or since_best >= settings.patience


class _Run:
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
