"""Read the log of a flight and plot it: error, command, who flew, and what the neurons did.

When: you have a recording (flight.mcap), or a flight of a program, and questions of your own.
Run: python examples/read_a_log.py [flight.mcap] [plot.png] (without a recording it flies one)
"""

import sys

import matplotlib

import liquid_control as lc

matplotlib.use("agg")
import matplotlib.pyplot as plt  # after the choice of where to draw


def plot(log, path):
    """Four figures above each other, a row of the log for each control step."""
    figure, axes = plt.subplots(4, 1, figsize=(9, 9), sharex=True, layout="constrained")
    error = log.setpoint_pos_world - log.pos_world  # (N, 3) m
    axes[0].plot(log.time, 100 * error, label=["east", "north", "up"])
    axes[0].set(ylabel="position error, cm", title=f"{log.policy} in {log.world}")
    axes[1].plot(log.time, log.command[:, 1:], label=["roll", "pitch", "yaw"])
    axes[1].set(ylabel="commanded rates, rad/s")
    axes[2].plot(log.time, log.neurons, linewidth=0.7)  # names: log.neuron_names
    axes[2].set(ylabel=f"{log.neurons.shape[1]} neurons")
    axes[3].step(log.time, log.mode)  # policy, backup, descend or silent
    axes[3].set(ylabel="who flies", xlabel="time, s")
    for axis in axes[:2]:
        axis.legend(loc="upper right", ncols=3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(recording=None, path="flight.png"):
    """Plot a recording, or a flight of six seconds; returns its metrics."""
    if recording is None:
        request = lc.FlightRequest("hover_gusts", "hover_liquid", seed=1, duration=6.0, ros=False)
        log = lc.fly(request).log
    else:
        log = lc.read_flight(recording)
    plot(log, path)
    return lc.flight_metrics(log, after=2.0)  # seconds of transient that don't count


if __name__ == "__main__":
    metrics = main(*sys.argv[1:])
    print(f"{metrics.duration_s:.1f} s of {metrics.policy}: RMSE {100 * metrics.rmse_m:.2f} cm")
