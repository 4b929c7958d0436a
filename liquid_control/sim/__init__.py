"""The wind world: physics, sensors, worlds, and what stands on them."""

NAME = "LiquidControl/QuadHover-v0"  # of the Gymnasium environments


def register_envs() -> None:
    """Make `NAME` known to Gymnasium; `sim.gym_env` calls it on import.

    Imports nothing of the simulation.
    """
    from gymnasium.envs.registration import register, registry

    if NAME not in registry:
        module = "liquid_control.sim.gym_env"
        register(
            id=NAME,
            entry_point=f"{module}:QuadHoverEnv",
            vector_entry_point=f"{module}:QuadHoverVectorEnv",
            max_episode_steps=None,  # the environments truncate by the world's duration
        )
