"""A source of pose and twist with noise, rate, delay and dropouts: motion capture or GPS-like."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from liquid_control.config import ProperShare, StrictModel
from liquid_control.frames import rotate_components
from liquid_control.sim.quantities import Lag, Noise, Span, key
from liquid_control.structs import OdometrySample

NOISE_BLOCK = 256  # samples of noise drawn at once


class OdometryConfig(StrictModel):
    """Errors of a pose and twist source, 1 σ per axis."""

    source: str = key("where the values are from")
    update_rate: float = key("divides the control rate", "Hz", ge=0.01)
    position_noise: Noise = key("horizontal", "m")
    altitude_noise: Noise = key("vertical", "m")
    velocity_noise: Noise = key("white noise", "m/s")
    attitude_noise: Noise = key("white noise", "rad")
    ang_vel_noise: Noise = key("white noise", "rad/s")
    drift: Noise = key(
        "stationary deviation of a slow position error; the frame has its origin where the vehicle "
        "started, so that the error begins at zero",
        "m",
    )
    altitude_drift: Noise | None = key(
        "the same, vertical; null for that of `drift`", "m", default=None
    )
    drift_time: Span = key("correlation time of the drift", "s")
    delay: Lag = key("from stamp to arrival, a whole number of control periods", "s")
    dropout: ProperShare = key("share of samples that never arrive")

    @property
    def drifts(self) -> tuple[float, float, float]:
        """Stationary deviation of the drift, each axis, m."""
        vertical = self.drift if self.altitude_drift is None else self.altitude_drift
        return self.drift, self.drift, vertical

    @property
    def usual_age(self) -> float:
        """How old, in s, its newest sample may be while nothing is wrong: two are lost in a row."""
        return self.delay + 3 / self.update_rate


class Odometry:
    """One source of one flight; call `measure` once per control period."""

    def __init__(self, config: OdometryConfig, rng: np.random.Generator, control_rate: float):
        c = config
        self._rng = rng
        self._stride = round(control_rate / c.update_rate)
        self._scale = np.repeat(
            [c.position_noise, c.altitude_noise, c.velocity_noise, c.attitude_noise / 2],
            [2, 1, 3, 3],
        )
        self._scale = np.concatenate([self._scale, np.full(3, c.ang_vel_noise)])
        self._dropout = c.dropout
        self._keep = math.exp(-1 / (c.update_rate * c.drift_time))
        self._drift_step = [drift * math.sqrt(1 - self._keep**2) for drift in c.drifts]
        self._drift = self._origin = (c.drifts * rng.standard_normal(3)).tolist()
        # a sample waits in a queue as long as the delay
        self._waiting: deque[OdometrySample | None] = deque([None] * round(c.delay * control_rate))
        self._block = iter(())
        self._tick = 0
        self._newest: OdometrySample | None = None

    def measure(self, stamp: int, pos, quat, vel_world, ang_vel_body) -> OdometrySample | None:
        """The newest sample that has arrived, given the truth at ``stamp`` ns as plain tuples."""
        sample = None
        if self._tick % self._stride == 0:
            sample = self._sample(stamp, pos, quat, vel_world, ang_vel_body)
        self._tick += 1
        self._waiting.append(sample)
        arrived = self._waiting.popleft()
        if arrived is not None:
            self._newest = arrived
        return self._newest

    def _sample(self, stamp, pos, quat, vel_world, ang_vel_body) -> OdometrySample | None:
        row = next(self._block, None)
        if row is None:
            normal = self._rng.standard_normal((NOISE_BLOCK, 15))
            normal[:, :12] *= self._scale
            uniform = self._rng.random((NOISE_BLOCK, 1))
            self._block = iter(np.hstack([normal, uniform]).tolist())
            row = next(self._block)
        px, py, pz, ux, uy, uz, rx, ry, rz, wx, wy, wz, d0, d1, d2, chance = row
        keep, (x, y, z), (sx, sy, sz) = self._keep, self._drift, self._drift_step
        x, y, z = self._drift = keep * x + sx * d0, keep * y + sy * d1, keep * z + sz * d2
        ox, oy, oz = self._origin
        dx, dy, dz = x - ox, y - oy, z - oz
        if chance < self._dropout:
            return None
        x, y, z, w = quat
        vx, vy, vz = rotate_components(-x, -y, -z, w, *vel_world)
        # a small rotation of the body, quaternion (r, 1), then normalised
        qx, qy = x + w * rx + y * rz - z * ry, y + w * ry + z * rx - x * rz
        qz, qw = z + w * rz + x * ry - y * rx, w - x * rx - y * ry - z * rz
        norm = math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
        return OdometrySample(
            stamp=stamp,
            pos_world=np.array((pos[0] + px + dx, pos[1] + py + dy, pos[2] + pz + dz)),
            quat_world_body=np.array((qx / norm, qy / norm, qz / norm, qw / norm)),
            vel_body=np.array((vx + ux, vy + uy, vz + uz)),
            ang_vel_body=np.array(
                (ang_vel_body[0] + wx, ang_vel_body[1] + wy, ang_vel_body[2] + wz)
            ),
        )
