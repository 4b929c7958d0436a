"""Models that a key of a YAML file tells apart, as a registry that anybody may add to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel
from pydantic_core import PydanticKnownError, core_schema

from liquid_control.importing import import_object, is_import_name

Model = TypeVar("Model", bound=BaseModel)


class Kinds:
    """Models that a key tells apart, and that anybody may add to.

    Use it as the annotation of a field, and register each model by hand, once its class is there::

        WIND_SOURCES = Kinds("kind")

        @WIND_SOURCES.register
        class SteadyConfig(StrictModel):
            kind: Literal["steady"]

        class Weather(StrictModel):
            wind: tuple[Annotated[StrictModel, WIND_SOURCES], ...]

    What is registered when a file is read counts, so a model of another package or of a test is as
    good as one of this. A file may also name the class, ``kind: package.module:Class`` or
    ``kind: file.py:Class`` (from the working folder; a world's or a suite's also beside it), and
    registers it with that. The JSON schema is one of all that are registered when it is made.
    """

    def __init__(self, key: str):
        self.key = key
        self._models: dict[str, type[BaseModel]] = {}  # by the value of the key

    def register(self, model: type[Model]) -> type[Model]:
        """Add a model, whose ``key`` is a Literal; returns it, so this is a decorator too.

        Raises:
            ValueError: for a model without that key, or with a value that is taken.
        """
        values = self._values(model)
        if not values:
            raise ValueError(f"{model.__name__}.{self.key}: expected a Literal")
        for value in values:
            if value in self._models:
                taken = self._models[value].__name__
                raise ValueError(f"{model.__name__}: {self.key} {value!r} is that of {taken}")
        self._models.update(dict.fromkeys(values, model))
        return model

    def unregister(self, model: type[BaseModel]) -> None:
        """Take a registered model away again."""
        for value in self._values(model):
            del self._models[value]

    def __iter__(self) -> Iterator[type[BaseModel]]:
        return iter(dict.fromkeys(self._models.values()))

    def _values(self, model: type[BaseModel]) -> tuple[str, ...]:
        field = model.model_fields.get(self.key)
        return get_args(field.annotation) if field else ()

    def _validate(self, value: Any) -> BaseModel:
        if isinstance(value, tuple(self)):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("model_type", {"class_name": "mapping"})
        about = {"discriminator": repr(self.key)}
        if self.key not in value:
            raise PydanticKnownError("union_tag_not_found", about)
        tag = value[self.key]
        if isinstance(tag, str) and is_import_name(tag):
            model = self._import(tag)
            value = {**value, self.key: self._values(model)[0]}
        else:
            model = self._models.get(tag) if isinstance(tag, str) else None
        if model is None:
            expected = ", ".join(map(repr, self._models)) or "none that is registered"
            about |= {"tag": str(tag), "expected_tags": expected}
            raise PydanticKnownError("union_tag_invalid", about)
        return model.model_validate(value)

    def _import(self, name: str) -> type[BaseModel]:
        """A model of another module, which is registered with that."""
        model = import_object(name)
        if not (isinstance(model, type) and issubclass(model, BaseModel) and self._values(model)):
            raise ValueError(f"{name} is no class with a {self.key!r} of its own, but {model!r}")
        if model not in tuple(self):
            self.register(model)
        return model

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        if not self._models:
            return {"not": {}}
        return {"oneOf": [handler(model.__pydantic_core_schema__) for model in self]}
