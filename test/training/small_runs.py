"""A training that is done in seconds, and its file."""

from liquid_control.config import share_dir
from liquid_control.training.config import GradientConfig, load_training

CONFIG = share_dir() / "config" / "training" / "hover_liquid.yaml"


def small(**optimiser) -> GradientConfig:
    config = load_training(CONFIG)
    settings = {"updates": 6, "environments": 16, "window": 8, "warmup": 1, **optimiser}
    return config.model_copy(
        update={
            "optimiser": config.optimiser.model_copy(update=settings),
            "network": {**config.network, "wiring": {**config.network["wiring"], "units": 16}},
            "start": config.start.model_copy(update={"max_tilt": 0.3}),
        }
    )


def write(config, path):
    import yaml

    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    return path
