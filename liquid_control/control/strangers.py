"""What code of somebody else's may do: whatever it raises, the vehicle flies on."""

from __future__ import annotations

# not KeyboardInterrupt, which is the pilot's
ANYTHING = (Exception, SystemExit)


def words(error: BaseException) -> str:
    """What an error says, or its type where it says nothing or can't."""
    try:
        return str(error) or type(error).__name__
    except ANYTHING:
        return type(error).__name__
