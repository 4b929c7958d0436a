"""What config/benchmarks/intervals.yaml says: which made-up results are judged."""

from typing import Annotated

from pydantic import Field

from liquid_control.config import PositiveFloat, StrictModel

Whole = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Shape(StrictModel):
    """How a training seed's mean error scatters: lognormal, and at times several times worse."""

    spread: PositiveFloat  # standard deviation of the logarithm
    failing: Share = 0.0  # of the runs
    times: PositiveFloat = 1.0  # the error of a run that failed


class FamilySizes(StrictModel):
    """Tables of policies without any difference."""

    policies: Annotated[int, Field(gt=1)]
    conditions: Whole
    repetitions: Whole
    training_seeds: Annotated[list[Whole], Field(min_length=1)]
    flights: Annotated[int, Field(gt=1)]
    suits: PositiveFloat  # of how well a flight suits one policy and not another; logarithm
    correlation: Annotated[list[Share], Field(min_length=1)]
    spreads: dict[str, Annotated[list[PositiveFloat], Field(min_length=1)]]


class IntervalSizes(StrictModel):
    """Both studies; spreads are of logarithms."""

    repetitions: Whole
    flights: Annotated[int, Field(gt=1)]
    training_seeds: Annotated[list[Annotated[int, Field(gt=1)]], Field(min_length=1)]
    flight_spread: PositiveFloat
    noise: PositiveFloat
    common: Share
    shapes: Annotated[dict[str, Shape], Field(min_length=1)]
    family: FamilySizes
