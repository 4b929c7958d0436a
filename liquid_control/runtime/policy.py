"""A policy that steps: an artifact and its state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liquid_control.config import ConfigError, find_file
from liquid_control.runtime.artifact import OUTPUTS, Artifact, load_artifact


class OnnxPolicy:
    """Steps an artifact in ONNX Runtime; all arrays are allocated once.

    Needs neither torch nor a compiler. `metadata` says what the observation and command hold.
    """

    def __init__(self, artifact: Artifact):
        self.metadata = artifact.metadata
        self.observation_layout = artifact.metadata.observation_layout
        self.command_layout = artifact.metadata.command_layout
        self._session = artifact.session
        self._zero_state = artifact.zero_state()
        size = self.observation_layout.size
        self._inputs = {
            "observation": np.zeros((1, size), np.float32),
            "dt": np.zeros((1, 1), np.float32),
            "state": self._zero_state,
        }
        self._neuron_index = np.array(self.metadata.neuron_index)
        self.step(np.zeros(size), self.metadata.control_period)  # warm up the runtime
        self.reset()

    def reset(self) -> None:
        """Forget everything: the state is zero, as at the start of training episodes."""
        self._inputs["state"] = self._zero_state

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command ``(c,)`` in SI units for an observation ``(n,)`` in SI units.

        ``dt`` is the time in seconds since the step before.
        """
        self._inputs["observation"][0] = observation
        self._inputs["dt"][0, 0] = dt
        command, self._inputs["state"] = self._session.run(OUTPUTS, self._inputs)
        return command[0]

    @property
    def state(self) -> np.ndarray:
        """The state after the last step, ``(m,)``."""
        return self._inputs["state"][0]

    @property
    def neurons(self) -> np.ndarray:
        """Activity of each neuron, in the order of ``metadata.neuron_names``."""
        return self.state[self._neuron_index]


def load_policy(name: str | Path) -> OnnxPolicy:
    """A policy by path or by name (``config/policies/<name>.onnx``)."""
    path = find_file(name, "config/policies")
    if path.suffix != ".onnx":
        raise ConfigError(f"{path}: a policy is an .onnx file")
    return OnnxPolicy(load_artifact(path))
