"""The wind world: one vehicle in PyBullet, its autopilot, its sensors and its task.

PyBullet integrates the rigid body and resolves contacts; motors, aerodynamics and rate loop are
those of `kernel`, evaluated once per physics step. `World.step` advances one control period.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pybullet

from liquid_control.sim.compiled import compile_kernel
from liquid_control.sim.engine import Engine
from liquid_control.sim.faults import FaultConfig, FaultySensor, GustFault, MassFault, MotorFault
from liquid_control.sim.quantities import draw
from liquid_control.sim.scenario import WorldConfig, draw_start
from liquid_control.sim.sensors.camera import Camera, CameraFrame
from liquid_control.sim.sensors.imu import Imu, strapdown
from liquid_control.sim.sensors.odometry import Odometry
from liquid_control.sim.task import Task
from liquid_control.sim.wind.field import Wind
from liquid_control.structs import GRAVITY, Command, ImuSample, SensorFrame, Setpoint
from liquid_control.vehicles.quadrotor.autopilot import failsafe_command
from liquid_control.vehicles.quadrotor.battery import Battery
from liquid_control.vehicles.quadrotor.config import VehicleConfig
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams
from liquid_control.vehicles.quadrotor.physics import pack, vehicle_wrench
from liquid_control.vehicles.quadrotor.variation import draw_params, with_payload

NANOSECONDS = 1_000_000_000
CONTACT_MARGIN = 0.05  # m above the lowest possible contact, where contacts are looked for
DISTANCE_CHECK = 5  # control periods between looks at the distance to the setpoint
AIRBORNE_SETPOINT = 0.3  # m, from where on the ground is no place to be


class World:
    """One scenario, flown with one seed.

    The same scenario, vehicle and seed give the same flight bit for bit, from a new world or
    after `reset`, which takes the `seed` that is set then.

    Attributes:
        crashed: True from the first violation of the arena's limits; `crash_reason` says which.
        imu_samples: every IMU sample of the last control period, oldest first.
    """

    def __init__(self, scenario: WorldConfig, vehicle: VehicleConfig, seed: int):
        self.scenario, self.vehicle, self.seed = scenario, vehicle, seed
        self.name = scenario.name
        self.control_rate = scenario.control_rate
        self.duration = scenario.duration
        self._dt = 1.0 / scenario.physics_rate
        self._imu_stride = round(scenario.physics_rate / scenario.imu.update_rate)
        self._imu_samples_per_period = round(scenario.imu.update_rate / scenario.control_rate)
        size = math.dist(vehicle.collision_size, (0, 0, 0))
        self._contact_height = 0.5 * size + CONTACT_MARGIN
        self._timeout_steps = math.ceil(vehicle.autopilot.command_timeout * scenario.control_rate)
        self._loop = RateLoopParams.from_vehicle(vehicle)
        self._wrench = compile_kernel(vehicle_wrench)
        self._strapdown = compile_kernel(strapdown)
        self._engine = Engine(self._dt)
        self._camera: Camera | None = None
        self.reset()

    def close(self) -> None:
        """Release the physics engine."""
        self._engine.close()
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def reset(self) -> SensorFrame:
        """Start the flight anew; returns the sensors at time 0."""
        scenario = self.scenario
        # one stream per part: a new source of noise leaves the others as they were
        start_rng, wind_rng, imu_rng, odometry_rng, vehicle_rng, camera_rng = (
            np.random.default_rng(s) for s in np.random.SeedSequence(self.seed).spawn(6)
        )
        pos, quat, vel, yaw = draw_start(scenario.start, start_rng)
        task_start = np.array(scenario.start.pos)
        on_ground = scenario.start.place == "ground"
        if on_ground:
            pos[2] = task_start[2] = 0.5 * self.vehicle.collision_size[2]
            vel = np.zeros(3)
        self._task = Task(scenario.task, task_start, yaw)
        gusts = [fault for fault in scenario.faults if isinstance(fault, GustFault)]
        self._wind = Wind([*scenario.wind, *gusts], wind_rng, scenario.duration, self._dt)
        self._imu = Imu(scenario.imu, imu_rng, self._strapdown)
        self._odometry = Odometry(scenario.odometry, odometry_rng, scenario.control_rate)

        self._imu_faults = FaultySensor("imu", scenario.faults)
        self._odometry_faults = FaultySensor("odometry", scenario.faults)

        params = draw_params(self.vehicle, vehicle_rng, scenario.vehicle_spread)
        if scenario.payload is not None:
            params = with_payload(params, scenario.payload.mass, scenario.payload.below)
        self._healthy = params
        self._active: tuple[FaultConfig, ...] = ()
        self._battery = None
        if scenario.battery_charge is not None:
            charge = draw(scenario.battery_charge, vehicle_rng)
            self._battery = Battery(self.vehicle.battery, charge)
        self._set_params(params)
        hover = self.vehicle.hover_speed
        self._speeds = (0.0,) * 4 if on_ground else (hover,) * 4
        self._command = (GRAVITY, 0.0, 0.0, 0.0)
        self._armed = 0.0 if on_ground else 1.0
        self._steps_without_command = 0
        self._tick = 0  # control periods
        self._substep = 0  # physics steps
        self.crashed, self.crash_reason = False, ""
        self._engine.start(self.vehicle, params, scenario.obstacles, pos, quat, vel)
        self._pose, self._twist = self._engine.read()

        self._wind.begin(tuple(pos.tolist()), tuple(vel.tolist()), 1)
        self._wind_velocity = self._wind.velocity(0.0, tuple(pos.tolist()))
        self._ang_vel_body = (0.0, 0.0, 0.0)
        # as after a step at rest
        self.imu_samples: list[ImuSample] = []
        velocity = tuple(vel.tolist())
        self._measure_imu((tuple(quat.tolist()), velocity, self._ang_vel_body))
        self._start_camera(camera_rng)
        return self._frame()

    def _set_params(self, params: QuadrotorParams) -> None:
        self._params = params
        self._packed = pack(params, self._loop)
        self._decay_up = math.exp(-self._dt / params.time_constant_up)
        self._decay_down = math.exp(-self._dt / params.time_constant_down)

    def _start_camera(self, rng: np.random.Generator) -> None:
        config = self.scenario.camera
        if self._camera is not None:
            self._camera.close()
        self._camera = None
        self.camera_frame: CameraFrame | None = None
        if config is not None:
            self._camera = Camera(config, self.scenario.obstacles, rng)
            self._camera_stride = round(self.control_rate / config.update_rate)
            self._images: deque[CameraFrame] = deque()
            self._look()

    def _look(self) -> None:
        """Take an image when one is due, deliver the newest that has arrived."""
        if self._tick % self._camera_stride == 0:
            state = self.state
            image = self._camera.image(*state[:4])
            self._images.append(CameraFrame(self.time_ns, image))
        arrived = self.time_ns - round(self.scenario.camera.latency * NANOSECONDS)
        while self._images and self._images[0].stamp <= arrived:
            self.camera_frame = self._images.popleft()

    @property
    def time_ns(self) -> int:
        """Simulated time since the start, ns, exact."""
        return self._tick * NANOSECONDS // self.control_rate

    @property
    def truth(self) -> tuple[tuple[float, ...], ...]:
        """The fields of `state` as plain floats."""
        return *self._pose, self._twist[0], self._ang_vel_body, self._speeds

    @property
    def state(self) -> QuadrotorState:
        """The true state of the vehicle, arrays ``(3,)`` and ``(4,)``."""
        return QuadrotorState(*map(np.array, self.truth))

    @property
    def wind_world(self) -> np.ndarray:
        """Wind at the vehicle in the last physics step, ``(3,)`` m/s."""
        return np.array(self._wind_velocity)

    def setpoint(self) -> Setpoint:
        """The task's setpoint now."""
        return self._task.setpoint(self._tick / self.control_rate)

    def step(self, command: Command | None) -> SensorFrame:
        """Advance one control period with ``command``, or with ``None`` if none came.

        Without commands the autopilot holds the last one for ``command_timeout``, then levels the
        vehicle and lets it down.
        """
        self._accept(command)
        self._update_vehicle()
        vel_before = self._twist[0]
        self._wind.begin(self._pose[0], vel_before, self.scenario.substeps)
        self.imu_samples = []
        for _ in range(self._imu_samples_per_period):
            self._step_physics(self._imu_stride)
        self._tick += 1
        if not self.crashed:
            self._check_crash(vel_before)
        if self._camera is not None:
            self._look()
        return self._frame()

    def _update_vehicle(self) -> None:
        """Faults that begin or end now, and the battery's voltage."""
        if self._battery is None and not self.scenario.faults:
            return
        time = self._tick / self.control_rate
        active = tuple(fault for fault in self.scenario.faults if fault.active(time))
        if self._battery is None and active == self._active:
            return
        params = self._healthy
        for fault in active:
            if isinstance(fault, MotorFault | MassFault):
                params = fault.apply(params)
        if self._battery is not None:
            supply = self._battery.drain(self._speeds, 1 / self.control_rate)
            params = params._replace(supply=supply)
        heavier = params.mass != self._params.mass
        self._active = active
        self._set_params(params)
        if heavier:
            self._engine.set_inertia(params)

    def _accept(self, command: Command | None) -> None:
        if command is not None:
            self._command = (float(command.thrust), *command.ang_vel_body.tolist())
            self._armed = 1.0
            self._steps_without_command = 0
            return
        self._steps_without_command += 1
        if self.failsafe:
            thrust, rates = failsafe_command(np.array(self._pose[1]), np.array(self._twist[0]))
            self._command = (float(thrust), *rates.tolist())

    @property
    def failsafe(self) -> bool:
        """True while the autopilot flies by itself, because the command stream has stopped."""
        return self._steps_without_command > self._timeout_steps

    def _step_physics(self, steps: int) -> None:
        """``steps`` physics steps. The hot loop: names are bound once, arrays are avoided."""
        dt, client, body = self._dt, self._engine.client, self._engine.body
        packed, command = self._packed, self._command
        wrench, velocity = self._wrench, self._wind.velocity
        push, turn = pybullet.applyExternalForce, pybullet.applyExternalTorque
        advance, link, centre = pybullet.stepSimulation, pybullet.LINK_FRAME, (0.0, 0.0, 0.0)
        read_pose, read_twist = pybullet.getBasePositionAndOrientation, pybullet.getBaseVelocity
        up, down, armed, speeds = self._decay_up, self._decay_down, self._armed, self._speeds
        (pos, quat), (vel, ang_vel) = self._pose, self._twist
        for substep in range(self._substep, self._substep + steps):
            wind = velocity(substep * dt, pos)
            speeds, rates, force, torque = wrench(
                pos, quat, vel, ang_vel, wind, command, armed, speeds, up, down, dt, packed
            )
            push(body, -1, force, centre, link, physicsClientId=client)
            turn(body, -1, torque, link, physicsClientId=client)
            advance(physicsClientId=client)
            before = (quat, vel, rates)
            pos, quat = pose = read_pose(body, physicsClientId=client)
            vel, ang_vel = twist = read_twist(body, physicsClientId=client)
        self._pose, self._twist = pose, twist
        self._speeds, self._wind_velocity = speeds, wind
        self._substep += steps
        self._measure_imu(before)

    def _measure_imu(self, before) -> None:
        """An IMU sample of the last physics step, which began with quaternion, velocity, rates."""
        specific_force, ang_vel, self._ang_vel_body = self._imu.measure(
            before, self._pose[1], *self._twist, self._dt, self._speeds
        )
        stamp = self._substep * NANOSECONDS // self.scenario.physics_rate
        self.imu_samples.append(ImuSample(stamp, ang_vel, specific_force))

    def _frame(self) -> SensorFrame:
        odometry = self._odometry.measure(
            self.time_ns, *self._pose, self._twist[0], self._ang_vel_body
        )
        imu = self.imu_samples[-1]
        if self.scenario.faults:
            time = self._tick / self.control_rate
            imu = self._imu_faults.deliver(time, imu)
            odometry = self._odometry_faults.deliver(time, odometry)
        return SensorFrame.at(self.time_ns, imu, odometry)

    def _check_crash(self, vel_before: tuple[float, float, float]) -> None:
        reason = self._violation(vel_before)
        if reason:
            self.crashed, self.crash_reason = True, reason

    def _violation(self, vel_before: tuple[float, float, float]) -> str:
        """The arena's limit that the vehicle breaks, or ""."""
        arena, pos = self.scenario.arena, self._pose[0]
        if not all(math.isfinite(p) for p in pos):
            return "the state is not finite"
        if self._tick % DISTANCE_CHECK == 0:
            distance = math.dist(pos, self.setpoint().pos_world)
            if distance > arena.max_distance:
                return f"{distance:.1f} m from the setpoint"
        if pos[2] > self._contact_height and not self.scenario.obstacles:
            return ""
        touched = self._engine.touched()
        if touched == "obstacle":
            return "hit an obstacle"
        if not touched:
            return ""
        if self.failsafe:
            self._armed = 0.0  # landed: stop the rotors
        x, y, _, _ = self._pose[1]
        tilt_deg = math.degrees(math.acos(max(-1.0, min(1.0, 1 - 2 * (x * x + y * y)))))
        impact = -vel_before[2]
        if impact > arena.max_impact_speed:
            return f"hit the ground at {impact:.1f} m/s"
        if tilt_deg > arena.max_ground_tilt_deg:
            return f"touched the ground tilted by {tilt_deg:.0f} degrees"
        if self.setpoint().pos_world[2] > AIRBORNE_SETPOINT and not self.failsafe:
            return "touched the ground in flight"
        return ""
