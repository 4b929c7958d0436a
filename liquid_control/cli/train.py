"""``liquid-control train``: policies from configurations, several seeds at once."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from liquid_control.arguments import add_json_argument, add_worker_arguments, complete_names
from liquid_control.cli.exits import DONE, FAILED, complain

if TYPE_CHECKING:
    from liquid_control.training.run import TrainingJob


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("train", help="train policies from configurations")
    config = parser.add_argument(
        "config", nargs="+", help="training file, or name of a shipped one (or several)"
    )
    complete_names(config, "config/training")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--seeds",
        type=int,
        help="train each with seeds 1 to N, in OUT/CONFIG/SEED; default: the file's seed, in OUT",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="in place of the file's value, e.g. optimiser.learning_rate=0.01",
    )
    parser.add_argument(
        "--grid",
        metavar="KEY=VALUE,VALUE...",
        help="train each with each of these values, in OUT/CONFIG/KEY=VALUE/SEED, and say which "
        "is the best, e.g. optimiser.learning_rate=0.003,0.01,0.03,0.1",
    )
    parser.add_argument("--device", help="cpu or cuda; default: the faster one here")
    parser.add_argument(
        "--no-compile", action="store_true", help="don't fuse with torch.compile (slower)"
    )
    parser.add_argument("--restart", action="store_true", help="drop the run that is there")
    add_worker_arguments(parser)
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train one run or several; returns the exit status."""
    from liquid_control.training.run import train_all

    if options.grid is not None:
        return _run_grid(options)
    runs = _training_runs(options)
    workers = {"jobs": options.jobs, "ray_address": options.ray}
    if options.json:
        results = train_all(runs, **workers)
        summaries = [_summary(result) for result in results]
        one = len(summaries) == 1
        print(json.dumps(summaries[0] if one else {"runs": summaries}, allow_nan=False))
        return _status(results)

    if options.jobs == 1 and not options.ray:
        results = [_train_shown(run) for run in runs]
    else:
        from liquid_control.cli.display.progress import count_progress

        with count_progress("training", "runs") as on_progress:
            results = train_all(runs, on_progress=on_progress, **workers)
    from liquid_control.cli.display.policy import show_trained

    show_trained([result for result in results if isinstance(result, Path)])
    return _status(results)


def _train_shown(run: TrainingJob) -> Path | FloatingPointError:
    """Train one run with a bar over its updates."""
    from liquid_control.cli.display.progress import training_progress
    from liquid_control.training.run import train

    with training_progress() as (on_start, on_progress):
        try:
            return train(**vars(run), on_start=on_start, on_progress=on_progress)
        except FloatingPointError as error:
            return error


def _status(results: list[Path | FloatingPointError]) -> int:
    """Say which runs diverged; returns the exit status."""
    diverged = [result for result in results if not isinstance(result, Path)]
    for error in diverged:
        complain(error, FAILED)
    return FAILED if diverged else DONE


def _run_grid(options: argparse.Namespace) -> int:
    """Train every configuration with every value of the grid, and show the table."""
    from liquid_control.training.grid import grid_table, train_grid

    key, runs = _grid_runs(options)
    workers = {"jobs": options.jobs, "ray_address": options.ray}
    if options.json:
        tried = train_grid(runs, **workers)
        rows = [
            {
                "config": t.config,
                "value": t.value,
                "rmse_m": [error if math.isfinite(error) else None for error in t.errors],
            }
            for t in tried
        ]
        print(json.dumps({"setting": key, "tried": rows}, allow_nan=False))
        return DONE

    from liquid_control.cli.display.progress import count_progress
    from liquid_control.whole_file import write_whole

    with count_progress("training", "runs") as on_progress:
        tried = train_grid(runs, on_progress=on_progress, **workers)
    table = grid_table(key, tried)
    write_whole(options.out / "grid.md", table)
    print(table, end="")
    return DONE


def _grid_runs(options: argparse.Namespace) -> tuple[str, dict]:
    """The setting, and the runs of each configuration and value, checked."""
    from liquid_control.config import ConfigError
    from liquid_control.training.config import load_training
    from liquid_control.training.run import TrainingJob

    key, listed = _assignment("--grid", options.grid)
    texts = str(listed).split(",")
    try:
        values = sorted({float(text) for text in texts})
    except ValueError:
        values = []
    if len(values) < 3:
        raise ConfigError(
            f"--grid {options.grid}: expected KEY=VALUE,VALUE,VALUE with three numbers or more, "
            "so that the best may lie inside"
        )
    files, folder, changes, settings = _common(options)
    seeds = [None] if options.seeds is None else range(1, options.seeds + 1)
    runs = {
        (file.stem, value): [
            TrainingJob(
                file,
                folder / file.stem / f"{key}={value:g}" / ("" if seed is None else str(seed)),
                {**changes, key: value, **({} if seed is None else {"seed": seed})},
                **settings,
            )
            for seed in seeds
        ]
        for file in files
        for value in values
    }
    for file in files:
        if load_training(file, changes).tunes_gains:
            raise ConfigError(f"--grid: {file} tunes gains; expected policies")
    _check([job for group in runs.values() for job in group])
    return key, runs


def _common(options: argparse.Namespace) -> tuple[list[Path], Path, dict, dict]:
    """Files, folder, changes and settings that all runs share."""
    from liquid_control.config import find_file
    from liquid_control.preflight import check_whole

    changes = dict(_assignment("--set", text) for text in options.set)
    check_whole("--seeds", options.seeds)
    # absolute: a worker on another machine has a folder of its own
    files = [find_file(config, "config/training").absolute() for config in options.config]
    settings = {
        "device": options.device,
        "compiled": False if options.no_compile else None,
        "restart": options.restart,
    }
    return files, options.out.absolute(), changes, settings


def _check(runs: list) -> None:
    """All of them before the first one starts."""
    from liquid_control.preflight import output_folder
    from liquid_control.training.run import check_job

    for run in runs:
        check_job(run)
    for run in runs:
        output_folder(run.out)


def _training_runs(options: argparse.Namespace) -> list:
    """The runs, in order, checked."""
    from liquid_control.training.run import TrainingJob

    files, folder, changes, settings = _common(options)
    if options.seeds is None:
        folders = [folder / file.stem for file in files] if len(files) > 1 else [folder]
        runs = [
            TrainingJob(file, out, changes, **settings)
            for file, out in zip(files, folders, strict=True)
        ]
    else:
        runs = [
            TrainingJob(file, folder / file.stem / str(seed), {**changes, "seed": seed}, **settings)
            for seed in range(1, options.seeds + 1)
            for file in files
        ]
    _check(runs)
    return runs


def _assignment(flag: str, text: str) -> tuple[str, object]:
    """KEY=VALUE, the value read as YAML."""
    import yaml

    from liquid_control.config import ConfigError

    key, equals, value = text.partition("=")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = None
    if not (key and equals) or read is None:
        raise ConfigError(f"{flag} {text}: expected KEY=VALUE, e.g. optimiser.learning_rate=0.01")
    return key, read


def _summary(result: Path | FloatingPointError) -> dict:
    if not isinstance(result, Path):
        return {"policy": None, "diverged": str(result)}
    if result.suffix == ".yaml":
        return {"policy": str(result)}
    from liquid_control.runtime.artifact import load_artifact

    metadata = load_artifact(result).metadata
    record = metadata.training
    return {
        "policy": str(result),
        "weights": metadata.weights,
        "network": metadata.network,
        **{key: record[key] for key in ("updates", "seconds", "loss", "training_rmse_m")},
    }
