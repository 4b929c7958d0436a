"""A log as a file, and the motion that it stands for."""

import dataclasses

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.flight_log import FlightLog, Images, ImuColumns, States, reduced
from liquid_control.frames import rotate
from liquid_control.structs import RATES_THRUST, ImageSample

STEPS = 20


def _states(rng):
    return States(*(rng.normal(size=(STEPS, size)) for size in (3, 4, 3, 3)))


@pytest.fixture
def log(rng) -> FlightLog:
    return FlightLog(
        time=np.arange(STEPS) / 100,
        truth=_states(rng),
        estimate=_states(rng),
        imu=ImuColumns(rng.normal(size=(STEPS, 3)), rng.normal(size=(STEPS, 3))),
        setpoint_pos_world=rng.normal(size=(STEPS, 3)),
        wind_world=rng.normal(size=(STEPS, 3)),
        command=np.where(rng.random((STEPS, 1)) < 0.2, np.nan, rng.normal(size=(STEPS, 4))),
        kind=RATES_THRUST,
        actuators=rng.normal(size=(STEPS, 4)),
        actuator_names=tuple(f"rotor{i} rad/s" for i in range(4)),
        mode=np.array(["policy", "backup"] * (STEPS // 2)),
        neurons=rng.normal(size=(STEPS, 2)),
        neuron_names=("inter0", "thrust"),
        step_us=rng.normal(size=STEPS),
        world="demo",
        policy="hover_liquid",
        vehicle="crazyflie",
        seed=3,
        control_rate=100.0,
        crashed=False,
        crash_reason="",
        late_ticks=1,
    )


def _real(log):
    nothing = dict(neurons=np.zeros((STEPS, 0)), neuron_names=(), actuator_names=())
    actuators = np.zeros((STEPS, 0))
    return dataclasses.replace(
        log, truth=None, wind_world=None, seed=None, world="", actuators=actuators, **nothing
    )


@pytest.mark.parametrize("change", [lambda log: log, _real])
def test_a_saved_log_is_the_same_log(log, change, tmp_path):
    log = change(log)
    again = FlightLog.load(log.save(tmp_path / "flight.npz"))
    for field in dataclasses.fields(FlightLog):
        x, y = getattr(log, field.name), getattr(again, field.name)
        assert type(x) is type(y), field.name
        if dataclasses.is_dataclass(x) and field.name != "kind":
            for name, column in vars(x).items():
                np.testing.assert_array_equal(column, vars(y)[name], err_msg=name)
        elif isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, err_msg=field.name)
        else:
            assert x == y, field.name


def test_a_file_that_is_no_log_is_one_clear_error(tmp_path):
    text, other, objects = (tmp_path / name for name in ("text.npz", "other.npz", "objects.npz"))
    text.write_text("not a flight")
    np.savez(other, time=np.zeros(3))
    np.savez(objects, time=np.array([{}], dtype=object))
    for path in (text, other, objects, tmp_path / "none.npz"):
        with pytest.raises(ConfigError, match=rf"{path.name}: not a saved flight"):
            FlightLog.load(path)


def test_a_command_that_nobody_knows_is_one_clear_error(log, tmp_path):
    unknown = dataclasses.replace(log, kind=dataclasses.replace(RATES_THRUST, name="telepathy"))
    path = unknown.save(tmp_path / "flight.npz")
    with pytest.raises(ConfigError, match="unknown kind of command 'telepathy'"):
        FlightLog.load(path)


def test_motion_is_the_truth_or_what_was_estimated(log):
    assert log.motion is log.truth
    assert _real(log).motion is log.estimate


def test_odometry_becomes_columns_in_the_world_frame(rng):
    quat = rng.normal(size=4)
    quat /= np.linalg.norm(quat)
    pos, vel, rates = rng.normal(size=(3, 3))
    states = States.from_odometry(np.array([[np.nan] * 13, [*pos, *quat, *vel, *rates]]))
    assert np.isnan(states.pos_world[0]).all()
    assert np.isnan(states.vel_world[0]).all()
    np.testing.assert_array_equal(states.pos_world[1], pos)
    np.testing.assert_allclose(states.vel_world[1], rotate(quat, vel))
    np.testing.assert_array_equal(states.ang_vel_body[1], rates)


def test_a_command_of_a_given_kind_is_read(log, tmp_path):
    kind = dataclasses.replace(RATES_THRUST, name="telepathy")
    path = dataclasses.replace(log, kind=kind).save(tmp_path / "flight.npz")
    with pytest.raises(ConfigError, match="load_vehicle"):
        FlightLog.load(path)
    assert FlightLog.load(path, kind=kind).kind is kind
    with pytest.raises(ConfigError, match="of kind 'telepathy', not 'rates_thrust'"):
        FlightLog.load(path, kind=RATES_THRUST)


def test_a_cut_file_is_one_clear_error(log, tmp_path):
    path = log.save(tmp_path / "flight.npz")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:200] + b"x" * 200 + whole[400:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a saved flight") as error:
            FlightLog.load(path)
        assert "unsafe" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": np.zeros(3)}, r"mode: expected shape \(3,\), got \(20,\)"),
        ({"command": np.zeros((STEPS, 3))}, r"command: expected shape \(20, 4\)"),
        ({"neuron_names": ("one",)}, r"neurons: expected shape \(20, 1\)"),
        ({"imu": ImuColumns(np.zeros((STEPS, 3)), np.zeros((9, 3)))}, "imu.specific_force_body"),
        ({"wind_world": np.zeros((STEPS, 2))}, "wind_world"),
    ],
)
def test_columns_that_do_not_fit_are_one_clear_error(log, tmp_path, change, reason):
    path = dataclasses.replace(log, **change).save(tmp_path / "flight.npz")
    with pytest.raises(ConfigError, match=f"not a saved flight: {reason}"):
        FlightLog.load(path)


def test_pictures_are_kept_with_a_log(log, rng, tmp_path):
    pictures = rng.integers(0, 256, (3, 6, 8, 3), np.uint8)
    told = (7.0, 7.0, 4.0, 3.0)
    samples = [ImageSample(k * 40_000_000, rgb, told) for k, rgb in enumerate(pictures, 1)]
    images = Images.of(samples, begin=40_000_000)
    path = dataclasses.replace(log, images=images).save(tmp_path / "seen.npz")
    again = FlightLog.load(path).images
    np.testing.assert_array_equal(again.rgb, pictures)
    np.testing.assert_array_equal(again.newest([-0.001, 0.0, 0.0399, 0.04, 9.0]), [-1, 0, 0, 1, 2])
    assert again.sample(2).stamp == 80_000_000
    assert again.sample(2).intrinsics == told
    assert Images.of([]) is None
    wrong = dataclasses.replace(images, rgb=pictures[:2])
    dataclasses.replace(log, images=wrong).save(path)
    with pytest.raises(ConfigError, match=r"images.rgb: expected \(3, height, width, 3\) uint8"):
        FlightLog.load(path)


def test_wide_pictures_are_kept_smaller_and_show_the_same(rng):
    small = rng.integers(0, 256, (120, 160, 3), np.uint8)
    wide = ImageSample(5, small.repeat(4, axis=0).repeat(4, axis=1), (400.0, 400.0, 320.0, 240.0))
    kept = reduced(wide)
    np.testing.assert_array_equal(kept.rgb, small)
    assert (kept.stamp, kept.intrinsics) == (5, (100.0, 100.0, 80.0, 60.0))
    for shape in ((32, 64, 3), (7, 331, 3)):  # narrow enough; sides that nothing divides
        sample = ImageSample(0, np.zeros(shape, np.uint8))
        assert reduced(sample) is sample
