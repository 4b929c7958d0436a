"""The Gymnasium environments."""

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from liquid_control.sim import register_envs  # noqa: E402
from liquid_control.sim.gym_env import EPISODE_STEPS, OBSERVATION_LAYOUT  # noqa: E402

NAME = "LiquidControl/QuadHover-v0"


def test_check_env():
    register_envs()  # a second time does no harm
    check_env(gymnasium.make(NAME).unwrapped)


def still(num_envs):
    return gymnasium.make_vec(
        NAME,
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        spread=0.0,
        mean_wind=0.0,
        turbulence=0.0,
        gust=0.0,
    )


def hover_action(observation):
    """A PD controller on the observation, to see that slots and actions mean what they say."""
    part = {name: observation[:, OBSERVATION_LAYOUT[name]] for name in OBSERVATION_LAYOUT.names}
    acc = -4 * part["pos_error"] - 4 * part["vel"] + [0, 0, 9.80665]
    rotation = part["rotation"].reshape(-1, 3, 3)
    wanted = acc / np.linalg.norm(acc, axis=1, keepdims=True)
    up = rotation[:, :, 2]
    turn = np.einsum("nji,nj->ni", rotation, np.cross(up, wanted))  # in the body frame
    thrust = np.sum(acc * up, axis=1) / 9.80665 - 1
    return np.column_stack([thrust, 10 * turn / [8, 8, 4]]).astype(np.float32)


def test_a_simple_controller_hovers_in_still_air():
    env = still(16)
    observation, _ = env.reset(seed=0)
    for _ in range(400):
        observation, reward, terminated, _, _ = env.step(hover_action(observation))
        assert not terminated.any()
    assert np.abs(observation[:, OBSERVATION_LAYOUT["pos_error"]]).max() < 0.02
    assert reward.min() > 0.9


def test_starts_are_spread():
    observation, _ = still(200).reset(seed=0)
    for name, half_width in (("pos_error", 0.5), ("vel", 0.5)):
        values = observation[:, OBSERVATION_LAYOUT[name]]
        np.testing.assert_allclose(values.std(axis=0), half_width / np.sqrt(3), rtol=0.15)


def test_wind_disturbs():
    env = gymnasium.make_vec(NAME, num_envs=32, vectorization_mode="vector_entry_point")
    observation, _ = env.reset(seed=0)
    for _ in range(300):
        observation, *_ = env.step(hover_action(observation))
    error = np.abs(observation[:, OBSERVATION_LAYOUT["pos_error"]])
    assert 0.02 < error.max() < 2.0


def test_a_seed_is_an_episode():
    runs = []
    for seed in (0, 0, 1):
        env = still(4)
        env.reset(seed=seed)
        runs.append(env.step(np.full((4, 4), 0.1, dtype=np.float32))[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.any(runs[0] != runs[2])


def test_one_alone_is_the_vector_of_one():
    vector, single = (
        still(1),
        gymnasium.make(NAME, spread=0.0, mean_wind=0.0, turbulence=0.0, gust=0.0),
    )
    np.testing.assert_array_equal(vector.reset(seed=3)[0][0], single.reset(seed=3)[0])
    action = np.array([0.1, 0.2, -0.1, 0.0], dtype=np.float32)
    for _ in range(20):
        np.testing.assert_array_equal(vector.step(action[None])[0][0], single.step(action)[0])


def test_episodes_end_and_start_anew():
    env = still(3)
    env.reset(seed=0)
    falling = np.tile(np.array([-1, 0, 0, 0], dtype=np.float32), (3, 1))
    falling[1, 0] = 0.0
    steps = 0
    while True:
        _, reward, terminated, _, _ = env.step(falling)
        steps += 1
        if terminated[0]:
            break
        assert steps < 200
    observation, reward, terminated, _, _ = env.step(falling)
    assert reward[0] == 0.0  # the step that restarts
    assert not terminated[0]
    assert np.abs(observation[0, OBSERVATION_LAYOUT["pos_error"]]).max() <= 0.5 + 1e-6
    np.testing.assert_array_equal(observation[0, OBSERVATION_LAYOUT["action"]], 0)


def test_truncation_after_ten_seconds():
    env = still(2)
    observation, _ = env.reset(seed=0)
    env._steps[0] = EPISODE_STEPS - 3
    for k in range(5):
        observation, _, terminated, truncated, _ = env.step(hover_action(observation))
        assert not terminated.any()
        assert truncated.tolist() == [k == 2, False]


def test_rendering_is_refused():
    with pytest.raises(ValueError, match="render_mode"):
        gymnasium.make(NAME, render_mode="human")
