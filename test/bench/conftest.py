"""A tiny sequence benchmark and its data, and options as typed."""

import argparse

import numpy as np
import pytest
import yaml

from liquid_control.bench.sequences.config import SequenceBenchmark
from liquid_control.config import load_yaml

CLOSED = {"kind": "cfc", "mode": "closed", "wiring": {"kind": "fully_connected"}}
STUDY = {
    "seeds": 1, "unfolds": [1, 6], "reference_unfolds": 12, "batch": 8, "steps": 12, "updates": 60,
    "expressivity": {
        "activations": ["tanh", "sigmoid"], "widths": [10, 5], "taus": [1.0, 5.0], "scales": [2.0],
        "layers": [1, 2], "sigma_b2": 1.0, "steps": 20, "draws": 2,
    },
}  # fmt: skip


@pytest.fixture
def parse():
    """Options of a benchmark's command, as typed."""

    def parse(command, *words):
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        return parser.parse_args([str(word) for word in words])

    return parse


@pytest.fixture
def benchmark(tmp_path):
    """A tiny benchmark, and 25 rollouts of random walks where --data wants Half-Cheetah."""
    (tmp_path / "half_cheetah").mkdir()
    rng = np.random.default_rng(0)
    for k in range(25):
        rollout = np.cumsum(rng.standard_normal((60, 17)), axis=0)
        np.save(tmp_path / "half_cheetah" / f"{k:02}.npy", rollout)
    common = {"batch": 8, "epochs": 2, "published": {"LTC": "2.3"}, "floors": {"none": "9"}}
    names = {"closed form": CLOSED, "gru": {"kind": "gru"}}
    nets = {name: {"cell": cell, "units": 5} for name, cell in names.items()}
    tasks = {
        "half_cheetah": {
            **common, "title": "walks", "metric": "mse", "learning_rates": [0.001, 0.05],
            "networks": nets, "note": "Random walks.",
        },
        "xor_event_irregular": {
            **common, "title": "parity", "metric": "accuracy_last_step", "learning_rates": [0.01],
            "sizes": [16, 8, 8], "note": "Parity.", "growth": 0.5,
            "networks": {"late": {**nets["gru"], "with_time": False}},
        },
    }  # fmt: skip
    path = tmp_path / "benchmark.yaml"
    path.write_text(yaml.safe_dump({"protocol": 2, "seeds": 2, "studies": STUDY, "tasks": tasks}))
    return load_yaml(path, SequenceBenchmark)
