"""Bench sim: how fast the world is, against PyBullet alone and other simulators.

Everything runs on one core. World and floor are timed in turns within the same seconds, so that
a busy machine slows both, and the fraction is the median over the turns. The floor is a PyBullet
loop that applies four forces to the same body and reads its state each step.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from liquid_control.arguments import add_json_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: how long is measured, and what."""
    parser.epilog = "rotorpy (extra test) and PyFlyt (in no extra) are timed where installed."
    add_json_argument(parser)
    parser.add_argument(
        "--out", type=Path, help="folder for sim.json and cost.png; default: nothing is kept"
    )
    parser.add_argument("--quick", action="store_true", help="fewer turns, no plot: about 1 minute")


def run(options: argparse.Namespace) -> int:
    """Measure and print the rates; returns the exit status."""
    from liquid_control.bench.simulation.benchmark import measure_simulation

    result = measure_simulation(options.out, quick=options.quick)
    if options.json:
        print(json.dumps(result, allow_nan=False))
    else:
        for key, value in result.items():
            shown = f"{value:,.3g}" if isinstance(value, float) and value < 100 else value
            print(f"{key:28} {shown:,.0f}" if isinstance(shown, float) else f"{key:28} {shown}")
    return 0
