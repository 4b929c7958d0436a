"""The worlds for anybody's reinforcement learning, as Gymnasium environments.

    import liquid_control.sim.gym_env
    gymnasium.make("LiquidControl/QuadHover-v0", world="hover_gusts")
    gymnasium.make_vec("LiquidControl/QuadHover-v0", num_envs=256, world="hover_gusts")
    gymnasium.make("LiquidControl/LaneKeeping-v0")
    gymnasium.make("LiquidControl/Camera-v0", world="lane_training")

The first flies one vehicle in the world as everything else does: PyBullet, its sensors, wind, task
and faults, and the `ControlLoop` with its gate, limits and backup. Use it to judge, and for worlds
that the second can't do. The second steps all of its vehicles in one call of the batched dynamics
(`sim.batch_world`). Use it to learn. Both have the same observation slots, action and reward, see
`sim.learning`; an observation's slots are in ``env.unwrapped.observation_layout``.

The others steer by camera (`sim.camera_env`), one vehicle each, in any world that has one.

An episode ends (terminated) with a crash, by the limits of the world's arena, and is cut off
(truncated) after the world's duration.
"""

from liquid_control.sim import register_envs
from liquid_control.sim.camera_env import CameraEnv
from liquid_control.sim.single_env import QuadHoverEnv
from liquid_control.sim.vector_env import QuadHoverVectorEnv

__all__ = ["CameraEnv", "QuadHoverEnv", "QuadHoverVectorEnv"]

register_envs()
