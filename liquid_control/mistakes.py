"""What is wrong with a configuration, in the words of its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from liquid_control.spelling import did_you_mean


def error_details(
    error: ValidationError, data: Any, model: type[BaseModel] | None = None
) -> list[tuple[str, str]]:
    """Each mistake in ``data`` as (dotted key, reason with the value); no key for the whole.

    An unknown key of the outermost mapping is compared with those of ``model``, lest it is one of
    them mistyped.
    """
    reasons: dict[str, list[str]] = {}
    for mistake in error.errors():
        good_items = mistake.get("ctx", {}).get("actual_length")
        if mistake["type"] == "too_short" and len(mistake["input"]) > good_items:
            continue  # the bad items are named themselves
        key, reason = _describe(mistake, data)
        if mistake["type"] == "extra_forbidden" and model is not None and "." not in key:
            reason += f"; {did_you_mean(key, model.model_fields)}".rstrip("; ")
        reasons.setdefault(key, []).append(reason)
    return [(key, ", or ".join(dict.fromkeys(parts))) for key, parts in reasons.items()]


def _describe(mistake: Mapping[str, Any], data: Any) -> tuple[str, str]:
    kind, loc, context = mistake["type"], mistake["loc"], mistake.get("ctx", {})
    if kind == "missing":
        return _key(loc[:-1], data, loc[-1]), "missing key"
    if kind == "union_tag_not_found":
        return _key(loc, data, context["discriminator"].strip("'")), "missing key"
    if kind == "union_tag_invalid":
        key = _key(loc, data, context["discriminator"].strip("'"))
        return key, f"expected one of {context['expected_tags']}, got {context['tag']!r}"
    key = _key(loc, data)
    if kind == "extra_forbidden":
        return key, "unknown key"
    reason = "expected a mapping" if kind == "model_type" else mistake["msg"]
    reason, value = reason.removeprefix("Value error, "), mistake["input"]
    if kind == "value_error" and (isinstance(value, dict) or ", got " in reason):
        return key, reason  # it names the value itself
    text = repr(value)
    return key, f"{reason}, got {text if len(text) <= 80 else text[:77] + '...'}"


def _key(loc: Iterable[str | int], data: Any, *last: str | int) -> str:
    """The dotted key of a place, without the names that pydantic gives the forms of a union."""
    keys: list[str | int] = []
    for part in loc:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(part, int):
            data = data[part] if isinstance(data, list) else data
        else:
            continue
        keys.append(part)
    return ".".join(map(str, (*keys, *last)))
