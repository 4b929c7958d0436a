"""Your own learner: PPO of stable-baselines3 learns to hover in wind, and what it learned flies.

    pip install stable-baselines3
    python examples/train_ppo.py --minutes 10 --out out/ppo.onnx
    liquid-control fly --no-ros --world hover_gusts --policy out/ppo.onnx
    liquid-control fly --world hover_gusts --policy out/ppo.onnx           # the same over ROS 2

It learns in a few hundred vehicles at once, with the wind, sensors and task of the world's YAML.
The file that it writes has observations and commands in SI units, like every policy's.
"""

from __future__ import annotations

import argparse
import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

import liquid_control.sim.gym_env  # noqa: F401  makes the environments known
from liquid_control.nn.export import export_module
from liquid_control.structs import RATES_THRUST

# The command is not told what it was: a policy that copies its last output drifts.
SLOTS = ("pos_error", "vel_error", "up", "heading", "ang_vel", "specific_force")


class Vehicles(VecEnv):
    """A Gymnasium vector environment as stable-baselines3 wants it."""

    def __init__(self, env: gymnasium.vector.VectorEnv):
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.env, self.errors = env, []  # RMSE of the newest episodes, m

    def reset(self):
        return self.env.reset(seed=0)[0]

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        observation, reward, terminated, truncated, info = self.env.step(self.actions)
        ended = terminated | truncated
        infos = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            infos[i] = {
                "terminal_observation": info["final_obs"][i],
                "TimeLimit.truncated": bool(truncated[i]),
            }
        self.errors += [info["rmse"][i] for i in np.flatnonzero(truncated)]
        return observation, reward.astype(np.float32), ended, infos

    def close(self):
        self.env.close()

    def get_attr(self, attr_name, indices=None):
        return [getattr(self.env, attr_name)] * self.num_envs

    def set_attr(self, attr_name, value, indices=None):
        setattr(self.env, attr_name, value)

    def env_method(self, method_name, *args, indices=None, **kwargs):
        return [getattr(self.env, method_name)(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs


class Actor(torch.nn.Module):
    """The mean of a trained policy from observation to command, both in SI units."""

    def __init__(self, model: PPO, scaling: VecNormalize, neutral, scale):
        super().__init__()
        self.body, self.head = model.policy.mlp_extractor.policy_net, model.policy.action_net
        spread = np.sqrt(scaling.obs_rms.var + scaling.epsilon)
        for name, value in (
            *(("mean", scaling.obs_rms.mean), ("spread", spread)),
            *(("neutral", neutral), ("scale", scale)),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))

    def forward(self, observation):
        usual = ((observation - self.mean) / self.spread).clamp(-10.0, 10.0)
        action = self.head(self.body(usual)).clamp(-1.0, 1.0)
        return self.neutral + self.scale * action


class Clock(BaseCallback):
    """Ends the training when the time is up; says how it goes, and slows the steps down."""

    def __init__(self, minutes: float, vehicles: Vehicles):
        super().__init__()
        self.seconds, self.vehicles, self.start = 60 * minutes, vehicles, time.monotonic()

    def _on_step(self) -> bool:
        return time.monotonic() - self.start < self.seconds

    def _on_rollout_end(self) -> None:
        share = (time.monotonic() - self.start) / self.seconds
        self.model.lr_schedule = lambda _: 1e-3 * max(1.0 - share, 0.03)
        recent = self.vehicles.errors[-200:]
        error = f"{100 * np.nanmean(recent):.1f} cm" if recent else "-"
        print(f"{100 * share:3.0f} %  {self.num_timesteps} steps  error with noise {error}")


def train(world: str, minutes: float, num_envs: int, seed: int) -> Actor:
    """Learn for so many minutes."""
    env = gymnasium.make_vec(
        "LiquidControl/QuadHover-v0", num_envs=num_envs, world=world, slots=SLOTS
    )
    vehicles = Vehicles(env)
    scaling = VecNormalize(vehicles, gamma=0.98)
    model = PPO(
        "MlpPolicy",
        scaling,
        n_steps=32,
        batch_size=2048,
        n_epochs=8,
        gamma=0.98,
        gae_lambda=0.95,
        policy_kwargs={"net_arch": [64, 64], "log_std_init": -1.5},
        seed=seed,
        device="cpu",
    )
    model.learn(10**12, callback=Clock(minutes, vehicles))
    actions = env.unwrapped.action_map
    return Actor(model, scaling, actions.neutral, actions.scale)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--world", default="hover_gusts", help="a world that a batch can fly")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--vehicles", type=int, default=512, help="at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="ppo.onnx", help="policy file to write")
    options = parser.parse_args(argv)
    actor = train(options.world, options.minutes, options.vehicles, options.seed)
    env = gymnasium.make("LiquidControl/QuadHover-v0", world=options.world, slots=SLOTS)
    export_module(
        actor,
        options.out,
        observation=env.unwrapped.observation_layout,
        command=RATES_THRUST,
        control_period=env.unwrapped.control_period,
        vehicle=env.unwrapped.vehicle.name,
        training={"method": "PPO", "world": options.world, "minutes": options.minutes},
        observation_offset=actor.mean.numpy(),
        observation_scale=actor.spread.numpy(),
    )
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
