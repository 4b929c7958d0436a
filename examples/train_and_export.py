"""Train a liquid policy from Python, get its checked policy.onnx, and fly that in a World.

When: you want a policy of your own from a program (a sweep, a notebook) and not from a YAML file.
Run: python examples/train_and_export.py [folder] (ten seconds; the shipped ones took minutes)
"""

import sys
from pathlib import Path

import numpy as np

import liquid_control as lc

# A shipped training file and what to change of it: here an expert is imitated in flight (DAgger).
CHANGES = {
    "network": {
        "kind": "cfc",
        "mode": "closed",
        "nominal_dt": 0.01,  # s
        "polarity": "initial",
        "wiring": {"kind": "auto_ncp", "units": 32, "sparsity": 0.5, "seed": 3},
    },
    "expert": "geometric",
    "worlds": ["hover_calm"],
    "dagger.rounds": 4,
    "dagger.flights": 3,
    "dagger.duration": 4.0,  # s
    "dagger.updates": 120,
    "dagger.sequences": 16,
    "dagger.learning_rate": 0.02,
}


def train(out):
    """Returns the path of policy.onnx; a run that was interrupted goes on where it was."""
    return lc.train("hover_imitation", out, changes=CHANGES, device="cpu")


def fly(path, seconds=6.0):
    """Fly a policy file; returns the RMS position error of the second half in m."""
    scenario = lc.load_world("hover_calm")
    vehicle = lc.load_vehicle(scenario.vehicle)
    policy = lc.load_policy(path)  # digest, schema and golden pairs are checked
    print(f"{policy.metadata.network}: {policy.metadata.weights} weights")
    loop = lc.make_loop(policy, vehicle, lc.make_parameters(vehicle))
    errors = []
    with lc.World(scenario, vehicle, seed=0) as world:
        frame = world.reset()
        for _ in range(round(seconds * world.control_rate)):
            step = loop.step(frame, world.setpoint(), 1 / world.control_rate)
            frame = world.step(step.command)
            errors.append(np.linalg.norm(world.setpoint().pos_world - world.state.pos_world))
    return float(np.sqrt(np.mean(np.square(errors[len(errors) // 2 :]))))


if __name__ == "__main__":
    path = train(Path(sys.argv[1] if len(sys.argv) > 1 else "out/example"))
    print(f"{path}: position error {100 * fly(path):.2f} cm (RMS of the last 3 s)")
