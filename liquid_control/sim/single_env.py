"""One vehicle in a `World` as a Gymnasium environment, behind the loop that flies it everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.sim import NAME
from liquid_control.sim.episode import Episode, EpisodeEnv
from liquid_control.sim.learning import (
    WORLD,
    check_render_mode,
    resolve_quadrotor,
)
from liquid_control.sim.scenario import WorldConfig
from liquid_control.vehicles.kind import VehicleConfig


class QuadHoverEnv(EpisodeEnv):
    """One vehicle in a `World`, behind the loop that flies it everywhere.

    ``info`` has the world's ``seed``, the true ``position_error`` in m, the supervisor's ``mode``
    of the step (where it is not "policy", the loop's backup flew in place of the learner, or
    nobody) with its ``reason``, and the ``crash_reason``, "" for none; at the end also ``success``,
    whether the world's limits were met, as ``fly`` judges. All figures of an episode:
    ``evaluation.metrics.flight_metrics(env.unwrapped.flight_log())``.
    """

    def __init__(
        self,
        world: str | Path | WorldConfig = WORLD,
        *,
        vehicle: str | Path | VehicleConfig | None = None,
        slots: Iterable[str] | None = None,
        render_mode: str | None = None,
        **parameters: Any,
    ):
        """Read and check everything; nothing is simulated before `reset`.

        Args:
            world: name or path of a world file, or a world that has been read.
            vehicle: in place of the world's.
            slots: names of the observation slots, in the wanted order; ``None`` for all.
            render_mode: None, or "rgb_array": the vehicle seen from behind.
            **parameters: of the controller, in place of the defaults.
        """
        check_render_mode(render_mode)
        self.render_mode = render_mode
        scenario, vehicle = resolve_quadrotor(world, vehicle)
        self._adopt(Episode(NAME, scenario, vehicle, slots, **parameters), vehicle)
        self.observation_space = self._episode.state_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode: with ``seed``, that of the world as in ``fly --seed``; without, with
        one that the environment's generator picks."""
        super().reset(seed=seed)
        info = self._episode.reset(seed, self.np_random)
        return self._episode.state, info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control period; for its errors see `Episode.step`."""
        outcome = self._episode.step(action)
        return self._episode.state, *outcome
