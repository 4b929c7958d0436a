"""Learning rate and epochs are chosen by one rule, and intervals cover."""

import numpy as np
import pytest

from liquid_control.bench.sequences.config import Task
from liquid_control.bench.sequences.intervals import crossed_interval, seeds_interval
from liquid_control.bench.sequences.trials import choose, is_late
from liquid_control.config import ConfigError, load_yaml

TASK = Task(
    title="", metric="mse", batch=1, epochs=10, most_epochs=40, learning_rates=[0.01, 0.02],
    rate_limits=(0.0025, 0.16), networks={}, published={}, floors={}, note="",
)  # fmt: skip


def search(valid, best_epoch, task=TASK):
    """The choice, and all that was tried for it, when runs are these functions of rate, epochs."""
    done = {}
    while True:
        choice = choose(task, lambda *at: done.get(at))
        if not choice.wanted:
            return choice, set(done)
        for rate in choice.wanted:
            at = rate, choice.epochs
            done[at] = {"valid": valid(*at), "best_epoch": best_epoch(*at), "learning_rate": rate}


def distance(optimum):
    return lambda rate, epochs: abs(np.log(rate / optimum))


@pytest.mark.parametrize("optimum", [0.005, 0.01, 0.04, 0.08])
def test_the_best_rate_lies_inside_of_what_was_tried(optimum):
    choice, tried = search(distance(optimum), lambda *at: 1)
    assert choice.rate == pytest.approx(optimum)
    assert (choice.epochs, choice.stopped_by) == (10, ())
    rates = {rate for rate, _ in tried}
    assert {0.01, 0.02} < rates
    assert min(rates) < choice.rate < max(rates)
    assert len(rates) <= 6


def test_a_limit_ends_the_search_and_is_named():
    choice, _ = search(distance(1.0), lambda *at: 1)
    assert choice.rate == pytest.approx(0.16)
    assert choice.stopped_by == ("best rate is the largest tried",)
    choice, tried = search(
        distance(1.0), lambda *at: 1, TASK.model_copy(update={"rate_limits": None})
    )
    assert (choice.rate, len(tried)) == (0.02, 2)
    choice, _ = search(distance(1e-6), lambda *at: 1)
    assert choice.stopped_by == ("best rate is the smallest tried",)


def test_epochs_double_while_the_best_is_among_the_last():
    choice, tried = search(distance(0.02), lambda rate, epochs: min(epochs, 15))
    assert (choice.epochs, choice.stopped_by) == (20, ())
    assert {rate for rate, epochs in tried if epochs == 20} == {0.01, 0.02, 0.04}
    # the optimum at more epochs may be at another rate
    choice, _ = search(
        lambda rate, epochs: abs(np.log(rate * epochs / 0.2)), lambda rate, epochs: min(epochs, 15)
    )
    assert (choice.rate, choice.epochs) == (0.01, 20)
    choice, _ = search(distance(0.02), lambda rate, epochs: epochs)
    assert (choice.epochs, choice.stopped_by) == (40, ("best epoch 40 of 40",))


def test_late_is_the_last_fifth():
    assert [epoch for epoch in range(1, 9) if is_late(epoch, 8)] == [7, 8]
    assert not is_late(32, 40)
    assert is_late(33, 40)


def test_runs_that_broke_are_not_chosen_and_equal_ones_need_no_further_rate():
    choice, _ = search(lambda rate, epochs: float("nan") if rate > 0.015 else 1.0, lambda *at: 1)
    assert choice.rate < 0.015
    choice, tried = search(
        lambda *at: 1.0,
        lambda *at: 1,
        TASK.model_copy(update={"learning_rates": [0.01, 0.02, 0.04]}),
    )
    assert (choice.rate, len(tried)) == (0.02, 3)


@pytest.mark.parametrize(
    ("key", "value"), [("most_epochs", 5), ("rate_limits", [0.015, 0.1]), ("metric", "f1")]
)
def test_limits_that_contradict_are_refused(tmp_path, key, value):
    import yaml

    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({**TASK.model_dump(mode="json"), key: value}))
    with pytest.raises(ConfigError, match=key if key != "rate_limits" else "learning rate 0.01"):
        load_yaml(path, Task)


# Intervals


def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(0)
    one, both = [], []
    for _ in range(1500):
        seeds, rollouts = rng.normal(0, 0.3, (5, 1)), rng.normal(0, 1.0, (1, 10))
        scores = 2.0 + seeds + rollouts + rng.normal(0, 0.3, (5, 10))
        low, high = crossed_interval(scores)
        both.append(low < 2.0 < high)
        low, high = seeds_interval(rng.normal(2.0, 0.3, 5))
        one.append(low < 2.0 < high)
    assert np.mean(one) == pytest.approx(0.95, abs=0.015)
    assert np.mean(both) == pytest.approx(0.95, abs=0.015)


def test_intervals_with_too_little_are_none():
    assert seeds_interval([1.0]) is None
    assert crossed_interval([[1.0, 2.0]]) is None
    assert crossed_interval([[1.0], [2.0]]) is None
    low, high = crossed_interval([[1.0, 1.0], [1.0, 1.0]])
    assert low == high == 1.0
