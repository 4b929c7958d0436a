import dataclasses
import time

import imageio_ffmpeg
import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.evaluation.saliency import Sight
from liquid_control.evaluation.views.animation import Animation
from liquid_control.evaluation.views.film import write_video
from liquid_control.evaluation.views.inks import error_color, heat
from liquid_control.evaluation.views.viewpoint import Viewpoint
from liquid_control.vehicles.catalogue import load_vehicle


@pytest.fixture(scope="module")
def vehicle():
    return load_vehicle("crazyflie")


@pytest.mark.parametrize(("suffix", "fps"), [(".mp4", 10), (".gif", 10)])
def test_film_has_every_second_of_the_flight(tmp_path, make_log, vehicle, suffix, fps):
    log = make_log(2.0)
    path = write_video(tmp_path / f"flight{suffix}", log, vehicle, fps=fps, size=(640, 360))
    reader = imageio_ffmpeg.read_frames(str(path))
    info = next(reader)
    frames = [np.frombuffer(frame, np.uint8) for frame in reader]
    assert len(frames) == pytest.approx(2.0 * fps, abs=1)
    assert info["fps"] == pytest.approx(fps, rel=0.02)
    assert np.mean(frames[0] != frames[-1]) > 0.02
    assert path.stat().st_size < 400_000


def test_a_film_is_1080p_at_30_hz_unless_told_otherwise(tmp_path, make_log, vehicle):
    path = write_video(tmp_path / "flight.mp4", make_log(1.0), vehicle)
    info = next(imageio_ffmpeg.read_frames(str(path)))
    assert (info["size"], info["fps"], info["codec"]) == ((1920, 1080), 30.0, "h264")
    assert path.stat().st_size < 400_000  # a minute of it is below the 25 MB of a mail


def test_a_film_shows_what_the_camera_saw_and_where_the_policy_looked(drive_log):
    seen = drive_log.images
    rgb = np.zeros((len(seen.time), 16, 32, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    sight = Sight(seen.time, rgb, np.ones((len(rgb), 16, 32), np.float32))
    car, places = load_vehicle("car"), {}
    bare = np.asarray(Animation(drive_log, car).frame(1.0), int)
    frame = np.asarray(Animation(drive_log, car, sight=sight).frame(1.0), int)
    for name, color in (("camera", [255, 0, 0]), ("saliency", heat(np.ones(1))[0])):
        places[name] = np.argwhere((np.abs(frame - color) <= 2).all(axis=2))
        assert len(places[name]) >= 16 * 32 * 13**2  # px, whole ones of the camera
        assert places[name][:, 1].min() > 1920 / 2
    assert places["camera"][:, 0].max() < places["saliency"][:, 0].min()
    changed = np.argwhere((frame != bare).any(axis=2))
    assert changed[:, 1].min() > 1920 / 2  # nothing else moved


def test_film_is_drawn_faster_than_it_runs(make_log, vehicle):
    log = make_log(4.0)
    start = time.process_time()
    animation = Animation(log, vehicle, size=(640, 360))
    for t in np.arange(0, 4, 1 / 15):
        animation.frame(t)
    assert time.process_time() - start < 4.0


def test_other_formats_are_refused(tmp_path, log, vehicle):
    with pytest.raises(ConfigError, match=r"\.mp4 or \.gif"):
        write_video(tmp_path / "flight.avi", log, vehicle)


def test_a_viewpoint_puts_the_target_at_the_center_and_up_is_up():
    view = Viewpoint.look_at(np.array([2.0, -1.0, 1.5]), np.array([0.3, 0.2, 1.0]), 500, (320, 180))
    pixels, depth = view.project(np.array([[0.3, 0.2, 1.0], [0.3, 0.2, 1.1]]))
    assert np.allclose(pixels[0], [320, 180])
    assert depth[0] == pytest.approx(np.sqrt(1.7**2 + 1.2**2 + 0.5**2))
    assert pixels[1, 1] < 180


def test_picture_shows_mode_and_larger_error_redder(make_log, vehicle):
    log = make_log(1.0)
    aside = np.array([0.2, 0, 0])
    far = dataclasses.replace(log, setpoint_pos_world=log.setpoint_pos_world + aside)
    near = dataclasses.replace(log, setpoint_pos_world=log.truth.pos_world)
    assert error_color(0.2, 0.3)[0] > error_color(0, 0.3)[0]
    difference = np.abs(
        np.asarray(Animation(far, vehicle).frame(0.9), int)
        - np.asarray(Animation(near, vehicle).frame(0.9), int)
    )
    assert difference.max() > 50


def test_a_flight_without_neurons_or_wind_is_drawn(make_log, vehicle):
    log = make_log(0.5, neurons=np.zeros((50, 0)), neuron_names=(), wind_world=np.zeros((50, 3)))
    assert Animation(log, vehicle).frame(0.3).size == (1920, 1080)
