"""Keys of a world file: unit and meaning, bounds within which they are physical, seed's picks.

The bounds refuse what would hang or crash a flight, not a storm.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic_core import PydanticUndefined

from liquid_control.config import StrictModel


def key(meaning: str, unit: str = "", *, default: Any = PydanticUndefined, **bounds: Any) -> Any:
    """A field of a world file; the reference of the keys and the JSON schema show all of it.

    Args:
        bounds: what pydantic's Field takes, as ``gt=0``.
    """
    extra = {"unit": unit} if unit else None
    return Field(default, description=meaning, json_schema_extra=extra, **bounds)


M = TypeVar("M", bound=StrictModel)
MAX_DURATION = 86400.0  # s
MAX_PHYSICS_RATE = 10_000  # Hz
MAX_SPEED = 100.0  # m/s

Time = Annotated[float, Field(ge=0, le=MAX_DURATION)]  # s
Span = Annotated[float, Field(ge=0.01, le=MAX_DURATION)]  # s, of something that takes time
Lag = Annotated[float, Field(ge=0, le=10)]  # s
Coordinate = Annotated[float, Field(ge=-1000, le=1000)]  # m
Height = Annotated[float, Field(ge=0, le=1000)]  # m
Length = Annotated[float, Field(gt=0, le=1000)]  # m
Angle = Annotated[float, Field(ge=-360, le=360)]  # degrees
Speed = Annotated[float, Field(ge=-MAX_SPEED, le=MAX_SPEED)]  # m/s
Strength = Annotated[float, Field(ge=0, le=MAX_SPEED)]  # m/s
Noise = Annotated[float, Field(ge=0, le=1000)]  # in the unit of what is measured
Position = tuple[Coordinate, Coordinate, Coordinate]  # m
Velocity = tuple[Speed, Speed, Speed]  # m/s
Strengths = tuple[Strength, Strength, Strength]  # m/s


class Uniform(StrictModel):
    """A number that the seed picks, uniform between two bounds."""

    uniform: tuple[float, float] = key("lower and upper bound, in the unit of the number")

    @model_validator(mode="after")
    def _check(self):
        if self.uniform[0] > self.uniform[1]:
            raise ValueError(f"expected [low, high], got {list(self.uniform)}")
        return self


def _form(value: Any) -> str:
    return "uniform" if isinstance(value, dict | Uniform) else "number"


Draw = Annotated[
    Annotated[float, Tag("number")] | Annotated[Uniform, Tag("uniform")], Discriminator(_form)
]


def drawn(least: float, most: float) -> Any:
    """The type of a `Draw` within bounds."""

    def check(value: float | Uniform) -> float | Uniform:
        low, high = bounds(value)
        if not least <= low <= high <= most:
            got = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            raise ValueError(f"expected {least:g} to {most:g}, got {got}")
        return value

    return Annotated[Draw, AfterValidator(check), _DrawSchema(least, most)]


class _DrawSchema:
    """Bounds of a `Draw` in the JSON schema."""

    def __init__(self, least: float, most: float):
        self._bounds = {"type": "number", "minimum": least, "maximum": most}

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict:
        pair = {"type": "array", "items": self._bounds, "minItems": 2, "maxItems": 2}
        drawn_from = {
            "type": "object",
            "properties": {"uniform": pair},
            "required": ["uniform"],
            "additionalProperties": False,
        }
        return {"anyOf": [self._bounds, drawn_from]}


SpeedDraw = drawn(-MAX_SPEED, MAX_SPEED)
OutletSpeed = drawn(0, MAX_SPEED)
Heading = drawn(-360, 360)  # degrees
Elevation = drawn(-90, 90)  # degrees
Tilt = drawn(0, 180)  # degrees
RiseTime = drawn(0.01, 600)  # s
HoldTime = drawn(0, 600)  # s
DrawnLag = drawn(0.001, 10)  # s
StartTime = drawn(0, MAX_DURATION)  # s
Charge = drawn(0, 1)
Level = drawn(0, 100)


def draw(value: float | Uniform, rng: np.random.Generator) -> float:
    """The number itself, or one picked by ``rng``."""
    return float(rng.uniform(*value.uniform)) if isinstance(value, Uniform) else value


def draw_all(config: M, rng: np.random.Generator) -> M:
    """A part of a world with every number picked that its file leaves to the seed."""

    def picked(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(picked(part) for part in value)
        return draw(value, rng)

    values = {name: picked(getattr(config, name)) for name in type(config).model_fields}
    return config.model_copy(update=values)


def bounds(value: float | Uniform) -> tuple[float, float]:
    """The least and the most that `draw` gives."""
    return value.uniform if isinstance(value, Uniform) else (value, value)
