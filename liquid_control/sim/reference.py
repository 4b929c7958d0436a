"""The reference of the keys of a world file, made from its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from liquid_control.sim.check import world_schema

_HEAD = "| key | unit | range | default | meaning |\n|---|---|---|---|---|\n"


def world_keys() -> str:
    """Markdown: a table of the keys of a world, then one of each part, in the order of its keys."""
    schema = world_schema()
    definitions = schema.get("$defs", {})
    parts = dict(_parts(schema, definitions))
    tables = [f"### World\n\n{_table(schema, definitions)}"]
    tables += [f"### {name}\n\n{_table(part, definitions)}" for name, part in parts.items()]
    return "\n".join(tables)


def _parts(schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(heading, schema) of every mapping below the keys of a schema."""
    for key, value in schema["properties"].items():
        for part in _mappings(value, definitions):
            kind = _kind(part)
            yield f"`{key}`" + (f", {kind}" if kind else ""), part
            yield from _parts(part, definitions)


def _mappings(value: Any, definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Mappings with named keys that a value may be or hold."""
    value = _resolved(value, definitions)
    if "title" in value and "properties" in value:
        yield value
        return
    inner = value.get("anyOf", value.get("oneOf", []))
    for item in (*inner, *_held(value)):
        yield from _mappings(item, definitions)


def _held(value: dict[str, Any]) -> list[Any]:
    held = [value.get("items"), value.get("additionalProperties")]
    return [item for item in held if isinstance(item, dict)]


def _resolved(value: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in value:
        return definitions[value["$ref"].rsplit("/", 1)[1]]
    return value


def _kind(part: dict[str, Any]) -> str:
    """``kind: steady`` of a mapping that its first key tells apart."""
    for key in ("kind", "shape"):
        values = part["properties"].get(key, {})
        values = values.get("enum", [values.get("const")])
        if values != [None] and "description" not in part["properties"][key]:
            return f"`{key}: {' | '.join(values)}`"
    return ""


def _table(part: dict[str, Any], definitions: dict[str, Any]) -> str:
    required = part.get("required", ())
    rows = [
        " | ".join(
            (
                f"| `{key}`",
                value.get("unit", ""),
                _range(value, definitions),
                "" if key in required or "default" not in value else _default(value["default"]),
                value.get("description", "") + " |",
            )
        )
        for key, value in part["properties"].items()
        if "description" in value
    ]
    text = part.get("description", "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return f"{text}\n\n{_HEAD}" + "".join(f"{row}\n" for row in rows)


def _default(value: Any) -> str:
    """As it is written in a file; of a part, whose table tells its own, nothing."""
    if value in ("", {}):
        return f"`{value}`" if value == {} else ""
    if isinstance(value, dict) and set(value) != {"uniform"}:
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('"', "")


def _range(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    value = _resolved(value, definitions)
    if "anyOf" in value:
        forms = [_range(form, definitions) for form in value["anyOf"]]
        return " or ".join(dict.fromkeys(form for form in forms if form))
    if "oneOf" in value:
        return "one of several kinds"
    if "const" in value or "enum" in value:
        values = value.get("enum", [value.get("const")])
        return ", ".join(f"`{word}`" for word in values)
    kind = value.get("type")
    if kind in ("number", "integer"):
        return _bounds(value)
    if kind == "array":
        return _list(value, definitions)
    if kind == "object":
        uniform = value.get("properties", {}).get("uniform")
        if uniform and "title" not in value:
            return "`{uniform: [low, high]}`"
        if "properties" in value:
            return "mapping"
        return f"name: {_range(value['additionalProperties'], definitions)}"
    return {"string": "text", "boolean": "`true`, `false`", "null": "`null`"}.get(kind, "")


def _bounds(value: dict[str, Any]) -> str:
    whole = "whole, " if value["type"] == "integer" else ""
    low, high = value.get("minimum"), value.get("maximum")
    above, below = value.get("exclusiveMinimum"), value.get("exclusiveMaximum")
    if (low, high, above, below) == (None,) * 4:
        return f"{whole}number"
    left = f"({above:g}" if above is not None else f"[{low:g}" if low is not None else "(-∞"
    right = f"{below:g})" if below is not None else f"{high:g}]" if high is not None else "∞)"
    return f"{whole}{left}, {right}"


def _list(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "prefixItems" in value:
        items = [_range(item, definitions) for item in value["prefixItems"]]
        if len(set(items)) == 1:
            return f"{len(items)} × {items[0]}"
        return ", ".join(items)
    return f"list: {_range(value['items'], definitions)}"
