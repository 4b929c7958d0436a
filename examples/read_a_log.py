"""Read the log of a flight and plot it: error, command, who flew, and what the neurons did.

When: you have a recording (.mcap), a saved log (.npz) or a flight of a program, and questions.
Run: python examples/read_a_log.py [flight.mcap] [plot.png] (without a file it flies one)
"""

import sys

import matplotlib

import liquid_control as lc

matplotlib.use("agg")
import matplotlib.pyplot as plt  # after the choice of where to draw


def plot(log, path):
    """Four figures above each other, a row of the log for each control step."""
    figure, axes = plt.subplots(4, 1, figsize=(9, 9), sharex=True, layout="constrained")
    error = log.setpoint_pos_world - log.motion.pos_world  # (N, 3) m; motion: truth or estimate
    axes[0].plot(log.time, 100 * error, label=["east", "north", "up"])
    axes[0].set(ylabel="position error, cm", title=f"{log.policy} in {log.world}")
    rates = log.command[:, log.kind.layout["ang_vel"]]  # (N, 3) rad/s, as sent
    axes[1].plot(log.time, rates, label=["roll", "pitch", "yaw"])
    axes[1].set(ylabel="commanded rates, rad/s")
    axes[2].plot(log.time, log.neurons, linewidth=0.7)  # names: log.neuron_names
    axes[2].set(ylabel=f"{log.neurons.shape[1]} neurons")
    axes[3].step(log.time, log.mode)  # policy, backup, halt or silent
    axes[3].set(ylabel="who flies", xlabel="time, s")
    for axis in axes[:2]:
        axis.legend(loc="upper right", ncols=3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def read(path):
    """The log of a recording or a saved one, or that of a flight of six seconds."""
    if path is None:
        log = lc.fly("hover_gusts", "hover_liquid", seed=1, duration=6.0).log
        return log  # log.save("flight.npz") keeps it
    return lc.FlightLog.load(path) if str(path).endswith(".npz") else lc.read_flight(path)


def main(path=None, picture="flight.png"):
    """Plot a flight; returns its metrics."""
    log = read(path)
    plot(log, picture)
    return lc.flight_metrics(log, after=2.0)  # seconds of transient that don't count


if __name__ == "__main__":
    metrics = main(*sys.argv[1:])
    print(f"{metrics.duration_s:.1f} s of {metrics.policy}: RMSE {100 * metrics.rmse_m:.2f} cm")
