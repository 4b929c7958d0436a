"""Bench ncps: training and inference of its networks and of the same ones here, in the same run.

One thread, float32, the same weights. The networks take turns, so that a change of the machine's
load meets them all. Ratios travel between machines, absolute times don't.
"""

import argparse
import json

from liquid_control.arguments import add_json_argument

CONFIG = "config/benchmarks/ncps.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: the sizes, and how the result is printed."""
    parser.add_argument("--config", default=CONFIG, help="sizes; default: %(default)s")
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print the table; returns the exit status."""
    from liquid_control.bench.ncps.benchmark import Sizes, compare, markdown
    from liquid_control.config import find_file, load_yaml

    sizes = load_yaml(find_file(options.config, "config/benchmarks"), Sizes)
    result = compare(sizes)
    print(json.dumps(result, allow_nan=False) if options.json else markdown(result, sizes))
    return 0
