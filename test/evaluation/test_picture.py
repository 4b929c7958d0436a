import numpy as np
import pytest
from made_up import moved
from PIL import Image

from liquid_control.evaluation.columns import LEAST_SIDE
from liquid_control.evaluation.views.path import path_figure
from liquid_control.evaluation.views.picture import write_picture


def test_picture_is_wide_and_shows_the_flight(tmp_path, make_log):
    log = make_log(4.0)
    with Image.open(write_picture(tmp_path / "flight.png", log)) as picture:
        assert picture.size == (1800, 640)
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 500
    teal, orange = np.array([64, 210, 190]), np.array([255, 170, 80])
    for color in (teal, orange):  # a small error of the path, an active neuron
        assert (np.abs(pixels.astype(int) - color).max(axis=1) < 12).sum() > 20


def test_picture_without_neurons_or_wind(tmp_path, make_log):
    still = make_log(
        1.0, neurons=np.zeros((100, 0)), neuron_names=(), wind_world=np.zeros((100, 3))
    )
    assert write_picture(tmp_path / "still.png", still).stat().st_size > 20_000


def test_a_vertical_path_leaves_room_for_the_labels(tmp_path, make_log):
    height = np.linspace(0.0, 1.0, 400)
    path = np.stack([0.02 * np.sin(9 * height), 0.02 * np.cos(9 * height), height], axis=1)
    log = moved(make_log(4.0, setpoint_pos_world=path + 0.01), pos_world=path)
    with Image.open(write_picture(tmp_path / "up.png", log)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels[-6:, :800] == pixels[-1, -1]).all()  # no label is cut at the lower edge
    scene = path_figure(log).layout.scene
    assert scene.aspectratio.z / scene.aspectratio.x == pytest.approx(1 / LEAST_SIDE)
    for axis, values in zip((scene.xaxis, scene.yaxis, scene.zaxis), path.T, strict=True):
        assert axis.range[0] < values.min() <= values.max() < axis.range[1]
