"""The wind world: physics, sensors, worlds, and what stands on them."""


def register_envs() -> None:
    """Make ``LiquidControl/QuadHover-v0`` known to Gymnasium; `sim.gym_env` calls it on import.

    Imports nothing of the simulation.
    """
    from gymnasium.envs.registration import register, registry

    name = "LiquidControl/QuadHover-v0"
    if name not in registry:
        module = "liquid_control.sim.gym_env"
        register(
            id=name,
            entry_point=f"{module}:QuadHoverEnv",
            vector_entry_point=f"{module}:QuadHoverVectorEnv",
            max_episode_steps=None,  # the environment truncates by itself, as the vector one must
        )
