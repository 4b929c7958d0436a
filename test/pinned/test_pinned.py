"""What flies and learns today is what flew and learned when `pinned.json` was written.

Each array is stored as a digest of its bytes and as a few of its values. Bits depend on the
processor (vector instructions round differently), so digests are compared where the arithmetic of
this machine is that of the file, and the values, closely, everywhere else. A digest of null stands
where an array was written anew on another machine than the rest: then its values alone count.

    LIQUID_CONTROL_PIN=1 pytest test/pinned        # writes the file: only for a change on purpose
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pybullet")
pytest.importorskip("torch")

import cases

from liquid_control.evaluation.provenance import processor

FILE = Path(__file__).with_name("pinned.json")
VALUES = 24  # kept of an array, evenly spaced over it
TOLERANCE = 1e-3  # of the largest value, where the arithmetic of the machine is another
PINNING = bool(os.environ.get("LIQUID_CONTROL_PIN"))


def digest(array: np.ndarray) -> str:
    data = np.ascontiguousarray(array, dtype="<f8")
    return hashlib.sha256(str(data.shape).encode() + data.tobytes()).hexdigest()[:16]


def values(array: np.ndarray) -> list[float | None]:
    flat = np.asarray(array, dtype=float).ravel()
    chosen = flat[np.linspace(0, flat.size - 1, min(VALUES, flat.size)).astype(int)]
    return [None if np.isnan(value) else float(f"{value:.9g}") for value in chosen]


def arithmetic() -> str:
    """A digest of what this machine makes of functions whose last bit differs between machines."""
    import torch

    from liquid_control.runtime.policy import load_policy

    x = np.linspace(-3, 3, 1001)
    policy = load_policy("hover_liquid")
    size = policy.observation_layout.size
    commands = [policy.step(row, 0.01) for row in np.sin(np.arange(20 * size)).reshape(20, size)]
    t = torch.linspace(-3, 3, 1001).requires_grad_()
    y = (torch.tanh(t) * torch.sin(t) + torch.sigmoid(t) * torch.exp(-t * t)).reshape(7, 143)
    (y @ y.T).sum().backward()
    parts = [np.exp(x), np.sin(x), x @ x, *commands, t.grad.numpy()]
    numbers = digest(np.concatenate([np.ravel(part).astype(float) for part in parts]))
    # Libraries choose by the maker how to sum, which the functions above need not show.
    return f"{numbers} {processor().split()[0]}"


@pytest.fixture(scope="session")
def pinned():
    stored = json.loads(FILE.read_text()) if FILE.is_file() else {}
    yield stored
    if PINNING:
        stored["arithmetic"] = arithmetic()
        FILE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


def compare(pinned: dict, name: str, arrays: dict[str, np.ndarray]) -> None:
    found = {
        key: {"shape": list(np.shape(a)), "digest": digest(a), "values": values(a)}
        for key, a in arrays.items()
    }
    if PINNING:
        pinned.setdefault("cases", {})[name] = found
        return
    expected = pinned["cases"][name]
    assert found.keys() == expected.keys()
    same_machine = arithmetic() == pinned["arithmetic"]
    for key, want in expected.items():
        got = found[key]
        assert got["shape"] == want["shape"], f"{name}: {key}"
        if same_machine and want["digest"] is not None:
            assert got["digest"] == want["digest"], f"{name}: {key} changed: {got['values']}"
            continue
        a, b = (np.array([np.nan if v is None else v for v in x["values"]]) for x in (got, want))
        scale = max(np.nanmax(np.abs(b), initial=0.0), 1e-6)
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * scale, err_msg=f"{name}: {key}")


@pytest.mark.parametrize("seed", cases.SEEDS)
@pytest.mark.parametrize("policy", cases.POLICIES)
@pytest.mark.parametrize("world", cases.WORLDS)
def test_flight(pinned, world, policy, seed):
    compare(pinned, f"{world}-{policy}-{seed}", cases.flight(world, policy, seed))


@pytest.mark.ros
def test_lockstep_flight(pinned):
    pytest.importorskip("rclpy")
    pytest.importorskip("mcap_ros2")
    compare(pinned, "lockstep", cases.lockstep_flight())


def test_training(pinned):
    compare(pinned, "training", cases.training())


def test_imitation(pinned):
    compare(pinned, "imitation", cases.imitation())


def test_suite(pinned, tmp_path):
    compare(pinned, "suite", cases.suite(tmp_path))


def test_gym_episode(pinned):
    pytest.importorskip("gymnasium")
    compare(pinned, "gym", cases.gym_episode())
