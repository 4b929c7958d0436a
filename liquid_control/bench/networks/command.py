"""Bench networks: time of one step and of training, against ncps and nn.LSTM in the same run.

One thread, float32. The networks take turns, so that a change of the machine's load meets them all.
Ratios travel between machines, absolute times don't.
"""

import argparse
import json
import shlex
from pathlib import Path

from liquid_control.arguments import add_json_argument

CONFIG = "config/benchmarks/networks.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: which tables, and the folder for page and picture."""
    parser.add_argument("--config", default=CONFIG, help="sizes; default: %(default)s")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the table (Markdown) and the plot; default: nothing is kept",
    )
    parser.add_argument("--quick", action="store_true", help="few repeats, no scaling")
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, print and write the tables; returns the exit status."""
    from liquid_control.bench.networks.benchmark import compare_networks
    from liquid_control.bench.networks.report import markdown
    from liquid_control.bench.networks.sizes import NetworkSizes
    from liquid_control.config import find_file, load_yaml

    sizes = load_yaml(find_file(options.config, "config/benchmarks"), NetworkSizes)
    command = command_line(options)
    result = compare_networks(sizes, options.out, quick=options.quick, command=command)
    text = json.dumps(result, allow_nan=False) if options.json else markdown(result, sizes, command)
    print(text)
    return 0


def command_line(options: argparse.Namespace) -> str:
    """What was typed, as far as it changes what is measured and written."""
    words = ["liquid-control", "bench", "networks"]
    if options.config != CONFIG:
        words += ["--config", options.config]
    if options.quick:
        words.append("--quick")
    if options.out is not None:
        words += ["--out", str(options.out)]
    return shlex.join(words)
