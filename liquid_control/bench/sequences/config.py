"""config/benchmarks/sequences.yaml: tasks, networks and how all of them are trained."""

from typing import Literal

from pydantic import Field, model_validator

from liquid_control.bench.studies.sizes import StudySizes
from liquid_control.config import StrictModel


class TaskNetwork(StrictModel):
    """A network in a task: ``cell`` is its config, sizes are filled in by the task."""

    cell: dict
    units: int = Field(gt=0)
    with_time: bool = True  # False: every dt is replaced by the mean
    switch_times: tuple[float, float] | None = None  # of the time gates of a CfC at the start


class Task(StrictModel):
    """What is trained on, how (alike for all networks), and what others reached."""

    title: str  # the task in a few words, and when the network is told the answer
    metric: Literal["mse", "accuracy_last_step", "accuracy_last"]  # the last: class at the end only
    batch: int = Field(gt=0)
    epochs: int = Field(gt=0)  # of the first trials
    most_epochs: int | None = Field(default=None, gt=0)  # None: those of the first trials
    learning_rates: list[float] = Field(min_length=1)  # the first trials, at seed 0
    rate_limits: tuple[float, float] | None = None  # None: no rate beyond those of the first trials
    weight_decay: float = Field(default=0.0, ge=0)  # AdamW's, on matrices only
    weight_average: float = Field(default=0.0, ge=0, lt=1)  # decay of the weights that are judged
    # inputs in standard deviations of the training part, limited smoothly to this many, and a
    # readout in those of the targets
    standardise: float | None = Field(default=None, gt=0)
    input_noise: float = Field(default=0.0, ge=0)  # in training, standard deviation
    growth: float = Field(default=0.0, ge=0, lt=1)  # share of updates on sequences cut short
    sizes: tuple[int, int, int] | None = None  # sequences to draw: train, valid, test
    networks: dict[str, TaskNetwork]
    published: dict[str, str]  # of the same task only
    floors: dict[str, str]
    note: str

    @model_validator(mode="after")
    def _limits_hold(self) -> "Task":
        if self.most_epochs is not None and self.most_epochs < self.epochs:
            raise ValueError(f"most_epochs {self.most_epochs}, expected at least {self.epochs}")
        low, high = self.rate_limits or (0.0, float("inf"))
        for rate in self.learning_rates:
            if not low <= rate <= high:
                raise ValueError(f"learning rate {rate:g}, expected within {low:g} to {high:g}")
        return self

    def better(self, score: float, than: float) -> bool:
        """Whether a score is better than another, by the metric of the task."""
        return score < than if self.metric == "mse" else score > than


class SequenceBenchmark(StrictModel):
    """The whole file of the benchmark: seeds, studies, tasks."""

    protocol: int = Field(ge=2)  # how runs are made and chosen; runs of another one are run anew
    seeds: int = Field(ge=1)
    studies: StudySizes
    tasks: dict[str, Task]
