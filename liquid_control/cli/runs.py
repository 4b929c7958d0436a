"""``liquid-control runs``: a page of flights and trainings that lays them over each other."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from liquid_control.arguments import add_json_argument
from liquid_control.cli.exits import DONE


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "runs", help="list flights and trainings in a page that lays them over each other"
    )
    parser.add_argument("folder", type=Path, help="where they are, in folders of any depth")
    parser.add_argument("--out", type=Path, metavar="PAGE", help="default: FOLDER/index.html")
    parser.add_argument(
        "--over",
        nargs="+",
        default=[],
        metavar="RUN",
        help="runs that the page lays over each other as it opens, by their folders in FOLDER",
    )
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Find the runs, write the page, name what can't be read; returns the exit status."""
    from liquid_control.config import ConfigError
    from liquid_control.preflight import output_folder, require_packages

    require_packages("plotly")
    from liquid_control.evaluation.runs.find import find_runs
    from liquid_control.evaluation.runs.page import INDEX, check_page, count_text, write_runs

    if not options.folder.is_dir():
        raise ConfigError(f"{options.folder}: expected a folder of runs")
    page = options.folder / INDEX if options.out is None else options.out
    check_page(page)
    output_folder(page.parent)
    runs, problems = find_runs(options.folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not runs and not problems:
        raise ConfigError(
            f"{options.folder}: holds no run; expected what fly --out or train --out leaves"
        )
    write_runs(page, options.folder, runs, problems, over=options.over)
    if options.json:
        facts = [run.facts() for run in runs]
        result = {"page": str(page), "runs": facts, "problems": problems}
        print(json.dumps(result, allow_nan=False))
    else:
        unread = f", {len(problems)} not read" if problems else ""
        print(f"{page}: {count_text(runs)}{unread}")
    return DONE
