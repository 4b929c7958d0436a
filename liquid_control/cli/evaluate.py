"""``liquid-control evaluate``: policies compared over a suite of conditions."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from pathlib import Path

from liquid_control.arguments import add_json_argument, add_worker_arguments, complete_names
from liquid_control.cli.exits import DONE


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate", help="compare policies over a suite of conditions; resumes what it finds"
    )
    suite = parser.add_argument("suite", help="suite file, or name of a shipped one")
    complete_names(suite, "config/suites")
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
        "--only",
        action="append",
        metavar="NAME",
        help="fly only this policy (repeat for more); results keep what was flown before",
    )
    parser.add_argument(
        "--condition",
        action="append",
        metavar="NAME",
        help="fly only this condition (repeat for more)",
    )
    add_worker_arguments(parser)
    parser.add_argument("--no-film", action="store_true", help="no film of the worst flight")
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fly what is missing, write and show the results; returns the exit status."""
    from liquid_control.preflight import remove_stale, require_packages

    require_packages("matplotlib", "plotly", "PIL", "imageio_ffmpeg", "scipy")
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
    gc.freeze()  # what is loaded stays: collections during the flights need not look through it
    workers = {"jobs": options.jobs, "ray_address": options.ray}
    if options.json:
        rows = run_suite(suite, options.out, **workers)
    else:
        from liquid_control.cli.display.progress import count_progress

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
        from liquid_control.cli.display.evaluation import show_evaluation

        show_evaluation(summary, files)
    return DONE


def _named_files(texts: Sequence[str]) -> dict[str, list[str]]:
    from liquid_control.config import ConfigError

    named: dict[str, list[str]] = {}
    for text in texts:
        name, _, files = text.partition("=")
        if not name or not files:
            raise ConfigError(f"--policy {text}: expected NAME=FILE[,FILE...]")
        if name in named:
            raise ConfigError(f"--policy {text}: {name} was given before")
        named[name] = files.split(",")
    return named
