"""Arguments that several commands share, and the names that a shell completes them with."""

from __future__ import annotations

import argparse


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    """``--jobs`` and ``--ray``, for `workers.worker_pool`."""
    parser.add_argument("--jobs", type=int, default=1, help="processes on this machine; default: 1")
    parser.add_argument("--ray", metavar="ADDRESS", help="use a Ray cluster, e.g. auto")


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """``--json``, after which nothing else stands on stdout."""
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def complete_names(action: argparse.Action, folder: str, *others: str) -> None:
    """Have the shell complete an argument by the names of the files in a share folder.

    ``others`` are accepted too. Where no name begins as typed, paths do.
    """

    def names(prefix: str, **_) -> list[str]:
        from argcomplete.completers import FilesCompleter

        from liquid_control.config import shipped

        known = [name for name in (*others, *shipped(folder)) if name.startswith(prefix)]
        return known or list(FilesCompleter()(prefix))

    action.completer = names  # where argcomplete looks
