"""Bench training: how fast a policy trains, against the batched dynamics alone.

Everything runs on one core. The update of the trainer (draw of the window, forward, backward,
optimiser, new episodes) and the gradient of the batched dynamics of `bench sim` are timed in turns,
in processor time; the fraction is the median over the turns. The dynamics run at the batch of
`bench sim`, where they are fastest, and, unless quick, also at the batch that the training uses.
A step of the dynamics is one control period with wind, IMU, geometric controller and one physics
step; one of the trainer has two physics steps, the delay, the network and the cost.
"""

from __future__ import annotations

import argparse
import json

from liquid_control.arguments import add_json_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: what is trained, and how long it is measured."""
    add_json_argument(parser)
    parser.add_argument(
        "--config", default="hover_liquid", help="training configuration (default: %(default)s)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer turns, dynamics at the large batch alone",
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print the rates; returns the exit status."""
    from liquid_control.bench.training.benchmark import measure_training

    result = measure_training(options.config, quick=options.quick)
    if options.json:
        print(json.dumps(result, allow_nan=False))
        return 0
    for key, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {ms:.2f}" for name, ms in value.items())
        elif isinstance(value, float):
            value = f"{value:,.0f}" if value > 100 else f"{value:.3g}"
        print(f"{key:28} {value}")
    return 0
