"""A policy that steps: an artifact and its state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liquid_control.config import ConfigError, find_file
from liquid_control.runtime.artifact import INPUTS, OUTPUTS, Artifact, load_artifact
from liquid_control.structs import ImageSample, Layout


class OnnxPolicy:
    """Steps an artifact in ONNX Runtime; all arrays are allocated once.

    Needs neither torch nor a compiler. `metadata` says what the observation and command hold.
    ``command_kind`` is the name of the kind of command that a step gives.
    """

    def __init__(self, artifact: Artifact):
        self.metadata = artifact.metadata
        self._eye = artifact.eye
        whole = artifact.metadata.observation_layout
        # of a policy that sees, without the features, which it makes of images itself
        self.observation_layout = whole if self._eye is None else Layout(whole.slots[:-1])
        self.command_layout = artifact.metadata.command_layout
        self.command_kind = artifact.metadata.command_kind
        self._session = artifact.session
        self._state = artifact.zero_state()
        self._observation = np.zeros((1, whole.size), np.float32)
        self._dt = np.zeros((1, 1), np.float32)
        self._command = np.zeros((1, self.command_layout.size), np.float32)
        self._next_state = np.zeros_like(self._state)
        # The runtime reads and writes these arrays in place: no step allocates or converts.
        self._binding = self._session.io_binding()
        for bind, names, arrays in (
            (self._binding.bind_input, INPUTS, (self._observation, self._dt, self._state)),
            (self._binding.bind_output, OUTPUTS, (self._command, self._next_state)),
        ):
            for name, array in zip(names, arrays, strict=True):
                bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._neuron_index = np.array(self.metadata.neuron_index, dtype=int)
        # the same memory without the axis of the batch
        observation, self._given, self._memory = (
            array[0] for array in (self._observation, self._command, self._state)
        )
        self._seen, self._features = np.split(observation, [self.observation_layout.size])
        self.warm_up()

    def reset(self) -> None:
        """Forget everything: the state is zero, as at the start of training episodes."""
        self._state[:] = 0.0

    @property
    def sees(self) -> bool:
        """Whether it steps on images, which `look` takes."""
        return self._eye is not None

    def look(self, image: ImageSample) -> None:
        """Take in a new image of any size; the steps from now on are on what it shows.

        Raises:
            ValueError: for an image that does not fit, which is not taken in.
        """
        self._features[:] = self._eye.look(image)

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command ``(c,)`` in SI units for an observation ``(n,)`` in SI units.

        ``dt`` is the time in seconds since the step before.
        """
        self._seen[:] = observation
        self._dt[0, 0] = dt
        self._session.run_with_iobinding(self._binding)
        self._state[:] = self._next_state
        return self._given.copy()

    def warm_up(self) -> None:
        """Compute a step and forget it: after a pause, caches are cold and a step takes longer."""
        self._session.run_with_iobinding(self._binding)

    @property
    def state(self) -> np.ndarray:
        """The state after the last step, ``(m,)``."""
        return self._memory.copy()

    @property
    def neurons(self) -> np.ndarray:
        """Activity of each neuron, in the order of ``metadata.neuron_names``."""
        return self._memory.take(self._neuron_index)


def load_policy(name: str | Path) -> OnnxPolicy:
    """A policy by path or by name (``config/policies/<name>.onnx``), ready to step.

    Use it where only policy files fly; `runtime.catalogue.make_controller` takes anything by name.

    Raises:
        ConfigError: for a file that is not there or fails a check, which is named.
    """
    path = find_file(name, "config/policies")
    if path.suffix != ".onnx":
        own = f"; a controller of your own is {path}:CLASS" if path.suffix == ".py" else ""
        raise ConfigError(f"{path}: a policy is an .onnx file{own}")
    return OnnxPolicy(load_artifact(path))
