"""``liquid-control fly``: one flight, shown and judged."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from liquid_control.arguments import add_json_argument, complete_names
from liquid_control.cli.exits import DONE, FAILED, complain

WORLD = "demo"


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "fly", help="fly a policy in a world, over ROS 2 topics or without ROS"
    )
    world = parser.add_argument(
        "--world", default=WORLD, help="world file, or name of a shipped one; default: %(default)s"
    )
    complete_names(world, "sim_worlds")
    policy = parser.add_argument(
        "--policy",
        help="policy file, name of a shipped one, 'geometric' for the backup controller, or "
        "package.module:Class or file.py:Class of a controller of your own; "
        "default: that of the vehicle, hover_liquid or lane_liquid",
    )
    complete_names(policy, "config/policies", "geometric")
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
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fly, show what came of it; returns the exit status."""
    from liquid_control.session.flight import fly
    from liquid_control.session.processes import FlightFailed

    what = partial(
        fly,
        options.world,
        options.policy,
        seed=options.seed,
        duration=options.duration,
        ros=not options.no_ros,
        real_time=options.real_time,
        video=options.video,
        out=options.out,
    )
    try:
        if options.json:
            result = what()
            print(json.dumps(result.to_dict(), allow_nan=False))
        else:
            from liquid_control.cli.display.flight import show_flight
            from liquid_control.cli.display.progress import flight_progress

            with flight_progress() as on_progress:
                result = what(on_progress=on_progress)
            show_flight(result)
    except FlightFailed as error:
        return complain(error, FAILED)
    return DONE if result.passed else FAILED
