"""The part ``studies`` of config/benchmarks/sequences.yaml."""

from pydantic import Field

from liquid_control.config import StrictModel


class ExpressivitySizes(StrictModel):
    """What is varied around the first value of each list: width (with tau), the others alone."""

    activations: list[str] = Field(min_length=1)
    widths: list[int] = Field(min_length=1)
    taus: list[float] = Field(min_length=1)  # where f is equal; as published they are drawn
    scales: list[float] = Field(min_length=1)  # sigma of the weights as published, else sigma^2 K
    layers: list[int] = Field(min_length=1)
    sigma_b2: float = Field(ge=0)
    steps: int = Field(gt=1)  # samples in the one turn of the circle
    draws: int = Field(gt=1)  # of the random weights


class StudySizes(StrictModel):
    """Those of the solver study, and those of the other."""

    seeds: int = Field(ge=1)
    unfolds: list[int] = Field(min_length=1)  # substeps an LTC's step is solved with
    reference_unfolds: int = Field(gt=0)  # of the RK4 solution that counts as exact
    batch: int = Field(gt=0)  # sequences of the solver study
    steps: int = Field(gt=0)
    updates: int = Field(gt=0)  # of the closed form that learns the solution
    expressivity: ExpressivitySizes
