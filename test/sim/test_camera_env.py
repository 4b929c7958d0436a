"""The Gymnasium environments of vehicles that steer by camera."""

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("pybullet")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from liquid_control.config import ConfigError  # noqa: E402
from liquid_control.evaluation.judge import success  # noqa: E402
from liquid_control.runtime.policy import load_policy  # noqa: E402
from liquid_control.sim import CAMERA_NAME, CAMERA_TASKS, register_envs  # noqa: E402
from liquid_control.sim.flight import prepare  # noqa: E402
from liquid_control.sim.scenario import read_world  # noqa: E402
from liquid_control.structs import STEERING, ImageSample  # noqa: E402

register_envs()
FLYER = {
    "camera": "camera_64x48",
    "obstacles": [{"shape": "box", "size": [1.0, 1.0, 1.0], "pos": [4.0, 0.0, 0.5]}],
}


def lane(duration=5.0, **changes):
    return read_world("lane_keeping", {"duration": duration, **changes})


@pytest.fixture
def make():
    made = []

    def make(world, **options):
        made.append(gymnasium.make(CAMERA_NAME, world=world, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


def drive(env, seed, actions):
    """Observations and the last info of an episode with these actions."""
    observation, info = env.reset(seed=seed)
    seen = [observation]
    for action in actions:
        observation, _, terminated, truncated, info = env.step(action)
        seen.append(observation)
        if terminated or truncated:
            break
    return seen, info


@pytest.mark.parametrize("name", CAMERA_TASKS)
def test_gymnasium_checks_every_task(name):
    env = gymnasium.make(name, render_mode="rgb_array")
    check_env(env.unwrapped)
    assert env.unwrapped.spec.kwargs.items() >= CAMERA_TASKS[name].items()
    env.close()


def test_stable_baselines_checks_it(make):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(make(lane()), skip_render_check=True)


def test_any_vehicle_with_a_camera_flies(make):
    env = make(read_world("hover_calm", FLYER))
    check_env(env.unwrapped, skip_render_check=True)
    assert env.observation_space["image"].shape == (48, 64, 3)
    assert env.action_space.shape == (4,)


def test_the_state_is_what_a_policy_that_sees_is_told(make):
    env = make(lane())
    names = ("ang_vel", "specific_force", "previous_speed", "previous_yaw_rate", "image_age")
    assert env.unwrapped.observation_layout.names == names
    own = make(lane(), slots=("image_age", "ang_vel"))
    seen, _ = drive(own, 3, np.zeros((10, 2)))
    assert seen[-1]["state"].shape == (4,)
    assert 0.0 < seen[-1]["state"][0] <= 0.08  # s, of images at 25 Hz that come 20 ms late


def test_the_shipped_policy_drives_the_same_in_the_environment(make):
    """Command by command what `fly` drives, and the same verdict."""
    world = lane()
    flight = prepare(world, "lane_liquid")
    with flight.world(5001) as place:
        expected = flight.fly(place)
    policy = load_policy("lane_liquid")
    slots = policy.observation_layout.names
    env = make(world, slots=slots)
    actions, period = env.unwrapped.action_map, env.unwrapped.control_period
    observation, info = env.reset(seed=5001)
    ended = False
    while not ended:
        action = np.zeros(2)
        if not info["seen"]:
            policy.reset()  # nobody drives yet
        else:
            policy.look(ImageSample(0, observation["image"]))
            command = policy.step(observation["state"], period)
            action = (command - actions.neutral) / actions.scale
        observation, _, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
    log = env.unwrapped.flight_log()
    assert log.mode.tolist() == expected.mode.tolist()
    np.testing.assert_allclose(log.command, expected.command, atol=1e-6)
    np.testing.assert_allclose(log.truth.pos_world, expected.truth.pos_world, atol=1e-5)
    assert info["success"] is success(expected, world.success) is True


def test_the_limits_of_the_world_decide_on_success(make):
    """A car that stands on the start of the lane fails a limit that it can't keep."""
    for limit, kept in ((0.0, False), (5.0, True)):
        world = lane(4.0, success={"limits": {"rmse_m": limit}})
        seen, info = drive(make(world), 5001, np.zeros((200, 2)))
        assert info["success"] is kept
        assert len(seen) == 201


def test_leaving_the_lane_ends_the_episode(make):
    env = make(lane(20.0))
    _, info = drive(env, 5001, np.tile([0.6, 0.4], (1000, 1)))
    assert "from the setpoint" in info["crash_reason"]
    assert info["success"] is False
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.step(np.zeros(2))


def test_a_seed_is_a_road(make):
    env = make(lane())
    actions = np.tile([0.5, 0.0], (12, 1))
    runs = [drive(env, seed, actions)[0] for seed in (7, 7, 8)]
    for key in ("image", "state"):
        first, same, other = (np.array([row[key] for row in run]) for run in runs)
        np.testing.assert_array_equal(first, same)
        assert np.any(first != other)


def test_the_first_images_are_still_on_their_way(make):
    seen, info = drive(make(lane()), 7, np.zeros((3, 2)))
    assert not seen[0]["image"].any()
    assert seen[-1]["image"].std() > 5
    assert info["seen"]


def test_a_full_action_is_the_largest_command(make):
    env = make(lane(5.0)).unwrapped
    np.testing.assert_array_equal(env.action_map.command(np.zeros(2)), STEERING.neutral)
    assert env.action_map.command(np.ones(2))[0] == env.vehicle.drive.max_speed


def test_what_does_not_fit_is_named(make):
    with pytest.raises(ConfigError, match=f"{CAMERA_NAME} in hover_calm: .*with a camera"):
        make("hover_calm")
    with pytest.raises(ConfigError, match="takes the commands steering, got velocity"):
        make("lane_keeping", command="velocity")


def test_a_picture_shows_the_car_from_behind(make):
    env = make(lane(), render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (360, 480, 3)
    assert picture.std() > 5
