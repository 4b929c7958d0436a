"""Shifts of the look: nothing at strength 0, more with more, and never out of range."""

import numpy as np
import pytest

from liquid_control.sim.scenery.shifts import SHIFTS, shifted

RNG = np.random.default_rng(0)
RGB = RNG.uniform(20, 200, (3, 12, 16, 3)).astype(np.float32)
DEPTH = RNG.uniform(1, 40, (3, 12, 16)).astype(np.float32)
DEPTH[:, 0] = np.inf


def change(name, strength):
    """Mean change of a picture."""
    changed = shifted(RGB, DEPTH, {name: strength}, np.random.default_rng(1))
    return np.abs(changed - RGB).mean()


@pytest.mark.parametrize("name", SHIFTS)
def test_strength_is_how_much_changes(name):
    changes = [change(name, strength) for strength in (0.0, 0.25, 0.5, 1.0)]
    assert changes[0] == 0.0
    assert changes[0] < changes[1] < changes[2] < changes[3]


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_leaves_its_input_and_the_range_alone(name):
    before = RGB.copy()
    changed = shifted(RGB, DEPTH, {name: 1.0}, np.random.default_rng(1))
    np.testing.assert_array_equal(RGB, before)
    assert changed.shape == RGB.shape
    assert np.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_each_picture_has_a_strength_of_its_own():
    changed = shifted(RGB, DEPTH, {"dark": np.array([0.0, 0.5, 1.0])}, RNG)
    np.testing.assert_allclose(changed[0], RGB[0])
    assert changed[2].mean() < changed[1].mean() < changed[0].mean()


def test_fog_hides_what_is_far():
    far = shifted(RGB, np.full_like(DEPTH, 40.0), {"fog": 0.5}, RNG)
    near = shifted(RGB, np.full_like(DEPTH, 1.0), {"fog": 0.5}, RNG)
    assert np.ptp(far, axis=(0, 1, 2)).max() < 5
    assert np.abs(near - RGB).mean() < 30


def test_an_unknown_shift_is_named():
    with pytest.raises(ValueError, match=r"unknown shifts \['rain'\], expected some of"):
        shifted(RGB, DEPTH, {"rain": 0.5}, RNG)
