"""The wind world: physics, sensors, worlds, and what stands on them."""

NAME = "LiquidControl/QuadHover-v0"  # of the Gymnasium environments by odometry
CAMERA_NAME = "LiquidControl/Camera-v0"  # in any world with a camera, which ``world`` names
CAMERA_TASKS = {  # those with a world, and with the kind of command where it is not the first
    "LiquidControl/LaneKeeping-v0": {"world": "lane_keeping"},
    "LiquidControl/TargetApproach-v0": {"world": "target_approach", "command": "velocity"},
    "LiquidControl/FollowTarget-v0": {"world": "follow_target", "command": "velocity"},
    "LiquidControl/GateCourse-v0": {"world": "gate_course", "command": "velocity"},
}


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
    for name, given in CAMERA_TASKS.items():
        register(id=name, entry_point=f"{module}:CameraEnv", kwargs=given, **ends)
