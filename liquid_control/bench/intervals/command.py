"""Bench intervals: how often the intervals of suites cover the truth, on made-up results.

Two tables: coverage for few training seeds, of other methods as well, and how often any difference
of a table is called clear where there is none.
"""

import argparse
import json
from pathlib import Path

from liquid_control.arguments import add_json_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: the made-up results, how many, and where the tables go."""
    parser.add_argument(
        "--config",
        default="config/benchmarks/intervals.yaml",
        help="the made-up results; default: %(default)s",
    )
    parser.add_argument("--repetitions", type=int, help="of both; default: the config's")
    parser.add_argument("--out", type=Path, help="folder for intervals.md; default: none")
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Make up, judge and print; returns the exit status."""
    from liquid_control.preflight import check_whole, output_folder, require_packages

    require_packages("scipy")
    from liquid_control.bench.intervals.report import markdown, measure
    from liquid_control.bench.intervals.sizes import IntervalSizes
    from liquid_control.config import find_file, load_yaml

    check_whole("--repetitions", options.repetitions)
    sizes = load_yaml(find_file(options.config, "config/benchmarks"), IntervalSizes)
    if options.repetitions is not None:
        family = sizes.family.model_copy(update={"repetitions": options.repetitions})
        sizes = sizes.model_copy(update={"repetitions": options.repetitions, "family": family})
    out = options.out and output_folder(options.out)
    results = measure(sizes)
    if out is not None:
        (out / "intervals.md").write_text(markdown(sizes, results), encoding="utf-8")
    print(json.dumps(results, allow_nan=False) if options.json else markdown(sizes, results))
    return 0
