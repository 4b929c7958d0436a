"""``liquid-control worlds``: list the shipped worlds, check files, print schema and keys."""

from __future__ import annotations

import argparse
import json
import sys

from liquid_control.arguments import complete_names
from liquid_control.cli.exits import BAD_INPUT, DONE


def add(commands) -> None:
    """Add the command and its actions to the parser."""
    parser = commands.add_parser("worlds", help="list the shipped worlds or check world files")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="the shipped worlds")
    listing.set_defaults(run=_list)
    check = actions.add_parser("check", help="name each mistake by file, key and reason")
    files = check.add_argument("files", nargs="*", help="world files; default: all shipped ones")
    complete_names(files, "sim_worlds")
    check.set_defaults(run=_check)
    schema = actions.add_parser("schema", help="JSON schema of a world file, for editors")
    schema.set_defaults(run=_schema)
    keys = actions.add_parser("keys", help="every key of a world file: unit, range, default")
    keys.set_defaults(run=_keys)


def _list(options: argparse.Namespace) -> int:
    from liquid_control.sim.check import world_files
    from liquid_control.sim.scenario import load_world

    for path in world_files():
        print(f"{path.stem:24} {load_world(path).description}")
    return DONE


def _check(options: argparse.Namespace) -> int:
    from liquid_control.config import find_file
    from liquid_control.evaluation.judged import read_judged_world
    from liquid_control.sim.check import check_worlds, world_files

    files = [find_file(name, "sim_worlds") for name in options.files] or world_files()
    problems = check_worlds(files, read_judged_world)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(files)} worlds checked, {len(problems)} problems")
    return BAD_INPUT if problems else DONE


def _schema(options: argparse.Namespace) -> int:
    from liquid_control.sim.check import world_schema

    print(json.dumps(world_schema(), indent=2))
    return DONE


def _keys(options: argparse.Namespace) -> int:
    from liquid_control.sim.reference import world_keys

    print(world_keys(), end="")
    return DONE
