"""The Gymnasium environments: one vehicle behind the loop, and a batch of the same world."""

import re

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from liquid_control.config import ConfigError  # noqa: E402
from liquid_control.control.observation import (  # noqa: E402
    forget_slot,
    observer_of,
    register_slot,
)
from liquid_control.evaluation.columns import position_error  # noqa: E402
from liquid_control.evaluation.metrics import flight_metrics  # noqa: E402
from liquid_control.frames import rotate_inverse  # noqa: E402
from liquid_control.runtime.catalogue import make_controller, make_parameters  # noqa: E402
from liquid_control.sim import NAME, register_envs  # noqa: E402
from liquid_control.sim.flight import prepare  # noqa: E402
from liquid_control.sim.gym_env import QuadHoverEnv, QuadHoverVectorEnv  # noqa: E402
from liquid_control.sim.scenario import load_world  # noqa: E402
from liquid_control.structs import RATES_THRUST, Slot  # noqa: E402
from liquid_control.vehicles.kind import VehicleConfig  # noqa: E402

register_envs()


def one(world="hover_calm", **options):
    return gymnasium.make(NAME, world=world, **options)


def many(num_envs, world="hover_calm", **options):
    return gymnasium.make_vec(NAME, num_envs=num_envs, world=world, **options)


def short(world="hover_calm", duration=0.5, **changes):
    return load_world(world).model_copy(update={"duration": duration, **changes})


class Expert:
    """The geometric controller as a learner: from observation to action."""

    def __init__(self, env):
        vehicle = env.unwrapped.vehicle
        self._fly, _ = make_controller("geometric", vehicle, make_parameters(vehicle))
        layout = env.unwrapped.observation_layout
        self._parts = [layout[name] for name in self._fly.observation_layout.names]
        self._map = env.unwrapped.action_map

    def __call__(self, observation):
        seen = np.concatenate([observation[part] for part in self._parts])
        command = self._fly.step(seen.astype(float), 0.01)
        return ((command - self._map.neutral) / self._map.scale).astype(np.float32)


def test_gymnasium_checks_it():
    register_envs()  # a second time does no harm
    check_env(one("hover_gusts").unwrapped)
    vector = many(4, "hover_gusts")
    observation, _ = vector.reset(seed=0)
    assert vector.observation_space.contains(observation)
    assert vector.single_observation_space == one().observation_space
    assert vector.single_action_space == one().action_space


def test_the_observation_is_that_of_the_loop_in_the_wanted_slots():
    everything = observer_of("quadrotor", RATES_THRUST).layout
    assert one().unwrapped.observation_layout == many(2).unwrapped.observation_layout == everything
    names = ("up", "previous_thrust", "pos_error")
    for env in (one(slots=names), many(2, slots=names)):
        assert env.unwrapped.observation_layout.names == names
        observation, _ = env.reset(seed=0)
        assert observation.shape[-1] == 7
        np.testing.assert_allclose(observation[..., 3], 9.80665, rtol=1e-6)
    with pytest.raises(ValueError, match="unknown observation slots"):
        one(slots=["speed"])


def test_a_policy_flies_the_same_in_the_environment_and_in_the_loop():
    """Gate, observer, limits and world are those of a flight: the same commands, bit for bit."""
    world = short("hover_gusts", 2.0)
    flight = prepare(world, "geometric")
    with flight.world(5) as place:
        expected = flight.fly(place)
    env = one(world)
    wanted = iter(expected.command)
    env.reset(seed=5)
    actions = env.unwrapped.action_map
    done = False
    while not done:
        action = (next(wanted) - actions.neutral) / actions.scale
        _, _, terminated, done, _ = env.step(action)
        assert not terminated
    log = env.unwrapped.flight_log()
    np.testing.assert_allclose(log.command, expected.command, atol=1e-12)
    np.testing.assert_allclose(position_error(log), position_error(expected), atol=1e-9)


@pytest.mark.parametrize("world", ["hover_gusts", "sensor_faults"])
def test_the_log_is_the_episode(world):
    """Also with faults, where the loop's backup flies meanwhile."""
    env = one(short(world, 4.0))
    observation, info = env.reset(seed=2)
    expert = Expert(env)
    errors, modes = [info["position_error"]], []
    done = False
    while not done:
        observation, _, terminated, truncated, info = env.step(expert(observation))
        errors.append(info["position_error"])
        modes.append(info["mode"])
        done = terminated or truncated
    log = env.unwrapped.flight_log()
    np.testing.assert_allclose(position_error(log), errors[:-1], rtol=1e-12)
    assert log.mode.tolist() == modes
    assert log.seed == info["seed"] == 2
    assert flight_metrics(log).crash_reason == info["crash_reason"] == ""


def test_zero_is_the_neutral_command_and_one_the_largest():
    env = one()
    env.reset(seed=0)
    mapping = env.unwrapped.action_map
    np.testing.assert_array_equal(mapping.command(np.zeros(4)), RATES_THRUST.neutral)
    vehicle = env.unwrapped.vehicle
    high = (vehicle.max_thrust, *vehicle.autopilot.max_rate)
    np.testing.assert_allclose(mapping.command(np.full(4, 3.0)), high)
    assert mapping.limited(mapping.command(np.full(4, -1.0)), np.zeros(4), 1.0)[0] >= 0.0
    env.step(np.array([0.0, 0.25, 0.0, -0.5]))
    log = env.unwrapped.flight_log()
    np.testing.assert_allclose(log.command[0], [9.80665, 2.0, 0.0, -0.5 * high[3]])


def test_actions_mean_the_same_to_a_trained_policy():
    """The scaling is that of the trainers."""
    torch = pytest.importorskip("torch")
    from liquid_control.runtime.catalogue import make_rules
    from liquid_control.training.policy import command_scaling

    env = many(1)
    vehicle = env.unwrapped.vehicle
    offset, scale = command_scaling(make_rules(vehicle, make_parameters(vehicle)))
    mapping = env.unwrapped.action_map
    torch.testing.assert_close(offset.double(), torch.tensor(mapping.neutral), atol=1e-6, rtol=0)
    torch.testing.assert_close(scale.double(), torch.tensor(mapping.scale), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("world", ["hover_calm", "figure8_wind"])
def test_an_expert_flies_one_and_many_alike(world):
    """The same controller on the observations of both: errors of the same size."""
    world, size = short(world, 6.0), 8
    found = []
    for seed in range(3):
        env = one(world)
        observation, _ = env.reset(seed=seed)
        expert = Expert(env)
        for _ in range(600):
            observation, reward, terminated, _, info = env.step(expert(observation))
            assert not terminated
        found.append(flight_metrics(env.unwrapped.flight_log()).rmse_m)
    env = many(size, world)
    observation, _ = env.reset(seed=0)
    experts = [Expert(env) for _ in range(size)]
    for _ in range(600):
        actions = np.array([fly(o) for fly, o in zip(experts, observation, strict=True)])
        observation, reward, terminated, truncated, info = env.step(actions)
        assert not terminated.any()
    assert truncated.all()
    assert 0.3 < reward.min() <= reward.max() <= 1.0
    assert np.median(info["rmse"]) == pytest.approx(np.median(found), rel=0.5)
    assert np.median(info["rmse"]) < 0.1


def test_the_rmse_of_a_batch_is_that_of_the_metrics():
    """Errors of the rows after the settling time, before the world moves on."""
    world = short("hover_gusts", 4.0)
    env = many(2, world)
    observation, _ = env.reset(seed=0)
    experts = [Expert(env) for _ in range(2)]
    errors, truncated = [env.unwrapped._world.distance()], np.zeros(2)
    while not truncated.any():
        actions = np.array([fly(o) for fly, o in zip(experts, observation, strict=True)])
        observation, _, terminated, truncated, info = env.step(actions)
        assert not terminated.any()
        errors.append(info["position_error"])
    settled = np.arange(400) / 100 > world.success.settle_time
    expected = np.sqrt((np.array(errors[:400])[settled] ** 2).mean(axis=0))
    np.testing.assert_allclose(info["rmse"], expected)


def test_a_seed_is_an_episode_and_each_reset_another():
    for make in (lambda: one("hover_gusts"), lambda: many(3, "hover_gusts")):
        runs = []
        for seed in (4, 4, 5):
            env = make()
            shape = env.action_space.shape
            first, _ = env.reset(seed=seed)
            steps = [env.step(np.full(shape, 0.02))[0] for _ in range(5)]
            again, _ = env.reset()
            runs.append(np.array([first, *steps, again]))
        np.testing.assert_array_equal(runs[0], runs[1])
        assert np.any(runs[0] != runs[2])
        assert np.any(runs[0][0] != runs[0][-1])


def test_the_seed_of_a_reset_is_that_of_the_world():
    env = one("hover_gusts")
    _, info = env.reset(seed=7)
    assert info["seed"] == 7
    seeds = {env.reset()[1]["seed"] for _ in range(5)}
    assert len(seeds) == 5


BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("value", BAD)
def test_an_action_that_is_no_number_names_the_environment(value):
    env = one()
    env.reset(seed=0)
    action = np.array([0.0, value, 0.0, 0.0])
    with pytest.raises(ValueError, match=rf"{NAME} in hover_calm: action .*{value}"):
        env.step(action)
    vector = many(5)
    vector.reset(seed=0)
    actions = np.zeros((5, 4))
    actions[3] = action
    before = vector.unwrapped._world.state.pos_world.copy()
    with pytest.raises(
        ValueError, match=rf"environment 3 of 5 {NAME} in hover_calm: action .*{value}"
    ):
        vector.step(actions)
    np.testing.assert_array_equal(vector.unwrapped._world.state.pos_world, before)


@pytest.mark.parametrize(
    "action",
    [np.zeros(3), np.zeros(5), np.zeros((1, 4)), 0.0, [], None, "abc", [[0.0], [0.0, 1.0]]],
)
def test_an_action_of_another_shape_names_the_environment(action):
    env = one().unwrapped
    env.reset(seed=0)
    with pytest.raises(
        ValueError, match=rf"^{NAME} in hover_calm: action .*expected .*shape \(4,\)"
    ):
        env.step(action)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.flight_log()
    env.step(np.zeros(4))
    assert len(env.flight_log().time) == 1


@pytest.mark.parametrize(
    "actions", [np.zeros(4), np.zeros((4, 3)), np.zeros((1, 4)), np.zeros((4, 1)), 0.0, None, "abc"]
)
def test_actions_of_another_shape_name_the_environments(actions):
    vector = many(4)
    vector.reset(seed=0)
    with pytest.raises(
        ValueError, match=rf"^4 {NAME} in hover_calm: action .*expected .*shape \(4, 4\)"
    ):
        vector.step(actions)
    assert not vector.unwrapped._world.tick.any()


@pytest.mark.parametrize("make", [one, lambda **options: many(2, **options)])
def test_an_environment_that_sees_nothing_is_refused(make):
    with pytest.raises(ValueError, match=r"slots: expected some of .*'pos_error'.* got none"):
        make(slots=())


@pytest.mark.parametrize("make", [QuadHoverEnv, QuadHoverVectorEnv])
def test_another_kind_of_vehicle_is_refused_by_name(make):
    class Boat(VehicleConfig):
        kind: str = "boat"

    with pytest.raises(ConfigError, match=rf"{NAME} in hover_calm: .*'tug' of kind 'boat'"):
        make(world="hover_calm", vehicle=Boat(name="tug"))


def test_a_slot_that_is_one_number_is_that_of_every_vehicle():
    row = register_slot(Slot("bias", 2, "1", "body"), lambda situation: (1.0, 2.0))
    try:
        for size in (1, 3):
            for slots in (["bias", "up"], ["up", "bias"]):
                observation, _ = many(size, slots=slots).reset(seed=0)
                assert observation.shape == (size, 5)
                start = 3 * slots.index("bias")
                np.testing.assert_array_equal(
                    observation[:, start : start + 2], np.tile([1.0, 2.0], (size, 1))
                )
        observation, _ = one(slots=["bias", "up"]).reset(seed=0)
        np.testing.assert_array_equal(observation[:2], [1.0, 2.0])
    finally:
        forget_slot(row)


def test_crashes_end_episodes_which_start_anew_in_the_same_step():
    env = many(3)
    env.reset(seed=0)
    falling = np.tile([-1.0, 0, 0, 0], (3, 1))
    falling[1] = 0.0
    for _ in range(300):
        observation, reward, terminated, truncated, info = env.step(falling)
        if terminated[0]:
            break
    assert not terminated[1]
    assert not truncated.any()
    assert reward[0] == 0.0
    assert info["crash_reason"][0] == "touched the ground in flight"
    np.testing.assert_array_equal(info["_final_obs"], terminated)
    # the last of the old episode, one metre under the setpoint, and the first of the new one
    height = env.unwrapped.observation_layout["pos_error"].start + 2
    assert info["final_obs"][0, height] > 0.7
    assert abs(observation[0, height]) < 0.2
    assert info["length"][0] > 10
    np.testing.assert_allclose(observation[0, -4:], RATES_THRUST.neutral)
    assert env.unwrapped._world.tick.tolist()[0] == 0

    single = one()
    single.reset(seed=0)
    for _ in range(300):
        _, reward, terminated, _, info = single.step(np.array([-1.0, 0, 0, 0]))
        if terminated:
            break
    assert reward == 0.0
    assert "ground" in info["crash_reason"]
    with pytest.raises(gymnasium.error.ResetNeeded):
        single.unwrapped.step(np.zeros(4))


def test_the_world_says_how_long_an_episode_is():
    world = short(duration=0.2)
    env = one(world)
    env.reset(seed=0)
    ends = [env.step(np.zeros(4))[3] for _ in range(20)]
    assert ends == [False] * 19 + [True]
    vector = many(2, world)
    vector.reset(seed=0)
    ends = [vector.step(np.zeros((2, 4)))[3].tolist() for _ in range(21)]
    assert ends == [[False] * 2] * 19 + [[True] * 2, [False] * 2]


def test_the_true_state_is_behind_the_observation():
    """Without noise the slots are the state's, in the body frame."""
    world = short(imu=load_world("hover_calm").imu, odometry=ideal_odometry())
    env = many(4, world)
    observation, _ = env.reset(seed=0)
    for _ in range(10):
        observation, *_ = env.step(np.full((4, 4), 0.05))
    state, part = env.unwrapped._world.state, env.unwrapped.observation_layout
    wanted = env.unwrapped._world.reference().pos - state.pos_world
    np.testing.assert_allclose(
        observation[:, part["pos_error"]].T,
        rotate_inverse(state.quat_world_body, wanted),
        atol=1e-6,
    )


def ideal_odometry():
    from liquid_control.config import load_yaml, share_dir
    from liquid_control.sim.sensors.odometry import OdometryConfig

    return load_yaml(share_dir() / "sim_worlds/sensors/odometry_ideal.yaml", OdometryConfig)


def test_a_world_that_only_one_vehicle_can_fly_is_refused_to_many():
    with pytest.raises(ConfigError, match=re.escape("motor_fault: ") + ".*faults"):
        many(2, "motor_fault")
    env = one("motor_fault")
    env.reset(seed=0)
    env.step(np.zeros(4))
    sync = gymnasium.make_vec(NAME, num_envs=2, world="motor_fault", vectorization_mode="sync")
    observation, _ = sync.reset(seed=0)
    assert observation.shape[0] == 2
    sync.close()


def test_a_picture_shows_vehicle_and_setpoint():
    env = one(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (360, 480, 3)
    assert picture.dtype == np.uint8

    def area(color):
        near = np.abs(picture.astype(int) - np.array(color)).max(axis=2)
        return int((near < 60).sum())

    sky = (picture == (178, 204, 230)).all(axis=2)
    assert 0.1 < sky.mean() < 0.6
    assert area((200, 60, 20)) > 50  # rotors in front
    assert area((20, 70, 180)) > 50  # and behind
    assert area((25, 150, 40)) > 5  # setpoint
    env.close()
    env.close()
    vector = many(2, render_mode="rgb_array")
    vector.reset(seed=0)
    pictures = vector.render()
    assert len(pictures) == 2
    assert pictures[0].shape == (360, 480, 3)
    vector.close()
    for make in (QuadHoverEnv, QuadHoverVectorEnv):
        with pytest.raises(ValueError, match=r"render_mode.*'ansi'"):
            make(render_mode="ansi")
