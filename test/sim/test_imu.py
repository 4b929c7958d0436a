"""The IMU: at rest, on a centrifuge, and its noise against the Allan deviation of its YAML."""

import numpy as np
import pybullet
import pytest

from liquid_control.config import load_yaml, share_dir
from liquid_control.frames import quat_integrate, rotate, rotate_inverse
from liquid_control.sim.compiled import compile_kernel
from liquid_control.sim.sensors.imu import (
    FLICKER_TO_MARKOV,
    Imu,
    ImuConfig,
    ImuNoise,
    at_lever_arm,
    strapdown,
)
from liquid_control.structs import GRAVITY, RATES_THRUST

SENSORS = share_dir() / "sim_worlds/sensors"
STILL = (0.0, 0.0, 0.0)
LEVEL = (0.0, 0.0, 0.0, 1.0)
DT = 0.002
ROTORS_OFF = (0.0, 0.0, 0.0, 0.0)


def imu_config(name, **changes):
    return load_yaml(SENSORS / f"imu_{name}.yaml", ImuConfig).model_copy(update=changes)


def measure(imu, force, rates, ang_acc=STILL, rotor_speeds=ROTORS_OFF):
    """A sample of a level step with this specific force, final rates, angular acceleration."""
    before = tuple(w - a * DT for w, a in zip(rates, ang_acc, strict=True))
    vel = (force[0] * DT, force[1] * DT, (force[2] - GRAVITY) * DT)
    force, rates, _ = imu.measure((LEVEL, STILL, before), LEVEL, vel, rates, DT, rotor_speeds)
    return force, rates


def test_at_rest_at_random_attitudes(make_world, rng):
    """Held in PyBullet at an attitude, the accelerometer reads +g along the world's up axis."""
    for _ in range(5):
        world = make_world()
        quat = rng.normal(size=4)
        quat /= np.linalg.norm(quat)
        engine = world.plant._engine
        client = {"physicsClientId": engine.client}
        pybullet.resetBasePositionAndOrientation(engine.body, [0, 0, 5], quat, **client)
        pybullet.createConstraint(
            engine.body, -1, -1, -1, pybullet.JOINT_FIXED, [0, 0, 0], [0, 0, 0], [0, 0, 5],
            childFrameOrientation=quat, **client,
        )  # fmt: skip
        frames = [world.step(RATES_THRUST.command(0.0, 0.0, 0.0, 0.0)) for _ in range(100)]
        np.testing.assert_allclose(abs(world.state.quat_world_body @ quat), 1, atol=1e-3)
        up = rotate_inverse(world.state.quat_world_body, np.array([0.0, 0.0, GRAVITY]))
        read = np.mean([f.imu.sample.specific_force_body for f in frames[-20:]], axis=0)
        np.testing.assert_allclose(read, up, atol=0.05)
        np.testing.assert_allclose(frames[-1].imu.sample.ang_vel_body, 0, atol=0.02)


def test_centrifuge():
    """Spinning at 10 rad/s about z, an IMU 0.1 m out reads 10 m/s² towards the axis."""
    imu = Imu(imu_config("ideal", lever_arm=(0.1, 0.0, 0.0)), np.random.default_rng(0))
    force, rates = measure(imu, (0.0, 0.0, GRAVITY), (0.0, 0.0, 10.0))
    np.testing.assert_allclose(force, [-10, 0, GRAVITY], atol=1e-9)
    np.testing.assert_allclose(rates, [0, 0, 10])


def test_lever_arm_is_the_acceleration_of_that_point(rng):
    """Against the second difference of the point's path in a motion with turning rates."""
    arm, h = np.array([0.1, -0.2, 0.05]), 1e-4
    w0, alpha = rng.normal(size=3), rng.normal(size=3)

    quats = [np.array([0.0, 0.0, 0.0, 1.0])]
    for k in range(2):
        quats.append(quat_integrate(quats[-1], w0 + alpha * h * (k + 0.5), h))
    points = [rotate(q, arm) for q in quats]
    acc_world = (points[2] - 2 * points[1] + points[0]) / h**2
    expected = rotate_inverse(quats[1], acc_world)
    got = at_lever_arm(STILL, tuple(w0 + alpha * h), tuple(alpha), tuple(arm))
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_compiled_strapdown_is_the_plain_one(rng):
    config = imu_config("bmi088")
    plain = Imu(config, np.random.default_rng(1))
    fast = Imu(config, np.random.default_rng(1), compile_kernel(strapdown))
    for _ in range(20):
        quats = rng.normal(size=(2, 4))
        quats = [tuple(q) for q in (quats / np.linalg.norm(quats, axis=1, keepdims=True)).tolist()]
        vels = [tuple(v) for v in rng.normal(size=(4, 3)).tolist()]
        speeds = tuple(rng.uniform(0, 2000, 4).tolist())
        inputs = ((quats[0], vels[0], vels[1]), quats[1], vels[2], vels[3], DT, speeds)
        for a, b in zip(plain.measure(*inputs), fast.measure(*inputs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_saturation_scale_and_misalignment(rng):
    imu = Imu(imu_config("ideal", accelerometer_range=50.0, gyroscope_range=3.0), rng)
    force, rates = measure(imu, (0.0, -99.0, 40.0), (9.0, 0.0, -9.0))
    np.testing.assert_allclose(force, [0, -50, 40])
    np.testing.assert_allclose(rates, [3, 0, -3])

    errors = []
    for seed in range(200):
        config = imu_config("ideal", scale_error=0.01, misalignment=0.02)
        force, _ = measure(Imu(config, np.random.default_rng(seed)), (0.0, 0.0, 10.0), STILL)
        errors.append(force - [0, 0, 10])
    np.testing.assert_allclose(np.std(errors, axis=0), [0.2, 0.2, 0.1], rtol=0.15)


def test_vibration_grows_with_the_square_of_rotor_speed(rng):
    imu = Imu(imu_config("ideal", vibration=5e-8), rng)

    def rms(speed):
        speeds = (speed, 1.01 * speed, 1.02 * speed, 1.03 * speed)
        return np.std([measure(imu, STILL, STILL, STILL, speeds)[0][2] for _ in range(2000)])

    assert rms(2000.0) == pytest.approx(4 * rms(1000.0), rel=0.1)
    assert rms(1500.0) == pytest.approx(5e-8 * 1500**2 * np.sqrt(4 / 2), rel=0.1)


def allan_deviation(samples, size):
    """Non-overlapping Allan deviation at ``size`` samples, over axis 0, pooled over the rest."""
    means = samples[: len(samples) // size * size].reshape(-1, size, *samples.shape[1:]).mean(1)
    return np.sqrt(0.5 * np.mean(np.diff(means, axis=0) ** 2, axis=(0, -1)))


def markov_variance(sigma, time_constant, tau):
    """Allan variance of a first-order Gauss–Markov process (IEEE Std 952, annex C)."""
    x = tau / time_constant
    return 2 * sigma**2 / x * (1 - (3 - 4 * np.exp(-x) + np.exp(-2 * x)) / (2 * x))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accelerometer_bias_instability": 0.02, "bias_correlation_time": 2.0},
        {"gyroscope_random_walk": 2e-3, "accelerometer_random_walk": 0.02},
    ],
    ids=["data-sheet", "bias-instability", "random-walk"],
)
def test_allan_deviation_is_that_of_the_yaml(rng, changes):
    """White noise, bias walk and bias instability, 0.02 to 20 s, accelerometer and gyro."""
    config = imu_config("bmi088", **changes)
    noise = ImuNoise(config, rng, batch=(40,))
    samples = np.concatenate([noise.block(1000) for _ in range(15)])
    dt = 1 / config.update_rate
    kinds = (
        (0, config.accelerometer_noise_density, config.accelerometer_random_walk,
         config.accelerometer_bias_instability),
        (3, config.gyroscope_noise_density, config.gyroscope_random_walk,
         config.gyroscope_bias_instability),
    )  # fmt: skip
    for size in (2, 20, 100, 400, 1000, 2000):
        tau = size * dt
        measured = allan_deviation(samples, size)
        for axis, density, walk, instability in kinds:
            expected = np.sqrt(
                density**2 / tau
                + walk**2 * tau / 3
                + markov_variance(
                    FLICKER_TO_MARKOV * instability, config.bias_correlation_time, tau
                )
            )
            got = np.sqrt(np.mean(measured[axis : axis + 3] ** 2))
            np.testing.assert_allclose(got, expected, rtol=0.12)


def test_bias_instability_peaks_at_the_flicker_floor():
    """The Markov process of instability B peaks at the 0.664 B of IEEE Std 952."""
    tau = np.linspace(0.5, 5, 200)
    peak = np.sqrt(markov_variance(FLICKER_TO_MARKOV, 1.0, tau)).max()
    assert peak == pytest.approx(0.664, rel=0.01)


def test_turn_on_bias_differs_from_flight_to_flight():
    config = imu_config("ideal", accelerometer_turn_on_bias=0.05, gyroscope_turn_on_bias=0.01)
    biases = [ImuNoise(config, np.random.default_rng(s)).block(1)[0] for s in range(800)]
    np.testing.assert_allclose(np.std(biases, axis=0), [0.05] * 3 + [0.01] * 3, rtol=0.1)
