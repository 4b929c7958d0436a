"""What is flown, and what counts as a turn."""

from pydantic import Field

from liquid_control.config import PositiveFloat, StrictModel


class NeuronSizes(StrictModel):
    """What config/benchmarks/neurons.yaml says: what flies how often, and what is a turn."""

    policy: str
    world: str
    first_seed: int = Field(ge=0)
    duration: PositiveFloat  # s
    flights: int = Field(ge=2)
    synapse_flights: int = Field(ge=2)
    turn: PositiveFloat  # rad/s
    components: int = Field(gt=0)

    def quick(self) -> "NeuronSizes":
        """Few short flights: does it run."""
        return self.model_copy(update={"duration": 5.0, "flights": 2, "synapse_flights": 2})
