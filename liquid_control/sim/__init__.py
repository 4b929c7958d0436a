"""The wind world: physics, sensors, worlds, and what stands on them."""

NAME = "LiquidControl/QuadHover-v0"  # of the Gymnasium environments by odometry
CAMERA_NAME = "LiquidControl/Camera-v0"  # in any world with a camera, which ``world`` names
CAMERA_TASKS = {"LiquidControl/LaneKeeping-v0": "lane_keeping"}  # and those with a world


def register_envs() -> None:
    """Make these names known to Gymnasium; `sim.gym_env` calls it on import.

    Imports nothing of the simulation.
    """
    from gymnasium.envs.registration import register, registry

    if NAME in registry:
        return
    module = "liquid_control.sim.gym_env"
    ends = {"max_episode_steps": None}  # the environments truncate by the world's duration
    hover = {"vector_entry_point": f"{module}:QuadHoverVectorEnv"}
    register(id=NAME, entry_point=f"{module}:QuadHoverEnv", **hover, **ends)
    register(id=CAMERA_NAME, entry_point=f"{module}:CameraEnv", **ends)
    for name, world in CAMERA_TASKS.items():
        register(id=name, entry_point=f"{module}:CameraEnv", kwargs={"world": world}, **ends)
