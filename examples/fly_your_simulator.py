"""Fly a policy from a simulator of your own: it needs no ROS and no PyBullet, only these calls.

When: you have physics already, and want to know what a policy does in it.
Run: python examples/fly_your_simulator.py (prints the position error; two seconds)
"""

import numpy as np

import liquid_control as lc

RATE = 100  # Hz, control
SUBSTEPS = 10  # of physics in a control period
GRAVITY = np.array([0.0, 0.0, -9.80665])  # m/s², world, z up
WIND = np.array([1.5, 0.0, 0.0])  # m/s, world
MOTOR_LAG = 0.035  # s
DRAG = 0.33  # 1/s, drag / mass


def rotation(q):
    """The matrix that turns body vectors (forward, left, up) into the world's; q is xyzw."""
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


class MyDrone:
    """Thrust and body rates follow the command with a lag; drag pulls along with the wind."""

    def __init__(self):
        self.pos, self.vel = np.array([0.3, -0.2, 0.8]), np.zeros(3)
        self.quat, self.rates = np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3)
        self.force = -GRAVITY  # what an accelerometer feels, body, m/s²
        self.thrust = 9.81  # thrust / mass, m/s²

    def advance(self, thrust, rates, dt):
        share = dt / MOTOR_LAG
        self.thrust += share * (thrust - self.thrust)
        self.rates = self.rates + share * (rates - self.rates)
        turn = rotation(self.quat)
        push = turn[:, 2] * self.thrust + DRAG * (WIND - self.vel)
        self.force = turn.T @ push
        self.vel = self.vel + (push + GRAVITY) * dt
        self.pos = self.pos + self.vel * dt
        (x, y, z, w), (p, q, r) = self.quat, self.rates
        spin = [w * p + y * r - z * q, w * q + z * p - x * r, w * r + x * q - y * p]
        quat = self.quat + 0.5 * dt * np.array([*spin, -x * p - y * q - z * r])
        self.quat = quat / np.linalg.norm(quat)


def main(seconds=10.0):
    """Hover at one metre; returns the RMS position error of the second half in m."""
    vehicle = lc.load_vehicle("crazyflie")  # its limits; the physics are yours
    loop = lc.make_loop(lc.load_policy("hover_liquid"), vehicle, lc.make_parameters(vehicle))
    drone, setpoint = MyDrone(), lc.Setpoint(np.array([0.0, 0.0, 1.0]))
    errors = []
    for k in range(round(seconds * RATE)):
        now = round(k * 1e9 / RATE)  # ns, a clock of your choice
        vel_body = rotation(drone.quat).T @ drone.vel
        frame = lc.SensorFrame.at(
            now,
            imu=lc.ImuSample(now, drone.rates, drone.force),
            odometry=lc.OdometrySample(now, drone.pos, drone.quat, vel_body, drone.rates),
        )
        step = loop.step(frame, setpoint, 1 / RATE)  # gates, policy, limits, backup
        if step.command is not None:  # None: send nothing, your autopilot's failsafe acts
            (thrust,), rates = step.command["thrust"], np.array(step.command["ang_vel"])
        for _ in range(SUBSTEPS):
            drone.advance(thrust, rates, 1 / RATE / SUBSTEPS)
        errors.append(np.linalg.norm(setpoint.pos_world - drone.pos))
    return float(np.sqrt(np.mean(np.square(errors[len(errors) // 2 :]))))


if __name__ == "__main__":
    print(f"position error {100 * main():.2f} cm (RMS of the last 5 s), flown by hover_liquid")
