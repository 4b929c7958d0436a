"""The wind of a world: the sum of its sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from liquid_control.sim.wind import turbulence  # noqa: F401  its sources are registered with it
from liquid_control.sim.wind.sources import WIND_SOURCES, Flow, Vector, WindSource

WindSourceConfig = Annotated[WindSource, WIND_SOURCES]


class Wind:
    """The sources of one flight.

    Each source draws from its own stream, so that adding one does not change the others. Call
    `begin` once per control period, then `velocity` once per physics step of ``dt`` s. ``mean`` is
    the steady part (m/s, world), ``axis_u`` its horizontal direction (unit).
    """

    def __init__(
        self,
        configs: Sequence[WindSource],
        rng: np.random.Generator,
        duration: float,
        dt: float,
    ):
        streams = rng.spawn(len(configs))
        self._sources = [c.build(s, duration) for c, s in zip(configs, streams, strict=True)]
        varying = [source for source in self._sources if source.velocity is not None]
        self._velocities = [source.velocity for source in varying]
        constant = [source.mean for source in self._sources if source.velocity is None]
        self._constant = tuple(sum(axis) for axis in zip((0.0, 0.0, 0.0), *constant, strict=True))
        self._dt = dt
        mx, my, mz = (sum(source.mean[i] for source in self._sources) for i in range(3))
        self.mean = (mx, my, mz)
        horizontal = math.hypot(mx, my)
        self.axis_u = (mx / horizontal, my / horizontal) if horizontal > 0 else (1.0, 0.0)

    def begin(self, pos: Vector, vel: Vector, steps: int) -> None:
        """Adapt to position and velocity (world frame) of the vehicle for the next ``steps``."""
        mx, my, mz = self.mean
        vx, vy, vz = vel
        airspeed = math.sqrt((vx - mx) ** 2 + (vy - my) ** 2 + (vz - mz) ** 2)
        flow = Flow(pos, airspeed, self.axis_u, self._dt, steps)
        for source in self._sources:
            if source.begin is not None:
                source.begin(flow)

    def velocity(self, time: float, pos: Vector) -> Vector:
        """Wind at ``time`` s and ``pos``; advances the turbulence by one physics step."""
        x, y, z = self._constant
        for velocity in self._velocities:
            sx, sy, sz = velocity(time, pos)
            x, y, z = x + sx, y + sy, z + sz
        return x, y, z
