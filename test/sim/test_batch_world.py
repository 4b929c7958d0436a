"""A world for a batch: the same statistics as the world of one vehicle, and refusals by key."""

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.sim.batch_world import BatchWorld
from liquid_control.sim.scenario import WorldConfig, read_world
from liquid_control.sim.sensors.batched import BatchSensors, force_at_rest
from liquid_control.sim.sensors.imu import Imu
from liquid_control.sim.sensors.odometry import Odometry
from liquid_control.sim.wind import formulas, turbulence
from liquid_control.sim.wind.batched import BatchWind
from liquid_control.sim.world import World
from liquid_control.vehicles.quadrotor.dynamics import hover_state
from liquid_control.vehicles.quadrotor.params import QuadrotorParams

SIZE = 4000
ALL = np.ones(SIZE, dtype=bool)


def scenario(world="hover_calm", **changes) -> WorldConfig:
    return read_world(world, changes)


def winds(sources, times, vel=(0.0, 0.0, 0.0), height=1.0, seed=0, dt=0.01):
    """(T, 3, SIZE) of a batch at rest or in motion, and the generator's state does not matter."""
    config = scenario(wind=sources)
    wind, rng = BatchWind(config.wind, SIZE, 15.0), np.random.default_rng(seed)
    wind.restart(ALL, rng)
    pos = np.tile([[0.0], [0.0], [height]], SIZE)
    moving = np.tile(np.array(vel)[:, None], SIZE)
    return np.array([wind.velocity(np.full(SIZE, t), pos, moving, dt, rng) for t in times])


def test_steady_wind_is_drawn_for_each():
    source = {
        "kind": "steady",
        "speed": {"uniform": [1.0, 3.0]},
        "toward_deg": {"uniform": [0, 90]},
    }
    found = winds([source], [0.0, 1.0])
    np.testing.assert_array_equal(found[0], found[1])
    speed = np.hypot(*found[0, :2])
    assert 1.0 <= speed.min() < 1.05 < 2.95 < speed.max() <= 3.0
    assert (found[0, :2] >= 0).all()
    assert (found[0, 2] == 0).all()


def test_turbulence_has_its_strength_along_the_mean_wind_and_follows_the_airspeed():
    """Strength along the wind to the north-east, and correlation over 0.1 s at 4 m/s."""
    steady = {"kind": "steady", "speed": 4.0, "toward_deg": 45.0}
    source = {"kind": "turbulence", "sigma": [1.5, 1.0, 0.5], "length": [4.0, 4.0, 4.0]}
    found = winds([steady, source], np.arange(11) * 0.01)
    mean = np.array([[1.0], [1.0], [0.0]]) * 4 / np.sqrt(2)
    x, y, up = np.moveaxis(found - mean, 1, 0)
    along, across = (x + y) / np.sqrt(2), (y - x) / np.sqrt(2)
    for part, sigma in ((along, 1.5), (across, 1.0), (up, 0.5)):
        assert part[0].std() == pytest.approx(sigma, rel=0.05)
        assert part[-1].std() == pytest.approx(sigma, rel=0.05)
    correlation = np.corrcoef(along[0], along[-1])[0, 1]
    assert correlation == pytest.approx(np.exp(-0.1 * 4.0 / 4.0), abs=0.02)


def test_dryden_has_the_strength_of_the_standard():
    source = {"kind": "dryden", "standard": "mil_f_8785c", "severity": "light"}
    found = winds([source], [0.0], height=30.0)
    sigma, _ = turbulence.low_altitude("mil_f_8785c", 30.0, 15 * turbulence.KNOT)
    np.testing.assert_allclose(found[0].std(axis=1), sigma, rtol=0.05)


def test_ornstein_uhlenbeck_is_stationary():
    source = {"kind": "ornstein_uhlenbeck", "sigma": [1.0, 2.0, 0.0], "time_constant": 0.5}
    found = winds([source], np.arange(26) * 0.02, dt=0.02)
    for step in (found[0], found[-1]):
        np.testing.assert_allclose(step.std(axis=1), [1.0, 2.0, 0.0], rtol=0.05)
    correlation = np.corrcoef(found[0, 0], found[-1, 0])[0, 1]
    assert correlation == pytest.approx(np.exp(-1.0), abs=0.05)


def gusts(**changes):
    return {
        **{"kind": "gust_1_cosine", "amplitude": 4.0, "toward_deg": 90.0, "upward_deg": 0.0},
        **{"rise_time": 0.1, "hold_time": 0.0, "first": 0.5, "mean_interval": 2.0, **changes},
    }


def test_gusts_are_those_of_the_formula_and_as_frequent():
    times = np.arange(0, 15, 0.05)
    found = winds([gusts()], times)
    # 1 + 14.5 / 2 gusts in each flight, each of 4 m/s · 0.1 s
    impulse = found[:, 1].sum(axis=0).mean() * 0.05
    assert impulse == pytest.approx((1 + 14.5 / 2) * 0.4, rel=0.03)
    once = winds([gusts(mean_interval=None)], times)
    expected = 4.0 * formulas.one_minus_cosine(times - 0.5, 0.1, 0.0)
    np.testing.assert_allclose(once[:, 1, 7], expected, atol=1e-12)
    assert once[:, 1].sum(axis=0).mean() * 0.05 == pytest.approx(0.4, rel=0.02)


def test_a_gust_that_is_there_at_once():
    source = {
        **{"kind": "gust_step", "amplitude": 3.0, "toward_deg": 0.0, "upward_deg": 90.0},
        **{"start": 1.0, "length": 0.5},
    }
    found = winds([source], [0.99, 1.0, 1.49, 1.5])
    np.testing.assert_allclose(found[:, 2, 0], [0.0, 3.0, 3.0, 0.0])


def test_a_gust_that_reverses_goes_back_along_its_axis():
    axis = {"toward_deg": {"uniform": [0.0, 360.0]}, "reverses": True}
    step = {"kind": "gust_step", "amplitude": 3.0, "start": 1.0, "length": 0.5}
    found = winds([{**step, **axis}], [0.99, 1.0, 1.49, 1.5, 1.99, 2.0])
    np.testing.assert_allclose(found[1:3], -found[3:5])
    np.testing.assert_array_equal(found[[0, 5]], 0)
    np.testing.assert_allclose(np.linalg.norm(found[1], axis=0), 3.0)
    cosine = {**gusts(mean_interval=None), **axis}
    found = winds([cosine], [0.55, 0.6, 0.75, 0.8, 0.95])
    np.testing.assert_allclose(found[:2], -found[2:4], atol=1e-12)
    np.testing.assert_allclose(found[4], 0, atol=1e-12)


def test_a_restart_leaves_the_others_alone():
    config = scenario("hover_gusts")
    rng = np.random.default_rng(0)
    wind = BatchWind(config.wind, 6, 15.0)
    wind.restart(np.ones(6, dtype=bool), rng)
    gust = next(s for s in wind._sources if hasattr(s, "_gust"))
    before, steady = gust._start.copy(), wind._mean.copy()
    which = np.array([False, True, False, False, True, False])
    wind.restart(which, rng)
    rows = len(before)
    np.testing.assert_array_equal(gust._start[:rows, ~which], before[:, ~which])
    np.testing.assert_array_equal(wind._mean[:, ~which], steady[:, ~which])
    assert (wind._mean[:, which] != steady[:, which]).any(axis=0).all()


@pytest.mark.parametrize("odometry", ["mocap", "gps"])
def test_the_sensors_err_as_those_of_one_vehicle(vehicle, odometry):
    """Standard deviations over many flights at rest, and how long an error of the pose stays."""
    config = scenario(imu="imu_bmi088", odometry=odometry)
    rng = np.random.default_rng(1)
    sensors = BatchSensors(config.imu, config.odometry, config.control_rate, SIZE)
    sensors.restart(ALL, rng)
    quat = np.tile([[0.0], [0.0], [0.0], [1.0]], SIZE)
    state = hover_state(QuadrotorParams.from_vehicle(vehicle), np.zeros((3, SIZE)), quat)
    state = state._replace(rotor_speed=np.full((4, SIZE), vehicle.hover_speed))
    force, still = force_at_rest(quat), np.zeros((3, SIZE))
    rows = [sensors.errors(state, force, still, rng) for _ in range(6)]

    stride = round(config.control_rate / config.odometry.update_rate)
    if stride > 1:
        np.testing.assert_array_equal(rows[0].pos, rows[1].pos)
    singles = {"pos": [], "vel": [], "gyro": [], "accelerometer": []}
    ahead = round(config.odometry.delay * config.control_rate)
    for seed in range(600):
        source = Odometry(config.odometry, np.random.default_rng(seed), config.control_rate)
        imu = Imu(config.imu, np.random.default_rng(seed))
        for _ in range(ahead + 1):
            sample = source.measure(0, (0, 0, 0), (0, 0, 0, 1), (0, 0, 0), (0, 0, 0))
        if sample is not None:
            singles["pos"].append(sample.pos_world)
            singles["vel"].append(sample.vel_body)
        before = ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        speeds = (vehicle.hover_speed,) * 4
        reading, rates, _ = imu.measure(before, *before, 0.002, speeds)
        singles["gyro"].append(rates)
        singles["accelerometer"].append(reading - force[:, 0])
    for name, values in singles.items():
        expected = np.std(values, axis=0)
        np.testing.assert_allclose(getattr(rows[0], name).std(axis=1), expected, rtol=0.12)


def test_a_batch_in_a_calm_world_is_the_world_of_one(vehicle):
    """One step of the same command from the same state: PyBullet and the batch agree."""
    config = scenario(imu="imu_ideal", odometry="odometry_ideal", start={**START, "tilt_deg": 0.0})
    batch = BatchWorld(config, vehicle, 2)
    batch.restart(np.ones(2, dtype=bool), np.random.default_rng(0))
    command = np.array([11.0, 0.5, -0.4, 0.3])
    with World(config, vehicle, 0) as world:
        from liquid_control.structs import RATES_THRUST

        for _ in range(20):
            world.step(RATES_THRUST.command(*command.tolist()))
            batch.step(np.tile(command[:, None], 2), np.random.default_rng(0))
        np.testing.assert_allclose(batch.state.pos_world[:, 0], world.state.pos_world, atol=1e-4)
        np.testing.assert_allclose(batch.state.vel_world[:, 1], world.state.vel_world, atol=1e-3)
        np.testing.assert_allclose(
            batch.state.quat_world_body[:, 0], world.state.quat_world_body, atol=1e-4
        )


START = {
    **{"place": "air", "pos": [0.0, 0.0, 1.0], "pos_spread": 0.0, "vel_spread": 0.0},
    **{"tilt_deg": 3.0, "yaw_deg": 0.0, "yaw_spread_deg": 0.0},
}


def test_the_task_and_the_start_are_those_of_the_world(vehicle):
    config = scenario("figure8_wind", start={**START, "pos": [1.0, 2.0, 3.0]}, wind=[])
    batch = BatchWorld(config, vehicle, 3)
    batch.restart(np.ones(3, dtype=bool), np.random.default_rng(0))
    with World(config, vehicle, 0) as world:
        for _ in range(150):
            world.step(None)
            batch.tick += 1
        wanted = world.setpoint()
    reference = batch.reference()
    for i in range(3):
        np.testing.assert_allclose(reference.pos[:, i], wanted.pos_world)
        np.testing.assert_allclose(reference.vel[:, i], wanted.vel_world)
        np.testing.assert_allclose(reference.acc[:, i], wanted.acc_world)
    np.testing.assert_array_equal(batch.state.pos_world[:, 0], [1.0, 2.0, 3.0])


def test_a_payload_hangs_under_each(vehicle):
    config = scenario(payload={"mass": 0.009, "below": 0.04}, vehicle_spread=0.5)
    batch = BatchWorld(config, vehicle, 100)
    batch.restart(np.ones(100, dtype=bool), np.random.default_rng(0))
    mass = batch._params.mass
    assert mass.mean() == pytest.approx(vehicle.mass + 0.009, rel=0.01)
    assert mass.std() > 0


REFUSED = [
    ({"obstacles": [{"shape": "box", "pos": [2, 0, 1], "size": [1, 1, 1], "yaw_deg": 0.0,
                     "color": [1, 0, 0]}]}, "obstacles"),
    ({"faults": [{"kind": "motor", "rotor": 1, "efficiency": 0.5, "at": 1.0}]}, "faults"),
    ({"camera": "camera_64x48"}, "camera"),
    ({"battery_charge": 0.5}, "battery_charge"),
    ({"start": {**START, "place": "ground"}}, "start.place"),
    ({"wind": [{"kind": "steady", "speed": 2.0, "toward_deg": 0.0},
               {"kind": "jet", "pos": [0, 0, 1], "toward_deg": 0, "upward_deg": 0, "speed": 5.0,
                "diameter": 0.5}]}, "wind.1.kind: a batch has no wind of the kind 'jet'"),
    ({"wind": [{"kind": "steady", "speed": 2.0, "toward_deg": 0.0,
                "shear": {"roughness": 0.05, "reference_height": 6.0}}]}, "wind.0.shear"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key"), REFUSED, ids=[key for _, key in REFUSED])
def test_what_a_batch_can_not_do_is_refused_by_key(vehicle, changes, key):
    with pytest.raises(ConfigError, match=rf"hover_calm: {key}.*one vehicle can"):
        BatchWorld(scenario(**changes), vehicle, 2)
