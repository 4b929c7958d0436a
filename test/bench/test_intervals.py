"""The intervals of suites cover as they say, and equal policies are not called different."""

import json
import math

import numpy as np
import pytest

from liquid_control.bench.intervals.report import measure
from liquid_control.bench.intervals.simulation import coverage, false_alarms, lognormal
from liquid_control.bench.intervals.sizes import IntervalSizes
from liquid_control.cli.program import main
from liquid_control.config import find_file, load_yaml
from liquid_control.evaluation.suite.estimates import Difference, Estimate

SIZES = load_yaml(find_file("intervals.yaml", "config/benchmarks"), IntervalSizes)
SKEWED = [name for name, shape in SIZES.shapes.items() if not shape.failing]


def _sized(repetitions: int, **family) -> IntervalSizes:
    smaller = SIZES.family.model_copy(update={"repetitions": repetitions, **family})
    return SIZES.model_copy(update={"repetitions": repetitions, "family": smaller})


@pytest.mark.parametrize("shape", ["usual", "skewed"])
def test_ten_seeds_cover_and_bootstraps_do_not(shape):
    found = coverage(_sized(600), SIZES.shapes[shape], 10)
    for key in ("mean", "difference", "iqm"):
        assert 0.92 <= found[key] <= 0.985, key
    assert found["percentile"] < 0.92
    assert found["others"] < 0.6  # one seed says little of another


def test_equal_policies_are_not_called_different():
    found = false_alarms(_sized(40, policies=3, conditions=12), [0.33], 0.5, 10)
    assert found["alone"] > 0.3  # so many of 36 leave zero out by luck
    assert found["tables"] <= 0.125  # 5 of 40, exceeded by a true 5 % once in 30 times


def test_few_flights_that_suit_one_policy_and_not_another_are_not_called_clear():
    rng, size = np.random.default_rng(5), 20_000
    hard = lognormal(rng, 0.5, (size, 1, 5))
    shapes = (0.05, (size, 10, 1)), (0.1, (size, 1, 5)), (0.05, (size, 10, 5))
    a, b = (
        Estimate(hard * math.prod(lognormal(rng, *shape) for shape in shapes)) for _ in range(2)
    )
    rare = (Difference(a, b).p < 1e-3).mean()
    assert rare < 1.3e-3  # twice as many with the flights' degrees of freedom lost among the seeds'


def test_steady_policies_that_flights_suit_differently_are_not_called_different():
    found = false_alarms(_sized(30), [0.05], 0.0, 10)
    assert found["tables"] <= 0.1  # 25 % with the noise of flights taken off what they share


def test_the_command_prints_both_tables(tmp_path, capsys):
    small = tmp_path / "small.yaml"
    data = SIZES.model_dump() | {"training_seeds": [5], "shapes": {"one": {"spread": 0.3}}}
    data["family"] |= {
        **{"policies": 2, "conditions": 3, "training_seeds": [5]},
        **{"correlation": [0.5], "spreads": {"alike": [0.3]}},
    }
    small.write_text(json.dumps(data))
    command = ["bench", "intervals", "--config", str(small), "--repetitions", "20"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "intervals.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == text.strip()
    assert "| one (0.3) | 5 |" in text
    assert "| alike (0.3) | 0.5 | 5 |" in text
    assert main(["bench", "intervals", "--repetitions", "0"]) != 0


@pytest.mark.slow
def test_coverage_is_93_to_97_from_ten_seeds_on():
    found = [
        (name, seeds, coverage(_sized(6000), SIZES.shapes[name], seeds, seed=1))
        for name in SKEWED
        for seeds in (10, 20)
    ]
    error = 2 * (0.95 * 0.05 / 6000) ** 0.5
    for name, seeds, shares in found:
        for key in ("mean", "difference", "iqm"):
            assert 0.93 - error <= shares[key] <= 0.97 + error, (name, seeds, key, shares[key])


@pytest.mark.slow
def test_any_word_clearly_in_a_table_of_equals_is_rare():
    rows = measure(_sized(200))["family"]
    for row in rows:
        assert row["tables"] <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5, row
        assert row["alone"] > 5
