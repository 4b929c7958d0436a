"""A vehicle that steers by camera as a Gymnasium environment, behind the loop of every flight."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict

from liquid_control.config import ConfigError
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim import CAMERA_NAME
from liquid_control.sim.episode import Episode, EpisodeEnv
from liquid_control.sim.flight import resolve
from liquid_control.sim.learning import check_render_mode, seeing_slots
from liquid_control.sim.scenario import WorldConfig
from liquid_control.vehicles.kind import VehicleConfig

Seen = dict[str, np.ndarray]


class CameraEnv(EpisodeEnv):
    """A vehicle of any kind in a `World` with a camera.

    An observation has the newest ``image`` that has arrived, RGB (height, width, 3) uint8, black
    before the first, and the ``state``, slots in SI units, float32. An action has one number in
    [−1, 1] for each value of the command; reward, end of an episode and ``info`` are those of
    `QuadHoverEnv`, and ``info["seen"]`` says whether an image has come: before, nobody flies.
    """

    def __init__(
        self,
        world: str | Path | WorldConfig,
        *,
        vehicle: str | Path | VehicleConfig | None = None,
        command: str = "",
        slots: Iterable[str] | None = None,
        render_mode: str | None = None,
        **parameters: Any,
    ):
        """Read and check everything; nothing is simulated before `reset`.

        Args:
            world: name or path of a world file, or a world that has been read.
            vehicle: in place of the world's.
            command: name of the kind that the actions stand for; "" for the vehicle's first.
            slots: names of the slots of the state, in the wanted order; ``None`` for all that need
                neither odometry nor setpoint.
            render_mode: None, or "rgb_array": the vehicle seen from behind.
            **parameters: of the controller, in place of the defaults.

        Raises:
            ConfigError: for a world without a camera, and a command that the vehicle does not take.
        """
        check_render_mode(render_mode)
        self.render_mode = render_mode
        scenario, vehicle = resolve(world, vehicle)
        if scenario.camera is None:
            raise ConfigError(f"{CAMERA_NAME} in {scenario.name}: expected a world with a camera")
        if slots is None:
            slots = seeing_slots(make_rules(vehicle, make_parameters(vehicle), command=command))
        episode = Episode(
            CAMERA_NAME, scenario, vehicle, slots, command=command, sees=True, **parameters
        )
        self._adopt(episode, vehicle)
        shape = (scenario.camera.height, scenario.camera.width, 3)
        self._dark = np.zeros(shape, np.uint8)
        self.observation_space = Dict(
            {"image": Box(0, 255, shape, np.uint8), "state": episode.state_space}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Start an episode: with ``seed``, that of the world as in ``fly --seed``; without, with
        one that the environment's generator picks."""
        super().reset(seed=seed)
        return self._shown(self._episode.reset(seed, self.np_random))

    def step(self, action: np.ndarray) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """One control period; for its errors see `Episode.step`."""
        reward, terminated, truncated, info = self._episode.step(action)
        seen, info = self._shown(info)
        return seen, reward, terminated, truncated, info

    def _shown(self, info: dict[str, Any]) -> tuple[Seen, dict[str, Any]]:
        image = self._episode.image
        rgb = (self._dark if image is None else image.rgb).copy()
        return {"image": rgb, "state": self._episode.state}, {**info, "seen": image is not None}
