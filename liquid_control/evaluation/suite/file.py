"""What a suite's file says: conditions, policies and how many flights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from liquid_control.config import (
    ConfigError,
    NonNegativeFloat,
    PositiveFloat,
    Seed,
    StrictModel,
    parse,
)
from liquid_control.extending import read_extended
from liquid_control.sim.scenario import PLACES as WORLD_PLACES

PositiveInt = Annotated[int, Field(gt=0)]
# where it names files, which it looks for beside itself, see `extending.located`
_PLACES = (
    *("policies.*", "conditions.*.world:sim_worlds"),
    *(f"changes.{place}" for place in WORLD_PLACES),
    *(f"conditions.*.changes.{place}" for place in WORLD_PLACES),
)


class Along(StrictModel):
    """The place of a condition on a curve: conditions of one quantity are drawn as one line."""

    quantity: str  # with its unit, the title of the axis: "wind, m/s"
    value: float


class Condition(StrictModel):
    """A world file with changes, which go into it as `config.merge` says.

    `loop_ticks` makes the controller's rate uneven: its steps come between so many control periods
    apart, drawn anew each time. `along` puts it on curves, `after` stands in place of the suite's.
    """

    description: str
    world: str
    changes: dict[str, Any]
    loop_ticks: tuple[PositiveInt, PositiveInt] = (1, 1)
    along: tuple[Along, ...] = ()
    after: PositiveFloat | None = None  # s

    @model_validator(mode="after")
    def _in_order(self):
        if self.loop_ticks[0] > self.loop_ticks[1]:
            raise ValueError(f"loop_ticks: expected [least, most], got {list(self.loop_ticks)}")
        return self


class QuickConfig(StrictModel):
    """The short form of a suite."""

    flights: PositiveInt
    conditions: Annotated[tuple[str, ...], Field(min_length=1)]


class SuiteConfig(StrictModel):
    """A suite file.

    `changes` hold in all conditions, before their own. `policies` maps a name to one artifact (or
    expert) per training seed (``*`` takes all files that match); the names in `baselines` are what
    all others are compared with. Of the `conditions`, those in `only` are flown, in that order,
    where it is given; so a suite can take some of another's. Flight k flies seed ``first_seed + k``
    in every cell. `limits` are bars that a report marks as met or missed,
    ``policy: {metric: {condition: largest mean}}``, the metric one that `metrics.compared` names or
    a share of `metrics.SHARES`. With `success` it is about how many flights meet the limits of
    their world, which the results then tell before all else.
    """

    description: str
    first_seed: Seed
    flights: PositiveInt
    after: PositiveFloat  # s; error statistics are over later times
    success: bool = False
    quick: QuickConfig
    changes: dict[str, Any]
    policies: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    baselines: tuple[str, ...] = ()
    conditions: Annotated[dict[str, Condition], Field(min_length=1)]
    only: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    limits: dict[str, dict[str, dict[str, NonNegativeFloat]]] = Field(default={})


def read_suite(path: Path) -> SuiteConfig:
    """The file as it stands; it may extend another, see `config.load_suite`.

    Raises:
        ConfigError: for what is no suite.
    """
    whole = ("policies", "limits", "quick")
    data = read_extended(path, "config/suites", whole=whole, places=_PLACES)
    config = parse(data, SuiteConfig, path)
    if config.only is None:
        return config
    unknown = [name for name in config.only if name not in config.conditions]
    if unknown:
        raise ConfigError(
            f"{path}: only: unknown condition {unknown}, expected of {list(config.conditions)}"
        )
    chosen = {name: config.conditions[name] for name in config.only}
    return config.model_copy(update={"conditions": chosen})
