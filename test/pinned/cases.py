"""Fixed cases of everything that flies and learns, and the arrays that come of them.

Each case is a function without arguments that gives named arrays. `test_pinned` compares them with
`pinned.json`. A change of the code that is not meant to change a flight leaves all of them alone.
"""

from __future__ import annotations

import numpy as np

from liquid_control.config import share_dir
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import WorldConfig, read_world

DURATION = 4.0  # s
OBSTACLE = {
    **{"shape": "box", "pos": [2.0, 0.3, 1.0], "size": [0.4, 0.6, 2.0]},
    **{"yaw_deg": 20.0, "color": [0.8, 0.2, 0.1]},
}
EARLY_FAULTS = [
    {"kind": "sensor_dropout", "sensor": "odometry", "at": 0.5, "until": 0.58},
    {"kind": "sensor_delay", "sensor": "odometry", "seconds": 0.03, "at": 0.8, "until": 1.4},
    {"kind": "sensor_nan", "sensor": "imu", "at": 1.6, "until": 1.62},
    {"kind": "sensor_freeze", "sensor": "odometry", "at": 1.9, "until": 1.95},
    {
        **{"kind": "sensor_bias", "sensor": "imu", "quantity": "ang_vel_body"},
        **{"offset": [0.05, -0.05, 0.02], "at": 2.2, "until": None},
    },
    {"kind": "sensor_dropout", "sensor": "odometry", "at": 2.6, "until": 2.9},
    {"kind": "sensor_dropout", "sensor": "imu", "at": 3.2, "until": 3.3},
    {"kind": "motor", "rotor": 1, "efficiency": 0.85, "at": 1.0, "until": None},
    {"kind": "mass", "factor": 1.1, "at": 2.0, "until": None},
    {"kind": "gust", "velocity": [3.0, 0.0, 0.5], "at": 1.0, "until": 1.3},
]
WORLDS = {  # name: world file, changes
    "gusts": ("hover_gusts", {}),
    "demo": ("demo", {}),
    "faults": ("sensor_faults", {"faults": EARLY_FAULTS, "battery_charge": 0.6}),
    "camera": ("hover_dryden_severe", {"camera": "camera_64x48", "obstacles": [OBSTACLE]}),
    "tilted": ("tilt_recovery", {"payload": {"mass": 0.004, "below": 0.03}}),
}
POLICIES = {"liquid": "hover_liquid", "19_neurons": "hover_19", "geometric": "geometric"}
SEEDS = (1, 2)


def _scenario(world: str) -> WorldConfig:
    return read_world(*WORLDS[world])


def flight(world: str, policy: str, seed: int) -> dict[str, np.ndarray]:
    """One flight without ROS."""
    flown, images = prepare(_scenario(world), POLICIES[policy]), []

    def look(world, step):
        if world.image is not None:
            images.append(world.image.rgb.sum(dtype=np.int64))

    with flown.world(seed) as place:
        log = flown.fly(place, duration=DURATION, on_step=look)
    return {**_columns(log), "images": np.array(images, dtype=float)}


def _columns(log) -> dict[str, np.ndarray]:
    modes = ("policy", "backup", "halt", "silent")
    return {
        "command": log.command,
        "pos": log.truth.pos_world,
        "quat": log.truth.quat_world_body,
        "rotor_speed": log.actuators,
        "wind": log.wind_world,
        "mode": np.array([modes.index(mode) for mode in log.mode], dtype=float),
        "neurons": log.neurons,
    }


def lockstep_flight() -> dict[str, np.ndarray]:
    """One flight over ROS 2 topics, as recorded."""
    from liquid_control.session.ros import fly_ros

    log, _ = fly_ros("demo", "hover_liquid", seed=1, duration=2.0)
    return _columns(log)


def training() -> dict[str, np.ndarray]:
    """Twenty updates of the gradient trainer, step by step without a compiler."""
    import torch

    from liquid_control.training.config import load_training
    from liquid_control.training.gradient import GradientTrainer

    changes = {"optimiser.updates": 20, "optimiser.environments": 24, "optimiser.window": 10}
    config = load_training(share_dir() / "config/training/hover_liquid.yaml", changes)
    trainer = _one_thread(lambda: GradientTrainer(config, compiled=False))
    _one_thread(lambda: [trainer.step() for _ in range(20)])
    weights = torch.cat([p.detach().reshape(-1) for p in trainer.policy.parameters()])
    return {"weights": weights.double().numpy()}


def imitation() -> dict[str, np.ndarray]:
    """Two rounds of imitation."""
    import torch

    from liquid_control.training.config import load_training
    from liquid_control.training.imitation import ImitationTrainer

    changes = {
        **{"dagger.rounds": 2, "dagger.flights": 1, "dagger.duration": 2.0, "dagger.updates": 3},
        **{"dagger.sequences": 8, "dagger.length": 16},
    }
    config = load_training(share_dir() / "config/training/hover_imitation.yaml", changes)
    trainer = _one_thread(lambda: ImitationTrainer(config))
    _one_thread(lambda: [trainer.step() for _ in range(6)])
    weights = torch.cat([p.detach().reshape(-1) for p in trainer.policy.parameters()])
    flights = torch.cat([part.reshape(-1) for part in trainer.flights])
    return {"weights": weights.double().numpy(), "flights": flights.double().numpy()}


def _one_thread(work):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return work()
    finally:
        torch.set_num_threads(threads)


def suite(folder) -> dict[str, np.ndarray]:
    """The rows of a small suite."""
    from liquid_control.evaluation.suite.config import load_suite
    from liquid_control.evaluation.suite.flights import run_suite

    chosen = load_suite(
        "storm",
        flights=2,
        only=["liquid", "searched"],
        conditions=["moderate", "payload", "rate_jittered", "hummingbird"],
    )
    rows = run_suite(chosen, folder)
    numbers = ("rmse_m", "max_error_m", "thrust_rms_mps2", "rate_variation_radps2", "late_ticks")
    table = [[np.nan if row[key] is None else row[key] for key in numbers] for row in rows]
    errors = [error for row in rows for error in row["error_mm"]]
    return {"rows": np.array(table, dtype=float), "error_mm": np.array(errors, dtype=float)}


def gym_episode() -> dict[str, np.ndarray]:
    """Gymnasium environments with actions drawn ahead: a batch, and one vehicle in PyBullet."""
    from liquid_control.sim.gym_env import QuadHoverEnv, QuadHoverVectorEnv

    actions = np.random.default_rng(3).uniform(-0.1, 0.1, (120, 6, 4))
    batch, one = QuadHoverVectorEnv(6, "hover_gusts"), QuadHoverEnv("hover_gusts")
    observations, rewards = [batch.reset(seed=5)[0]], []
    alone, own_rewards = [one.reset(seed=5)[0]], []
    for row in actions:
        observation, reward, *_ = batch.step(row)
        observations.append(observation)
        rewards.append(reward)
        observation, reward, *_ = one.step(row[0])
        alone.append(observation)
        own_rewards.append(reward)
    one.close()
    return {
        "observations": np.array(observations, dtype=float),
        "rewards": np.array(rewards),
        "one_observations": np.array(alone, dtype=float),
        "one_rewards": np.array(own_rewards),
    }
