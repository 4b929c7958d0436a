"""How long a policy's step takes: the policy alone, on inputs like those in flight."""

from __future__ import annotations

import time

import numpy as np

from liquid_control.control.controller import Controller
from liquid_control.structs import GRAVITY

_WARM_UP = 500
# Standard deviations of the slots in gusts, else 1; a network's speed hardly depends on them.
_SPREAD = {
    "pos_error": 0.05,
    "vel_error": 0.2,
    "acc_setpoint": 1.0,
    "up": 0.1,
    "heading": 0.1,
    "ang_vel": 0.5,
    "specific_force": 0.5,
    "previous_thrust": 0.5,
    "previous_ang_vel": 0.5,
}
_MEAN = {"specific_force": (0, 0, GRAVITY), "previous_thrust": (GRAVITY,), "up": (0, 0, 1)}


def measure_step_latency(
    policy: Controller, steps: int = 20_000, *, dt: float = 0.01, seed: int = 0
) -> dict[str, float]:
    """Percentiles of `policy.step` in µs over ``steps`` calls after a warm-up.

    The clock's own cost is inside, as it is in flight. Returns ``steps, step_us_mean,
    step_us_p50, step_us_p99, step_us_p999, step_us_max``.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1")
    inputs = _observations(policy, np.random.default_rng(seed))
    policy.reset()
    elapsed = np.empty(steps)
    for k in range(-_WARM_UP, steps):
        observation = inputs[k % len(inputs)]
        start = time.perf_counter_ns()
        policy.step(observation, dt)
        stop = time.perf_counter_ns()
        if k >= 0:
            elapsed[k] = stop - start
    policy.reset()
    elapsed *= 1e-3
    p50, p99, p999 = np.percentile(elapsed, [50, 99, 99.9])
    return {
        "steps": steps,
        "step_us_mean": float(elapsed.mean()),
        "step_us_p50": float(p50),
        "step_us_p99": float(p99),
        "step_us_p999": float(p999),
        "step_us_max": float(elapsed.max()),
    }


def _observations(policy: Controller, rng: np.random.Generator) -> np.ndarray:
    """A thousand observations ``(1000, n)`` of the policy's own slots."""
    layout = policy.observation_layout
    inputs = rng.normal(size=(1000, layout.size))
    for slot in layout.slots:
        inputs[:, layout[slot.name]] *= _SPREAD.get(slot.name, 1.0)
        inputs[:, layout[slot.name]] += _MEAN.get(slot.name, 0.0)
    return inputs
