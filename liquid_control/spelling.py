"""What somebody may have meant who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"did you mean hover_gusts? "``, to stand before what was expected; "" if nothing is close.

    Use it in every error that refuses a name out of a list.
    """
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}? " if close else ""
