import numpy as np
from PIL import Image

from liquid_control.evaluation.picture import write_picture


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
