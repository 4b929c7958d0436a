"""The rule that chooses learning rate and epochs of a network, the same for all of them.

At seed 0 the rates of the task are tried. While the best of them on validation is the smallest or
the largest one tried, the next by `FACTOR` is tried as well, so that the optimum lies inside. Where
the best validation epoch of that run is among the last `LAST` of its epochs, the epochs are doubled
and the rate is tried again with its neighbours on either side, by the same rule. The test part has
no say. Both searches end at the limits of the task, and a choice that a limit stopped says so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from liquid_control.bench.sequences.config import Task

FACTOR = 2.0  # between learning rates that are tried beyond the first ones
LAST = 0.2  # of the epochs: a best one among these asks for more


@dataclass(frozen=True)
class Choice:
    """What the trials say so far."""

    epochs: int
    rate: float | None  # None: of the first trials some have not run
    wanted: tuple[float, ...]  # rates that are still to be tried at these epochs
    stopped_by: tuple[str, ...]  # limits that ended the search


def choose(task: Task, tried: Callable[[float, int], dict | None]) -> Choice:
    """The learning rate and epochs of one network.

    tried: (rate, epochs) -> the run at seed 0 with its ``valid`` and ``best_epoch``, or None.
    """
    epochs, rates, best = task.epochs, sorted(task.learning_rates), None
    while True:
        wanted = tuple(rate for rate in rates if tried(rate, epochs) is None)
        if wanted:
            return Choice(epochs, best, wanted, ())
        best = _best(task, {rate: tried(rate, epochs)["valid"] for rate in rates})
        beyond = _beyond(rates, best)
        if beyond is not None and _within(task, beyond):
            rates = sorted([*rates, beyond])
        elif is_late(tried(best, epochs)["best_epoch"], epochs) and _may_double(task, epochs):
            epochs *= 2
            at = rates.index(best)
            rates = rates[max(at - 1, 0) : at + 2]
        else:
            return Choice(epochs, best, (), _stops(task, beyond, tried(best, epochs), epochs))


def is_late(best_epoch: int, epochs: int) -> bool:
    """Whether the best epoch (from 1) is among the last ones: it would have gone on."""
    return best_epoch > epochs - math.ceil(LAST * epochs)


def _best(task: Task, valid: dict[float, float]) -> float:
    """The rate whose score is best; of equal ones the middle one, which has a neighbour."""
    sign = 1.0 if task.metric == "mse" else -1.0
    worth = {r: sign * v if math.isfinite(v) else math.inf for r, v in valid.items()}
    equal = [rate for rate in worth if worth[rate] == min(worth.values())]
    return equal[len(equal) // 2]


def _beyond(rates: list[float], best: float) -> float | None:
    """The rate to try where the best is the smallest or largest; None where it lies inside."""
    if best == rates[0]:
        return best / FACTOR
    return best * FACTOR if best == rates[-1] else None


def _within(task: Task, rate: float) -> bool:
    if task.rate_limits is None:
        return False
    low, high = task.rate_limits
    return low * (1 - 1e-9) <= rate <= high * (1 + 1e-9)


def _may_double(task: Task, epochs: int) -> bool:
    return task.most_epochs is not None and 2 * epochs <= task.most_epochs


def _stops(task: Task, beyond: float | None, run: dict, epochs: int) -> tuple[str, ...]:
    stops = []
    if beyond is not None:
        stops.append("best rate is the " + ("smallest" if beyond < run["learning_rate"] else
                                            "largest") + " tried")  # fmt: skip
    if is_late(run["best_epoch"], epochs):
        stops.append(f"best epoch {run['best_epoch']} of {epochs}")
    return tuple(stops)
