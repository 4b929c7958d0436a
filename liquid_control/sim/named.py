"""A part of a world file that may be written out, named, or a named one with some keys changed."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from liquid_control.extending import extended


class Named:
    """The annotation of such a part.

    Its files stand beside the one that names them, or in ``folder`` of the share folder.

    ``odometry: mocap`` is short for ``odometry: {extends: mocap}``; more keys beside ``extends``
    change those of the file, see `config.merge`.
    """

    def __init__(self, folder: str):
        self.folder = folder

    def read(self, value: Any, path: Path | None = None) -> Any:
        """``value``, which stands in the file at ``path``, written out."""
        value = {"extends": value} if isinstance(value, str) else value
        return extended(value, self.folder, path)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        def read(value: Any, info: ValidationInfo) -> Any:
            return self.read(value, (info.context or {}).get("path"))

        return core_schema.with_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict:
        """A name, or a mapping of which every key may be left to what it extends."""
        written = handler(schema)
        name = {"type": "string", "description": f"a file in {self.folder}"}
        partial = deepcopy(handler.resolve_ref_schema(written))
        if "properties" not in partial:  # one of several kinds
            partial = {"type": "object", "properties": {}, "required": ["extends"]}
            return {"anyOf": [name, written, {**partial, "properties": {"extends": name}}]}
        partial.pop("required", None)
        partial["properties"] = {"extends": name, **partial["properties"]}
        return {"anyOf": [name, partial]}
