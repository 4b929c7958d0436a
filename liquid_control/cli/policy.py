"""``liquid-control policy``: check a policy file and show what it holds."""

from __future__ import annotations

import argparse

from liquid_control.arguments import add_json_argument, complete_names
from liquid_control.cli.exits import DONE


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("policy", help="check a policy file and show what it holds")
    policy = parser.add_argument("policy", help="policy file, or name of a shipped one")
    complete_names(policy, "config/policies")
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show what a policy file holds; returns the exit status."""
    from liquid_control.config import find_file
    from liquid_control.runtime.artifact import load_artifact

    artifact = load_artifact(find_file(options.policy, "config/policies"))
    if options.json:
        print(artifact.metadata.model_dump_json())
    else:
        from liquid_control.cli.display.policy import show_policy

        show_policy(artifact.path, artifact.metadata)
    return DONE
