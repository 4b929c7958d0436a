"""``liquid-control``: fly, train, evaluate, check worlds, run benchmarks.

Exit status: 0 done, 1 the flight failed, 2 bad input or a file that can't be written (one line on
stderr says which), 130 interrupted, 141 nobody reads the output any more.
Packages are imported by the command that needs them, so that flying needs no torch.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from liquid_control.config import ConfigError, missing_packages
from liquid_control.preflight import (
    EXTRAS,
    check_whole,
    output_folder,
    remove_stale,
    require_packages,
)
from liquid_control.workers import add_worker_arguments

FAILED, BAD_INPUT, INTERRUPTED, UNREAD = 1, 2, 130, 141


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end; that, too, is to nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (ConfigError, OSError) as error:
        return _say(error, BAD_INPUT)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        return _say(missing_packages(EXTRAS[package], [package]), BAD_INPUT)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)


def _run(arguments: Sequence[str]) -> int:
    parser = _Parser(prog="liquid-control", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_fly, _add_train, _add_evaluate, _add_bench, _add_policy, _add_worlds):
        add(commands)
    options = parser.parse_args(arguments)
    options.typed = shlex.join([parser.prog, *arguments])
    return options.run(options)


def _say(message: object, status: int) -> int:
    print(f"liquid-control: {message}", file=sys.stderr)
    return status


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main())


def _add_fly(commands) -> None:
    from liquid_control.parameters import ControllerParameters

    parser = commands.add_parser(
        "fly", help="fly a policy in a world, over ROS 2 topics or without ROS"
    )
    parser.add_argument(
        "--world", default="demo", help="world file, or name of a shipped one; default: %(default)s"
    )
    parser.add_argument(
        "--policy",
        default=ControllerParameters().policy,
        help="policy file, name of a shipped one, or 'geometric' for the backup controller; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of wind, noise and start; default: %(default)s"
    )
    parser.add_argument("--duration", type=float, help="simulated seconds; default: the world's")
    parser.add_argument("--no-ros", action="store_true", help="one process, no ROS 2")
    parser.add_argument("--real-time", action="store_true", help="pace by the clock")
    parser.add_argument("--video", action="store_true", help="film the flight (needs --out)")
    parser.add_argument(
        "--out", type=Path, help="folder for report, recording and film; default: none is kept"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=_fly)


def _fly(options: argparse.Namespace) -> int:
    from liquid_control.session.flight import FlightRequest, fly
    from liquid_control.session.processes import FlightFailed

    if options.video and options.out is None:
        raise ConfigError("--video needs --out DIR")
    request = FlightRequest(
        world=options.world,
        policy=options.policy,
        seed=options.seed,
        duration=options.duration,
        ros=not options.no_ros,
        real_time=options.real_time,
        video=options.video,
        out=options.out,
    )
    try:
        if options.json:
            result = fly(request)
            print(json.dumps(result.to_dict(), allow_nan=False))
        else:
            from liquid_control.cli.display import flight_progress, show_flight

            with flight_progress() as on_progress:
                result = fly(request, on_progress)
            show_flight(result)
    except FlightFailed as error:
        return _say(error, FAILED)
    return 0 if result.passed else FAILED


def _add_train(commands) -> None:
    parser = commands.add_parser("train", help="train policies from configurations")
    parser.add_argument(
        "config", nargs="+", help="training file, or name of a shipped one (or several)"
    )
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
    parser.add_argument("--device", help="cpu or cuda; default: cuda if torch sees one")
    parser.add_argument(
        "--no-compile", action="store_true", help="don't fuse with torch.compile (slower)"
    )
    parser.add_argument("--restart", action="store_true", help="drop the run that is there")
    add_worker_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from liquid_control.training.run import train, train_all

    runs = _training_runs(options)
    workers = {"jobs": options.jobs, "ray_address": options.ray}
    if options.json:
        summaries = [_training_summary(result) for result in train_all(runs, **workers)]
        one = len(summaries) == 1
        print(json.dumps(summaries[0] if one else {"runs": summaries}, allow_nan=False))
        return 0

    from liquid_control.cli.display import count_progress, show_trained, training_progress

    if options.jobs != 1 or options.ray:
        with count_progress("training", "runs") as on_progress:
            results = train_all(runs, on_progress=on_progress, **workers)
        for result in results:
            show_trained(result)
        return 0
    for run in runs:
        with training_progress() as (on_start, on_progress):
            result = train(**vars(run), on_start=on_start, on_progress=on_progress)
        show_trained(result)
    return 0


def _training_runs(options: argparse.Namespace) -> list:
    """The runs, in order; all are checked before the first one starts."""
    from liquid_control.config import find_file
    from liquid_control.training.run import TrainingJob, check_job

    changes = dict(_assignment("--set", text) for text in options.set)
    check_whole("--seeds", options.seeds)
    # absolute: a worker on another machine has a folder of its own
    files = [find_file(config, "config/training").absolute() for config in options.config]
    folder = options.out.absolute()
    settings = {
        "device": options.device,
        "compiled": False if options.no_compile else None,
        "restart": options.restart,
    }
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
    for run in runs:
        check_job(run)
    for run in runs:
        output_folder(run.out)
    return runs


def _assignment(flag: str, text: str) -> tuple[str, object]:
    """KEY=VALUE, the value read as YAML."""
    import yaml

    key, equals, value = text.partition("=")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = None
    if not (key and equals) or read is None:
        raise ConfigError(f"{flag} {text}: expected KEY=VALUE, e.g. optimiser.learning_rate=0.01")
    return key, read


def _training_summary(result: Path) -> dict:
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


def _add_evaluate(commands) -> None:
    parser = commands.add_parser(
        "evaluate", help="compare policies over a suite of conditions; resumes what it finds"
    )
    parser.add_argument("suite", help="suite file, or name of a shipped one")
    parser.add_argument("--out", type=Path, required=True, help="folder of rows and results")
    parser.add_argument("--quick", action="store_true", help="the suite's short form")
    parser.add_argument("--flights", type=int, help="flights a cell; default: the suite's")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME=FILE[,FILE...]",
        help="add a policy, one file a training seed",
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="fly only this policy (repeat for more)"
    )
    parser.add_argument(
        "--condition", action="append", metavar="NAME", help="only this one (repeat for more)"
    )
    add_worker_arguments(parser)
    parser.add_argument("--no-film", action="store_true", help="no film of the worst flight")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    require_packages("matplotlib", "plotly", "PIL", "imageio_ffmpeg")
    from liquid_control.evaluation.suite.config import load_suite
    from liquid_control.evaluation.suite.flights import run_suite
    from liquid_control.evaluation.suite.report import write_suite_report
    from liquid_control.evaluation.suite.results import write_results
    from liquid_control.evaluation.suite.summary import Summary
    from liquid_control.evaluation.views.film import require_encoder

    if not options.no_film:
        require_encoder()
    suite = load_suite(
        options.suite,
        quick=options.quick,
        flights=options.flights,
        policies=_named_files(options.policy),
        conditions=options.condition,
        only=options.only,
    )
    workers = {"jobs": options.jobs, "ray_address": options.ray}
    if options.json:
        rows = run_suite(suite, options.out, **workers)
    else:
        from liquid_control.cli.display import count_progress

        with count_progress("evaluating", "flights") as on_progress:
            rows = run_suite(suite, options.out, on_progress=on_progress, **workers)
    summary = Summary(suite, rows, options.typed)
    files = write_results(summary, options.out)
    files.append(write_suite_report(summary, options.out, film=not options.no_film))
    film = [] if options.no_film else [options.out / "worst.mp4"]
    remove_stale(options.out, ("training.png", "worst.mp4"), [*files, *film])
    if options.json:
        print(files[0].read_text(encoding="utf-8"), end="")
    else:
        from liquid_control.cli.display import show_evaluation

        show_evaluation(summary, files)
    return 0


def _named_files(texts: Sequence[str]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for text in texts:
        name, _, files = text.partition("=")
        if not name or not files:
            raise ConfigError(f"--policy {text}: expected NAME=FILE[,FILE...]")
        if name in named:
            raise ConfigError(f"--policy {text}: {name} was given before")
        named[name] = files.split(",")
    return named


# name: module with add_arguments and run
_BENCHES = {
    "networks": "liquid_control.bench.networks",
    "sequences": "liquid_control.bench.sequences",
    "sim": "liquid_control.bench.simulation",
}


def _add_bench(commands) -> None:
    parser = commands.add_parser("bench", help="measure speed and reproduce published results")
    parser.add_argument("name", choices=_BENCHES, help="what to measure")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="see bench NAME --help")
    parser.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    bench = importlib.import_module(_BENCHES[options.name])
    parser = _Parser(prog=f"liquid-control bench {options.name}")
    bench.add_arguments(parser)
    return bench.run(parser.parse_args(options.options))


def _add_policy(commands) -> None:
    parser = commands.add_parser("policy", help="check a policy file and show what it holds")
    parser.add_argument("policy", help="policy file, or name of a shipped one")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(run=_policy)


def _policy(options: argparse.Namespace) -> int:
    from liquid_control.config import find_file
    from liquid_control.runtime.artifact import load_artifact

    artifact = load_artifact(find_file(options.policy, "config/policies"))
    if options.json:
        print(artifact.metadata.model_dump_json())
    else:
        from liquid_control.cli.display import show_policy

        show_policy(artifact.path, artifact.metadata)
    return 0


def _add_worlds(commands) -> None:
    parser = commands.add_parser("worlds", help="list the shipped worlds or check world files")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the shipped worlds")
    listing.set_defaults(run=_list_worlds)
    check = actions.add_parser("check", help="name each mistake by file, key and reason")
    check.add_argument("files", nargs="*", help="world files; default: all shipped ones")
    check.set_defaults(run=_check_worlds)
    schema = actions.add_parser("schema", help="JSON schema of a world file, for editors")
    schema.set_defaults(run=_show_schema)


def _list_worlds(options: argparse.Namespace) -> int:
    from liquid_control.sim.check import world_files
    from liquid_control.sim.scenario import load_world

    for path in world_files():
        print(f"{path.stem:24} {load_world(path).description}")
    return 0


def _check_worlds(options: argparse.Namespace) -> int:
    from liquid_control.config import find_file
    from liquid_control.sim.check import check_worlds, world_files

    files = [find_file(name, "sim_worlds") for name in options.files] or world_files()
    problems = check_worlds(files)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(files)} worlds checked, {len(problems)} problems")
    return BAD_INPUT if problems else 0


def _show_schema(options: argparse.Namespace) -> int:
    from liquid_control.sim.check import world_schema

    print(json.dumps(world_schema(), indent=2))
    return 0
