"""A world of YAML for a batch of quadrotors: vehicles, wind, sensors and task of each, in NumPy.

What `World` is to one vehicle, on the batched dynamics: hundreds of episodes a call, but nothing
to touch, no faults and no camera. A world that asks for what the batch can't do is refused by key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.observation import Situation
from liquid_control.sim.batched import Reference, fly_period, measure
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.sensors.batched import BatchSensors, force_at_rest
from liquid_control.sim.start import draw_start
from liquid_control.sim.task import Task
from liquid_control.sim.wind.batched import BatchWind
from liquid_control.sim.world import AIRBORNE_SETPOINT
from liquid_control.vehicles.kind import VehicleConfig
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState, hover_state
from liquid_control.vehicles.quadrotor.params import RateLoopParams
from liquid_control.vehicles.quadrotor.variation import draw_params, with_payload

# keys of a world whose values the batched dynamics have no counterpart for
NOT_IN_A_BATCH = ("obstacles", "faults", "camera", "sensors", "battery_charge")


def refusal(scenario: WorldConfig, vehicle: VehicleConfig) -> str:
    """The key of a world that the batch can't fly, and what it says; "" for none."""
    if not isinstance(vehicle, QuadrotorConfig):
        return f"vehicle: a batch flies quadrotors, got {vehicle.name!r}"
    for key in NOT_IN_A_BATCH:
        if getattr(scenario, key) not in (None, (), {}):
            return f"{key}: a batch has none"
    if scenario.start.place != "air":
        return f"start.place: a batch starts in the air, got {scenario.start.place!r}"
    return ""


class BatchWorld:
    """``size`` flights of one scenario, each with its own start, vehicle, wind and sensors.

    Component-first float64 arrays ``(n, B)``. Each episode has its own clock.

    Raises:
        ConfigError: for a world that a batch can't fly, naming the key.
    """

    def __init__(self, scenario: WorldConfig, vehicle: VehicleConfig, size: int):
        reason = refusal(scenario, vehicle)
        try:
            if reason:
                raise ConfigError(reason)
            self._wind = BatchWind(scenario.wind, size, scenario.duration)
        except ConfigError as error:
            raise ConfigError(
                f"{scenario.name}: {error}; the environment of one vehicle can, "
                'as gymnasium.make(...) or make_vec(..., vectorization_mode="sync")'
            ) from None
        self.scenario, self.vehicle, self.size = scenario, vehicle, size
        self._dt = 1 / scenario.control_rate
        self._physics_dt = 1 / scenario.physics_rate
        self._rate_loop = RateLoopParams.from_vehicle(vehicle)
        self._sensors = BatchSensors(scenario.imu, scenario.odometry, scenario.control_rate, size)
        self._crash_height = 0.5 * vehicle.collision_size[2]
        self.steps = round(scenario.duration * scenario.control_rate)  # of a whole episode
        self._path = self._setpoints()
        self.tick = np.zeros(size, dtype=int)  # control periods since the start of each episode
        self._yaw = np.zeros(size)
        self._params = self._draw_params(np.random.default_rng(0), size)
        zero, quat = np.zeros((3, size)), np.zeros((4, size))
        quat[3] = 1.0
        self.state: QuadrotorState = hover_state(self._params, zero, quat)
        self._force = np.zeros((3, size))  # specific force, m/s²
        self._ang_acc = np.zeros((3, size))  # rad/s²
        self._wind_now = np.zeros((3, size))  # m/s, of the newest control period

    def _setpoints(self) -> np.ndarray:
        """Position, velocity and acceleration of the task at each tick, (ticks, 3, 3)."""
        scenario = self.scenario
        task = Task(scenario.task, np.array(scenario.start.pos), 0.0)
        points = [task.setpoint(k / scenario.control_rate) for k in range(self.steps + 1)]
        return np.array([(p.pos_world, p.vel_world, p.acc_world) for p in points], dtype=float)

    def _draw_params(self, rng: np.random.Generator, size: int):
        params = draw_params(self.vehicle, rng, self.scenario.vehicle_spread, (size,))
        payload = self.scenario.payload
        return params if payload is None else with_payload(params, payload.mass, payload.below)

    def restart(self, which: np.ndarray, rng: np.random.Generator) -> None:
        """Start the episodes anew that ``which`` (B) is true for."""
        size = int(which.sum())
        fresh = self._draw_params(rng, size)
        _put(self._params, which, fresh)
        starts = [draw_start(self.scenario.start, rng) for _ in range(size)]
        pos, quat, vel, yaw = (np.array(column).T for column in zip(*starts, strict=True))
        state = hover_state(fresh, pos, quat)._replace(vel_world=vel)
        _put(self.state, which, state)
        self._yaw[which], self.tick[which] = yaw, 0
        self._force[:, which], self._ang_acc[:, which] = force_at_rest(quat), 0.0
        self._wind_now[:, which] = 0.0
        self._wind.restart(which, rng)
        self._sensors.restart(which, rng)

    def reference(self) -> Reference:
        """The setpoints of all vehicles now, each ``(3, B)``, and yaw."""
        pos, vel, acc = np.moveaxis(self._path[np.minimum(self.tick, self.steps)], 0, -1)
        return Reference(pos, vel, acc, self._yaw)

    def situation(
        self, previous_command: np.ndarray, max_pos_error: float, rng: np.random.Generator
    ) -> Situation:
        """What the vehicles know now; draws the errors of their sensors."""
        errors = self._sensors.errors(self.state, self._force, self._ang_acc, rng)
        return measure(
            self.state,
            self._force,
            errors,
            self.reference(),
            previous_command,
            max_pos_error,
            self._wind_now,
        )

    def step(self, command: np.ndarray, rng: np.random.Generator) -> None:
        """One control period of all with ``command`` (4, B), thrust / mass and body rates, SI."""
        state = self.state
        wind = self._wind.velocity(
            self.tick * self._dt, state.pos_world, state.vel_world, self._dt, rng
        )
        flown = fly_period(
            state,
            command[None],
            wind,
            self._params,
            self._rate_loop,
            self._dt,
            self.scenario.substeps,
        )
        self.state, self._force = flown.vehicle, flown.specific_force
        self._wind_now = wind.copy()
        turned = flown.vehicle.ang_vel_body - flown.before.ang_vel_body
        self._ang_acc = turned / self._physics_dt
        self.tick += 1

    def distance(self) -> np.ndarray:
        """From the setpoints (B), m, true."""
        return np.sqrt(((self.state.pos_world - self.reference().pos) ** 2).sum(axis=0))

    def crash_reasons(self) -> Sequence[str]:
        """Why each episode is over, "" where it is not; the arena's limits as in `World`."""
        finite = np.isfinite(self.state.pos_world).all(axis=0)
        distance, arena = self.distance(), self.scenario.arena
        low = (self.state.pos_world[2] < self._crash_height) & (
            self.reference().pos[2] > AIRBORNE_SETPOINT
        )
        far = distance > arena.max_distance
        reasons = [""] * self.size
        for i in np.flatnonzero(~finite | far | low):
            if not finite[i]:
                reasons[i] = "the state is not finite"
            elif far[i]:
                reasons[i] = f"{distance[i]:.1f} m from the setpoint"
            else:
                reasons[i] = "touched the ground in flight"
        return reasons


def _put(whole, which: np.ndarray, part) -> None:
    """Write the arrays of ``part`` over those of ``whole``, nested alike, at ``which``."""
    if isinstance(whole, tuple):
        for a, b in zip(whole, part, strict=True):
            _put(a, which, b)
    elif isinstance(whole, np.ndarray):
        whole[..., which] = part
