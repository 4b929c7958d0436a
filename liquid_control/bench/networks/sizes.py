"""What is measured: the sizes of networks, batches and repeats."""

from pydantic import Field

from liquid_control.config import StrictModel

PERIOD = 0.01  # s, of the control loop that the networks are for


class NetworkSizes(StrictModel):
    """What config/benchmarks/networks.yaml says: which sizes are timed."""

    units: int = Field(gt=0)
    motor: int = Field(gt=0)
    inputs: int = Field(gt=0)
    batch: int = Field(gt=0)
    steps: int = Field(gt=0)
    repeats: int = Field(gt=0)
    step_calls: int = Field(gt=0)
    scaling_units: list[int]
    scaling_steps: list[int]
    scaling_batch: list[int]
    scaling_repeats: int = Field(gt=0)
