"""The wind world: one vehicle, its wind, its sensors and its task.

The vehicle's body and autopilot are a `Plant` of its kind. `World.step` advances one control
period.
"""

from __future__ import annotations

import math
from collections import deque
from importlib import import_module
from numbers import Integral
from typing import NamedTuple

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.strangers import ANYTHING, words
from liquid_control.frames import rotate_components
from liquid_control.sim.compiled import compile_kernel
from liquid_control.sim.faults import FaultySensor, WindFault, drawn_faults
from liquid_control.sim.plants.plant import Plant, Start, Vector, check_plant
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.scenery.config import draw_scene
from liquid_control.sim.sensors import Truth
from liquid_control.sim.sensors.camera import Camera
from liquid_control.sim.sensors.imu import Imu, strapdown
from liquid_control.sim.sensors.odometry import Odometry
from liquid_control.sim.start import draw_start
from liquid_control.sim.streams import Streams
from liquid_control.sim.task import Task
from liquid_control.sim.wind.field import Wind
from liquid_control.structs import (
    GRAVITY,
    Command,
    ImageSample,
    ImuSample,
    Sample,
    SensorFrame,
    Setpoint,
)
from liquid_control.vehicles.catalogue import kind_of
from liquid_control.vehicles.kind import VehicleConfig

NANOSECONDS = 1_000_000_000
DISTANCE_CHECK = 5  # control periods between looks at the distance to the setpoint
AIRBORNE_SETPOINT = 0.3  # m, from where on the ground is no place to be


def make_plant(scenario: WorldConfig, vehicle: VehicleConfig) -> Plant:
    """The body of a vehicle, as its kind says."""
    make = kind_of(vehicle).plant
    if isinstance(make, str):
        module, _, name = make.rpartition(":")
        make = getattr(import_module(module), name)
    return make(scenario, vehicle)


class BodyState(NamedTuple):
    """The true motion of a body."""

    pos_world: np.ndarray  # (3,) m
    quat_world_body: np.ndarray  # (4,) xyzw
    vel_world: np.ndarray  # (3,) m/s
    ang_vel_body: np.ndarray  # (3,) rad/s


class World:
    """One scenario, flown with one seed: use it to step the physics yourself, else `prepare`.

    The same scenario, vehicle and seed give the same flight bit for bit, from a new world or
    after `reset`, which takes the `seed` that is set then.

    Attributes:
        plant: the vehicle's body, with its true state.
        crashed: True from the first violation of the arena's limits; `crash_reason` says which.
        imu_samples: every IMU sample of the last control period, oldest first.
        image: the newest of the camera that has arrived, if there is one.
        scene: what stands in this flight's world, as the seed drew it.
    """

    def __init__(self, scenario: WorldConfig, vehicle: VehicleConfig, seed: int):
        self.scenario, self.vehicle, self.seed = scenario, vehicle, seed
        self.name = scenario.name
        self.control_rate = scenario.control_rate
        self.duration = scenario.duration
        self._dt = 1.0 / scenario.physics_rate
        self._imu_stride = round(scenario.physics_rate / scenario.imu.update_rate)
        self._imu_samples_per_period = round(scenario.imu.update_rate / scenario.control_rate)
        self._strapdown = compile_kernel(strapdown)
        self.plant = make_plant(scenario, vehicle)
        self._plant_checked = False
        self._camera: Camera | None = None
        self.reset()

    def close(self) -> None:
        """Release body and camera."""
        self.plant.close()
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def reset(self) -> SensorFrame:
        """Start the flight anew; returns the sensors at time 0."""
        scenario, plant = self.scenario, self.plant
        streams = Streams(self.seed)
        pos, quat, vel, yaw = draw_start(scenario.start, streams.start)
        task_start = np.array(scenario.start.pos)
        on_ground = scenario.start.place == "ground"
        if on_ground:
            pos[2] = task_start[2] = plant.ground_height
            vel = np.zeros(3)
        self.scene = draw_scene(scenario.obstacles, streams.scene)
        self._gates = [item for item in self.scene if hasattr(item, "missed")]
        self._task = Task(scenario.task, task_start, yaw, self.scene)
        faults = drawn_faults(scenario.faults, streams.faults)
        gusts = [fault for fault in faults if isinstance(fault, WindFault)]
        self._wind = Wind([*scenario.wind, *gusts], streams.wind, scenario.duration, self._dt)
        self._imu = Imu(scenario.imu, streams.imu, self._strapdown)
        self._odometry = Odometry(scenario.odometry, streams.odometry, scenario.control_rate)
        self._others = {
            name: config.build(streams.sensor(name), scenario.control_rate)
            for name, config in scenario.sensors.items()
        }
        self._imu_faults = FaultySensor("imu", faults)
        self._odometry_faults = FaultySensor("odometry", faults)
        self._image_faults = FaultySensor("image", faults)
        self._tick = 0  # control periods
        self._imu_count = 0
        self.crashed, self.crash_reason = False, ""
        self._has_flown = not on_ground
        plant.start(Start(pos, quat, vel, on_ground, faults, self.scene), streams.vehicle)
        if not self._plant_checked:
            check_plant(plant)
            self._plant_checked = True
        self._wind.begin(tuple(pos.tolist()), tuple(vel.tolist()), 1)
        plant.wind = self._wind.velocity(0.0, tuple(pos.tolist()))
        self.imu_samples: list[ImuSample] = []
        self._measure_imu()
        self._start_camera(streams.camera)
        return self._frame()

    def _start_camera(self, rng: np.random.Generator) -> None:
        config = self.scenario.camera
        if self._camera is not None:
            self._camera.close()
        self._camera = None
        self.image: ImageSample | None = None
        if config is not None:
            self._camera = Camera(config, self.scene, rng)
            self._camera_stride = round(self.control_rate / config.update_rate)
            self._images: deque[ImageSample] = deque()
            self._look()

    def _look(self) -> None:
        """Take an image when one is due, deliver the newest that has arrived."""
        if self._tick % self._camera_stride == 0:
            image = self._camera.image(*self.state, self._tick / self.control_rate)
            if not self._camera.loses():
                self._images.append(ImageSample(self.time_ns, image, self._camera.intrinsics))
        arrived = self.time_ns - round(self.scenario.camera.latency * NANOSECONDS)
        while self._images and self._images[0].stamp <= arrived:
            self.image = self._images.popleft()

    @property
    def time_ns(self) -> int:
        """Simulated time since the start, ns, exact."""
        return self._tick * NANOSECONDS // self.control_rate

    @property
    def armed(self) -> bool:
        """Whether commands act: before ``start.armed_at`` the motors are off."""
        return self._tick >= self.scenario.start.armed_at * self.control_rate

    @property
    def truth(self) -> tuple[tuple[float, ...], ...]:
        """True position (m), quaternion xyzw, velocity (m/s, world) and body rates (rad/s)."""
        plant = self.plant
        return *plant.pose, plant.twist[0], plant.rates_body

    @property
    def state(self) -> BodyState:
        """The `truth` as arrays."""
        return BodyState(*map(np.array, self.truth))

    @property
    def wind_world(self) -> np.ndarray:
        """Wind at the vehicle in the last physics step, ``(3,)`` m/s."""
        return np.array(self.plant.wind)

    def setpoint(self) -> Setpoint:
        """The task's setpoint now."""
        return self._task.setpoint(self._tick / self.control_rate, self.plant.pose[0])

    def step(self, command: Command | None) -> SensorFrame:
        """Advance one control period with ``command``, or with ``None`` if none came."""
        plant = self.plant
        plant.accept(command if self.armed else None)
        plant.update(self._tick / self.control_rate)
        pos, vel_before = plant.pose[0], plant.twist[0]
        self._wind.begin(pos, vel_before, self.scenario.substeps)
        self.imu_samples = []
        for _ in range(self._imu_samples_per_period):
            plant.advance(self._imu_stride, self._wind.velocity)
            self._imu_count += 1
            self._measure_imu()
        self._tick += 1
        if not self.crashed:
            self._check_crash(pos, vel_before)
        if self._camera is not None:
            self._look()
        return self._frame()

    def _measure_imu(self) -> None:
        """An IMU sample of the newest physics step."""
        plant = self.plant
        specific_force, ang_vel, plant.rates_body = self._imu.measure(
            plant.before, plant.pose[1], *plant.twist, self._dt, plant.rotors
        )
        substep = self._imu_count * self._imu_stride
        stamp = substep * NANOSECONDS // self.scenario.physics_rate
        self.imu_samples.append(ImuSample(stamp, ang_vel, specific_force))

    def _frame(self) -> SensorFrame:
        now, truth = self.time_ns, self.truth
        odometry = self._odometry.measure(now, *truth)
        imu, image = self.imu_samples[-1], self.image
        if self.scenario.faults:
            time = self._tick / self.control_rate
            imu = self._imu_faults.deliver(time, imu)
            odometry = self._odometry_faults.deliver(time, odometry)
            image = self._image_faults.deliver(time, image)
        others = {}
        if self._others:
            truth = Truth(*truth, self._specific_force(), self.plant.wind, self.scene)
            others = {name: self._measured(name, now, truth) for name in self._others}
        frame = SensorFrame.at(now, imu, odometry, image, **others)
        frame.armed = self.armed
        return frame

    def _measured(self, name: str, now: int, truth: Truth) -> Sample | None:
        """The sample of a further sensor, which may be somebody's own."""
        try:
            sample = self._others[name].measure(now, truth)
            if sample is not None and not isinstance(sample.stamp, Integral):
                raise TypeError(f"expected a stamp in whole ns, got {sample.stamp!r}")
        except ANYTHING as error:
            raise ConfigError(f"sensor {name}: {type(error).__name__}: {words(error)}") from error
        return sample

    def _specific_force(self) -> tuple[float, float, float]:
        """At the centre of mass, mean of the newest physics step, as `strapdown` has it; m/s²."""
        (x, y, z, w), (ux, uy, uz), _ = self.plant.before
        vx, vy, vz = self.plant.twist[0]
        dt = self._dt
        return rotate_components(
            -x, -y, -z, w, (vx - ux) / dt, (vy - uy) / dt, (vz - uz) / dt + GRAVITY
        )

    def _check_crash(self, pos_before: Vector, vel_before: Vector) -> None:
        reason = self._violation(vel_before) or self._missed(pos_before)
        if reason:
            self.crashed, self.crash_reason = True, reason

    def _missed(self, pos_before: Vector) -> str:
        """Which gate was passed beside its opening in this control period, or ""."""
        time, pos = self._tick / self.control_rate, self.plant.pose[0]
        for number, gate in enumerate(self._gates, 1):
            if gate.missed(pos_before, pos, time):
                return f"missed gate {number}"
        return ""

    def _violation(self, vel_before: Vector) -> str:
        """The arena's limit that the vehicle breaks, or ""."""
        arena, plant = self.scenario.arena, self.plant
        pos, (x, y, z, w) = plant.pose
        (u, v, climb), (p, q, r) = plant.twist
        # one sum of all, as NaN and infinity stay in it
        if not math.isfinite(sum(pos) + x + y + z + w + u + v + climb + p + q + r):
            return "the state is not finite"
        if self._tick % DISTANCE_CHECK == 0:
            distance = math.dist(pos, self.setpoint().pos_world)
            if distance > arena.max_distance:
                return f"{distance:.1f} m from the setpoint"
        touched = plant.touched()
        if touched == "obstacle":
            return "hit an obstacle"
        if not touched:
            self._has_flown = True
            return ""
        tilt_deg = math.degrees(math.acos(max(-1.0, min(1.0, 1 - 2 * (x * x + y * y)))))
        impact = -vel_before[2]
        if impact > arena.max_impact_speed:
            return f"hit the ground at {impact:.1f} m/s"
        if tilt_deg > arena.max_ground_tilt_deg:
            return f"touched the ground tilted by {tilt_deg:.0f} degrees"
        airborne = self._has_flown and self.setpoint().pos_world[2] > AIRBORNE_SETPOINT
        if airborne and not plant.failsafe:
            return "touched the ground in flight"
        return ""
