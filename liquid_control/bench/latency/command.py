"""Bench latency: time of a policy's step, alone, on inputs like those in flight."""

from __future__ import annotations

import argparse
import json

from liquid_control.arguments import add_json_argument, complete_names

VEHICLE = "crazyflie"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: what flies, in which vehicle, for how many steps."""
    policy = parser.add_argument(
        "policy", help="what flies, as in fly --policy: a file, or a name of a shipped one"
    )
    complete_names(policy, "config/policies", "geometric")
    vehicle = parser.add_argument(
        "--vehicle", default=VEHICLE, help="that the policy is for; default: %(default)s"
    )
    complete_names(vehicle, "config/vehicle")
    parser.add_argument(
        "--steps", type=int, default=20_000, help="how many are timed; default: %(default)s"
    )
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Time the steps and print the figures; returns the exit status."""
    from liquid_control.bench.latency.step import measure_step_latency
    from liquid_control.preflight import check_whole
    from liquid_control.runtime.catalogue import make_controller, make_parameters
    from liquid_control.vehicles.catalogue import load_vehicle

    check_whole("--steps", options.steps)
    vehicle = load_vehicle(options.vehicle)
    parameters = make_parameters(vehicle)
    controller, _ = make_controller(options.policy, vehicle, parameters)
    dt = 1 / parameters.control_rate
    figures = {"policy": options.policy}
    figures |= measure_step_latency(controller, options.steps, dt=dt)
    if options.json:
        print(json.dumps(figures, allow_nan=False))
    else:
        for key, value in figures.items():
            print(f"{key:13} {value:.2f}" if isinstance(value, float) else f"{key:13} {value}")
    return 0
