"""Rotations against transforms3d, at random attitudes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transforms3d import euler, quaternions

from liquid_control import frames

components = st.floats(-1, 1, allow_nan=False)
vectors = st.tuples(components, components, components).map(np.array)


@st.composite
def attitudes(draw):
    q = np.array([draw(components) for _ in range(4)])
    return frames.quat_normalize(q) if np.linalg.norm(q) > 1e-3 else np.array([0.0, 0, 0, 1])


def matrix(q):
    return quaternions.quat2mat(frames.wxyz_from_xyzw(q))


@given(attitudes(), vectors)
def test_rotation_is_that_of_transforms3d(q, v):
    np.testing.assert_allclose(frames.rotate(q, v), matrix(q) @ v, atol=1e-12)
    np.testing.assert_allclose(frames.rotate_inverse(q, v), matrix(q).T @ v, atol=1e-12)
    np.testing.assert_allclose(frames.matrix_from_quat(q), matrix(q), atol=1e-12)


@given(attitudes(), attitudes())
def test_product_composes_rotations(a, b):
    product = frames.quat_multiply(a, b)
    np.testing.assert_allclose(matrix(product), matrix(a) @ matrix(b), atol=1e-12)
    identity = frames.quat_multiply(a, frames.quat_conjugate(a))
    np.testing.assert_allclose(identity, [0, 0, 0, 1], atol=1e-12)


@given(attitudes(), vectors, st.floats(0, 1))
def test_integration_is_the_exact_turn(q, rate, dt):
    angle = float(np.linalg.norm(rate)) * dt
    turned = frames.quat_integrate(q, rate, dt)
    expected = matrix(q)
    if angle > 0:
        expected = expected @ quaternions.quat2mat(quaternions.axangle2quat(rate, angle))
    np.testing.assert_allclose(matrix(turned), expected, atol=1e-9)


@given(attitudes())
def test_yaw_is_the_first_angle_of_zyx(q):
    yaw, pitch, _ = euler.quat2euler(frames.wxyz_from_xyzw(q), "rzyx")
    if abs(pitch) < 1.5:
        difference = frames.yaw_from_quat(q) - yaw
        assert abs(np.sin(difference)) < 1e-6
        assert np.cos(difference) > 0


@given(attitudes())
def test_ned_frd_attitude_is_the_change_of_both_frames(q):
    enu_to_ned = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    flu_to_frd = np.diag([1, -1, -1])
    turned = frames.quat_ned_frd_from_enu_flu(q)
    np.testing.assert_allclose(matrix(turned), enu_to_ned @ matrix(q) @ flu_to_frd, atol=1e-12)
    np.testing.assert_allclose(
        frames.ned_from_enu(np.array([1.0, 2, 3])), enu_to_ned @ [1, 2, 3], atol=0
    )
    np.testing.assert_allclose(
        frames.frd_from_flu(np.array([1.0, 2, 3])), flu_to_frd @ [1, 2, 3], atol=0
    )


def test_components_of_floats_equal_arrays():
    rng = np.random.default_rng(8)
    for size in (1e-6, 0.3, 3.0):  # both branches of the exponential map
        q = frames.quat_normalize(rng.normal(size=4))
        rates = rng.normal(size=3) * size
        floats = frames.integrate_components(q.tolist(), rates.tolist(), 0.01)
        batch = frames.quat_integrate(q[:, None], rates[:, None], 0.01)[:, 0]
        np.testing.assert_allclose(floats, batch, rtol=0, atol=1e-15)
        assert all(type(value) is float for value in floats)


def test_torch_batch_equals_numpy_one_by_one():
    rng = np.random.default_rng(3)
    q = frames.quat_normalize(rng.normal(size=(4, 16)))
    v = rng.normal(size=(3, 16))
    batched = frames.rotate(torch.from_numpy(q), torch.from_numpy(v)).numpy()
    single = np.stack([frames.rotate(q[:, i], v[:, i]) for i in range(16)], axis=1)
    np.testing.assert_allclose(batched, single, atol=1e-14)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 1e-4, 1.0])
def test_exponential_map_has_a_finite_exact_gradient(size):
    v = torch.tensor([0.6, -0.8, 0.0], dtype=torch.float64).mul(size).requires_grad_()
    assert torch.autograd.gradcheck(frames.quat_from_rotation_vector, (v,))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_a_number_among_components_is_that_of_the_whole_batch(make):
    wanted = [[1.0, 1.0], [3.0, 4.0], [2.0, 2.0]]
    for first in (1.0, make([1.0, 1.0])):
        whole = frames.stack(first, first, make([3.0, 4.0]), 2.0)
        assert type(whole) is type(make([0.0]))
        assert whole.tolist() == wanted
