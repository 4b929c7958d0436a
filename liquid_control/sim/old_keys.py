"""Keys of a world that earlier versions took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OLD_LIMITS = {"max_rmse": "rmse_m", "max_error": "max_error_m"}


def refuse_old(data: Mapping[str, Any]) -> None:
    """Keys of earlier versions, in one error that says what to write."""
    success = data.get("success")
    success = success if isinstance(success, dict) else {}
    advice = []
    unread = ["seeds"] if "seeds" in data else []
    unread += ["success.no_crash"] if "no_crash" in success else []
    if unread:
        advice.append(f"leave out {' and '.join(unread)}, which nothing reads")
    old = [name for name in _OLD_LIMITS if name in success]
    if old:
        limits = {_OLD_LIMITS[name]: success[name] for name in old if success[name] is not None}
        text = ", ".join(f"{metric}: {limit}" for metric, limit in limits.items())
        names = " and ".join(f"success.{name}" for name in old)
        advice.append(f"write success.limits: {{{text}}} in place of {names}")
    if advice:
        raise ValueError(f"keys of an earlier version: {'; '.join(advice)}")
