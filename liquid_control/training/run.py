"""A training run as a command: progress, checkpoints, resume, and the artifact at the end.

``out/checkpoint.pt`` holds all that the rest of the run depends on, ``out/log.jsonl`` the course
of loss and error, ``out/policy.onnx`` the result with its training record; event files for
TensorBoard and ``out/training.png`` show the course while it trains. Seconds are CPU time
where a CPU trains, so that other work on the machine does not count, and wall time on a GPU.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from liquid_control.config import ConfigError
from liquid_control.preflight import output_folder
from liquid_control.training.config import EarlyStopConfig, TrainingConfig, load_training
from liquid_control.training.files import LOG_EVERY, RunFiles, finished
from liquid_control.training.gradient import GradientTrainer
from liquid_control.training.imitation import ImitationTrainer
from liquid_control.training.policy import Progress, Trainer, make_policy
from liquid_control.training.search import SearchTrainer
from liquid_control.workers import worker_pool

TRAINERS: dict[str, type[Trainer]] = {
    "gradient": GradientTrainer,
    "imitation": ImitationTrainer,
    "search": SearchTrainer,
}
# An update of hover_liquid takes 0.1 ms an environment on one CPU core, and on a GPU (H200) 0.23 s
# with 256 of them and 0.40 s with 16,384.
GPU_PAYS_FROM = 4096  # environments
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
    """Train, or go on with, the run that ``config_file`` describes; use it in place of the command.

    Returns the result: ``out/policy.onnx``, or ``out/gains.yaml`` where an expert is tuned; a run
    that is done, with its record in ``out/training.json``, is left as it is.

    Args:
        config_file: path, or the name of a shipped one.
        out: folder of the run, made if it is not there; a run that is there goes on.
        device: of the tensors, ``cpu`` or ``cuda``; by default CUDA where torch sees one and the
            run has the `GPU_PAYS_FROM` environments from which it is the faster.
        compiled: see `GradientTrainer`.
        restart: drop a checkpoint that is there.
        changes: of the configuration, see `load_training`.
        on_start: called with the trainer before the first update.
        on_progress: called after each update.

    Raises:
        ConfigError: for a bad configuration, and for a folder with a run of another one.
        FloatingPointError: if the run diverges, naming folder, update and learning rate.
    """
    config = load_training(config_file, changes)
    out, device = output_folder(Path(out)), choose_device(device, config)
    done = None if restart else finished(out, config)
    if done is not None:
        return done
    try:
        trainer = TRAINERS[config.method](config, device=device, compiled=compiled)
    except ValueError as error:
        raise ConfigError(f"{config_file}: {error}") from None
    clock = time.process_time if device.startswith("cpu") else time.monotonic
    run = RunFiles(Path(config_file).stem, config, trainer, out, clock, restart)
    if on_start is not None:
        on_start(trainer)
    with _between_updates() as check_interrupt:
        while trainer.update < trainer.updates and not stops_early(run.rows, config.early_stop):
            try:
                progress = trainer.step()
            except FloatingPointError as error:
                raise FloatingPointError(f"{out}: diverged: {error}") from None
            run.after_update(progress)
            try:
                on_progress(progress)
                check_interrupt()
            except BaseException:
                run.save()
                raise
    run.save_if_possible(last=True)
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
    choose_device(job.device, config)
    try:
        make_policy(config)
    except ValueError as error:
        raise ConfigError(f"{job.config_file}: {error}") from None


def choose_device(name: str | None, config: TrainingConfig) -> str:
    """The device of a run; `ConfigError` for one that is not there."""
    if name is None:
        optimiser = getattr(config, "optimiser", None)
        pays = optimiser is not None and optimiser.environments >= GPU_PAYS_FROM
        return "cuda" if pays and torch.cuda.is_available() else "cpu"
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
) -> list[Path | FloatingPointError]:
    """Train several runs; returns their results, in order: of one that diverges, its error.

    ``jobs`` and ``ray_address``: see `worker_pool`; each worker has one thread. On a cluster the
    folders of the runs are ones that all machines see. ``on_progress`` is called with runs done
    and in total. An interruption leaves every run at its last checkpoint.
    """
    one_thread = partial(torch.set_num_threads, 1)
    results: dict[Path, Path | FloatingPointError] = {}
    with worker_pool(jobs, ray_address, len(runs), start=one_thread) as run:
        on_progress(0, len(runs))
        for out, result in run(_train_job, runs):
            results[out] = result
            on_progress(len(results), len(runs))
    return [results[job.out] for job in runs]


def _train_job(job: TrainingJob) -> tuple[Path, Path | FloatingPointError]:
    try:
        return job.out, train(**vars(job))
    except FloatingPointError as error:
        return job.out, error


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
