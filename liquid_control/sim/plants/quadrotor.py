"""A quadrotor in PyBullet, with its autopilot, rotors and battery.

PyBullet integrates the rigid body and resolves contacts; motors, aerodynamics and rate loop are
those of `vehicles.quadrotor.physics`, evaluated once per physics step.
"""

from __future__ import annotations

import math

import numpy as np
import pybullet

from liquid_control.sim.compiled import compile_kernel
from liquid_control.sim.engine import Engine
from liquid_control.sim.faults import AutopilotFault, Fault, ForceFault, VehicleFault
from liquid_control.sim.plants.plant import Start, Vector, WindAt
from liquid_control.sim.quantities import draw
from liquid_control.sim.scenario import WorldConfig
from liquid_control.structs import RATES_THRUST, VELOCITY, Command
from liquid_control.vehicles.quadrotor.autopilot import failsafe_command
from liquid_control.vehicles.quadrotor.battery import Battery
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams
from liquid_control.vehicles.quadrotor.rotors import ROTORS
from liquid_control.vehicles.quadrotor.step import pack, rotor_wrench, vehicle_wrench
from liquid_control.vehicles.quadrotor.variation import draw_params, with_payload
from liquid_control.vehicles.quadrotor.velocity_loop import VelocityLoop

CONTACT_MARGIN = 0.05  # m above the lowest possible contact, where contacts are looked for


class QuadrotorPlant:
    """See the module, and `sim.plants.plant.Plant`."""

    actuator_names = tuple(f"rotor{i} rad/s" for i in range(4))

    def __init__(self, scenario: WorldConfig, vehicle: QuadrotorConfig):
        self.scenario, self.vehicle = scenario, vehicle
        self._dt = 1.0 / scenario.physics_rate
        size = math.dist(vehicle.collision_size, (0, 0, 0))
        self._contact_height = 0.5 * size + CONTACT_MARGIN
        self._timeout_steps = math.ceil(vehicle.autopilot.command_timeout * scenario.control_rate)
        self._loop = RateLoopParams.from_vehicle(vehicle)
        self._by_rates = compile_kernel(vehicle_wrench)
        self._by_rotors = compile_kernel(rotor_wrench)
        self._hover_speed = vehicle.hover_speed
        self._engine = Engine(self._dt)
        self.ground_height = 0.5 * vehicle.collision_size[2]

    def close(self) -> None:
        """Release the physics engine."""
        self._engine.close()

    def start(self, start: Start, rng: np.random.Generator) -> None:
        """Begin a flight with a vehicle of the kind."""
        scenario = self.scenario
        params = draw_params(self.vehicle, rng, scenario.vehicle_spread)
        if scenario.payload is not None:
            params = with_payload(params, scenario.payload.mass, scenario.payload.below)
        self._healthy = params
        self._obstacles = bool(start.scene)
        kinds = (VehicleFault, AutopilotFault, ForceFault)
        self._faults = tuple(fault for fault in start.faults if isinstance(fault, kinds))
        self._active: tuple[Fault, ...] = ()
        self._push: Vector | None = None
        self._velocity_rng = rng.spawn(1)[0]
        self._velocity_loop: VelocityLoop | None = None  # from the first command that it takes on
        self._battery = None
        if scenario.battery_charge is not None:
            self._battery = Battery(self.vehicle.battery, draw(scenario.battery_charge, rng))
        self._set_params(params, self._loop)
        self.actuators = (0.0,) * 4 if start.on_ground else (self.vehicle.hover_speed,) * 4
        self._fly_rates(RATES_THRUST.neutral)
        self._armed = 0.0 if start.on_ground else 1.0
        self._steps_without_command = 0
        self._substep = 0
        self._engine.start(self.vehicle, params, start.scene, start.pos, start.quat, start.vel)
        self.pose, self.twist = self._engine.read()
        self.rates_body = (0.0, 0.0, 0.0)
        # as after a step at rest
        self.before = tuple(start.quat.tolist()), tuple(start.vel.tolist()), self.rates_body
        self.wind: Vector = (0.0, 0.0, 0.0)

    def _set_params(self, params: QuadrotorParams, loop: RateLoopParams) -> None:
        self._params = params
        self._packed = pack(params, loop)
        self._decay_up = math.exp(-self._dt / params.time_constant_up)
        self._decay_down = math.exp(-self._dt / params.time_constant_down)

    def accept(self, command: Command | None) -> None:
        """Take a command, or go on without.

        The autopilot holds the last one for ``command_timeout``, then levels the vehicle and lets
        it down.
        """
        if command is not None:
            if command.kind is ROTORS:
                hover = self._hover_speed
                self._command = tuple(hover * speed for speed in command.values)
                self._wrench = self._by_rotors
            elif command.kind is VELOCITY:
                self._fly_velocity(command.values)
            else:
                self._fly_rates(command.values)
            self._armed = 1.0
            self._steps_without_command = 0
            return
        self._steps_without_command += 1
        if self.failsafe:
            thrust, rates = failsafe_command(np.array(self.pose[1]), np.array(self.twist[0]))
            self._fly_rates((float(thrust), *rates.tolist()))

    def _fly_rates(self, command: tuple[float, ...]) -> None:
        """Thrust / mass and body rates, through the rate loop."""
        self._command, self._wrench = command, self._by_rates
        self._velocity_loop = None

    def _fly_velocity(self, command: tuple[float, ...]) -> None:
        """A velocity and yaw rate, through the velocity loop and the rate loop."""
        if self._velocity_loop is None:
            self._wrench = self._by_rates
            config = self.vehicle.autopilot.velocity
            self._velocity_loop = VelocityLoop(config, self._velocity_rng)
        self._velocity_loop.wanted = command

    @property
    def rotors(self) -> tuple[float, ...]:
        """Speed of each rotor, rad/s."""
        return self.actuators

    @property
    def failsafe(self) -> bool:
        """True while the autopilot flies by itself, because the command stream has stopped."""
        return self._steps_without_command > self._timeout_steps

    def update(self, time: float) -> None:
        """Obstacles that move, faults that begin or end now, and the battery's voltage."""
        self._engine.move_obstacles(time)
        if self._battery is None and not self._faults:
            return
        active = tuple(fault for fault in self._faults if fault.active(time))
        if self._battery is None and active == self._active:
            return
        params, loop, pushes = self._healthy, self._loop, []
        for fault in active:
            if isinstance(fault, VehicleFault):
                params = fault.apply(params)
            if isinstance(fault, AutopilotFault):
                loop = fault.tune(loop)
            if isinstance(fault, ForceFault):
                pushes.append(fault.push())
        self._push = tuple(map(sum, zip(*pushes, strict=True))) if pushes else None
        if self._battery is not None:
            supply = self._battery.drain(self.actuators, 1 / self.scenario.control_rate)
            params = params._replace(supply=supply)
        heavier = params.mass != self._params.mass
        self._active = active
        self._set_params(params, loop)
        if heavier:
            self._engine.set_inertia(params)

    def advance(self, steps: int, wind: WindAt) -> None:
        """``steps`` physics steps. The hot loop: names are bound once, arrays are avoided."""
        dt, client, body = self._dt, self._engine.client, self._engine.body
        packed, command, wrench = self._packed, self._command, self._wrench
        push, turn = pybullet.applyExternalForce, pybullet.applyExternalTorque
        advance, link, centre = pybullet.stepSimulation, pybullet.LINK_FRAME, (0.0, 0.0, 0.0)
        pull, world = self._push, pybullet.WORLD_FRAME
        read_pose, read_twist = pybullet.getBasePositionAndOrientation, pybullet.getBaseVelocity
        up, down, armed, speeds = self._decay_up, self._decay_down, self._armed, self.actuators
        (pos, quat), (vel, ang_vel) = self.pose, self.twist
        if self._velocity_loop is not None:
            command = self._velocity_loop.step(quat, vel, ang_vel, steps * dt)
        for substep in range(self._substep, self._substep + steps):
            air = wind(substep * dt, pos)
            speeds, rates, force, torque = wrench(
                pos, quat, vel, ang_vel, air, command, armed, speeds, up, down, dt, packed
            )
            push(body, -1, force, centre, link, physicsClientId=client)
            if pull is not None:
                push(body, -1, pull, pos, world, physicsClientId=client)
            turn(body, -1, torque, link, physicsClientId=client)
            advance(physicsClientId=client)
            before = (quat, vel, rates)
            pos, quat = pose = read_pose(body, physicsClientId=client)
            vel, ang_vel = twist = read_twist(body, physicsClientId=client)
        self.pose, self.twist, self.before = pose, twist, before
        self.actuators, self.wind = speeds, air
        self._substep += steps

    def touched(self) -> str:
        """What the body is in contact with; landed in failsafe, it stops the rotors."""
        if self.pose[0][2] > self._contact_height and not self._obstacles:
            return ""
        touched = self._engine.touched()
        if touched == "ground" and self.failsafe:
            self._armed = 0.0
        return touched
