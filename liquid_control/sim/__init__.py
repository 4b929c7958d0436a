"""The wind world: physics, sensors, worlds, and what stands on them."""


def register_envs() -> None:
    """Make ``LiquidControl/QuadHover-v0`` known to Gymnasium (its plug-in entry point).

    Imports nothing of the simulation, since Gymnasium calls it whenever it is imported.
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
