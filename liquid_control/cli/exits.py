"""Exit statuses of the command line, and the one line on stderr that goes with them."""

from __future__ import annotations

import sys

DONE, FAILED, BAD_INPUT, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


def complain(message: object, status: int) -> int:
    """Say on stderr what is wrong; returns ``status``."""
    print(f"liquid-control: {message}", file=sys.stderr)
    return status
