"""Any torch module becomes a checked policy by one call."""

import numpy as np
import pytest
import torch
from torch import nn

from liquid_control.config import ConfigError
from liquid_control.nn.export import export_module
from liquid_control.runtime.policy import load_policy
from liquid_control.structs import RATES_THRUST, Layout, Slot

OBSERVATION = Layout((Slot("pos_error", 3, "m", "world"), Slot("vel_error", 3, "m/s", "world")))
ARGUMENTS = {
    "observation": OBSERVATION,
    "command": RATES_THRUST,
    "control_period": 0.01,
    "vehicle": "crazyflie",
}


class Filter(nn.Module):
    """A GRU cell whose state fades with time."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(6, 5), nn.Linear(5, 4)

    def forward(self, observation, dt, state):
        state = self.cell(observation, state) * torch.exp(-dt)
        return self.head(state), state


def test_a_module_with_state_flies(tmp_path):
    torch.manual_seed(0)
    module = Filter().double()
    artifact = export_module(module, tmp_path / "policy.onnx", **ARGUMENTS, state_size=5)
    assert artifact.metadata.network == "Filter"
    assert next(module.parameters()).dtype == torch.float64, "exporting changed the module"
    policy, state = load_policy(tmp_path / "policy.onnx"), torch.zeros(1, 5).double()
    rng = np.random.default_rng(0)
    for observation in rng.normal(size=(50, 6)):
        dt = rng.uniform(0.005, 0.02)
        with torch.no_grad():
            expected, state = module(torch.tensor(observation[None]), torch.tensor([[dt]]), state)
        np.testing.assert_allclose(policy.step(observation, dt), expected[0], atol=2e-5)


def test_a_module_without_state_flies(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 4))
    export_module(module, tmp_path / "policy.onnx", **ARGUMENTS, network="mlp")
    assert module.training
    policy = load_policy(tmp_path / "policy.onnx")
    module.eval()
    for observation in np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32):
        with torch.no_grad():
            expected = module(torch.tensor(observation[None]))[0]
        np.testing.assert_allclose(policy.step(observation, 0.01), expected, atol=1e-5)


class Memory(nn.Module):
    """Ignores dt, which the exported graph takes all the same."""

    def forward(self, observation, dt, state):
        state = 0.5 * state + observation
        return state[:, :4], state


def test_an_input_that_is_not_read_is_an_input_still(tmp_path):
    artifact = export_module(Memory(), tmp_path / "policy.onnx", **ARGUMENTS, state_size=6)
    assert [tensor.name for tensor in artifact.session.get_inputs()] == [
        "observation", "dt", "state"
    ]  # fmt: skip


class Wild(nn.Module):
    def forward(self, observation):
        return (observation[:, :4] / 0.0).nan_to_num(posinf=torch.inf, neginf=-torch.inf)


class Branching(nn.Module):
    def forward(self, observation):
        if observation.sum() > 0:
            return observation[:, :4]
        return -observation[:, :4]


@pytest.mark.parametrize(
    ("module", "changes", "reason"),
    [
        (nn.Linear(6, 3), {}, r"module gives \{'command': \(2, 3\)\}, expected .*\(2, 4\)"),
        (nn.Linear(7, 4), {}, r"module does not take \(2, 6\)"),
        (nn.Linear(6, 4), {"state_size": 2}, r"module does not take \(2, 6\), \(2, 1\), \(2, 2\)"),
        (Filter(), {"state_size": 4}, "module does not take"),
        (nn.LSTM(6, 4), {}, "module gives"),
        (Wild(), {}, "expected finite"),
        (Branching(), {}, "can't be exported"),
    ],
)
def test_a_module_that_does_not_fit_is_named(module, changes, reason, tmp_path):
    path = tmp_path / "policy.onnx"
    with pytest.raises(ConfigError, match=rf"policy.onnx: .*{reason}"):
        export_module(module, path, **{**ARGUMENTS, **changes})
    assert not path.exists()
