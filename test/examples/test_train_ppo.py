"""The example of somebody's own learner, in tiny steps: it learns, exports, and the file flies."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("gymnasium")

FILE = Path(__file__).parents[2] / "examples" / "train_ppo.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("train_ppo", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns_exports_and_flies(example, tmp_path):
    from liquid_control.runtime.policy import load_policy
    from liquid_control.sim.flight import prepare

    out = tmp_path / "ppo.onnx"
    example.main(
        ["--minutes", "0.01", "--vehicles", "8", "--world", "hover_calm", "--out", str(out)]
    )
    policy = load_policy(out)
    assert policy.observation_layout.names == example.SLOTS
    assert policy.metadata.training["method"] == "PPO"
    command = policy.step(np.zeros(policy.observation_layout.size), 0.01)
    assert np.isfinite(command).all()
    flight = prepare("hover_calm", str(out))
    with flight.world(0) as world:
        log = flight.fly(world, duration=0.5)
    assert (log.mode == "policy").all()
    assert np.isfinite(log.command).all()
