"""What a loop says of itself, without ROS."""

import math

import pytest
from readings import sensor_frame

from liquid_control.control.rate import Tick
from liquid_control.control.statistics import LoopStatistics
from liquid_control.control.steps import LoopStep
from liquid_control.control.supervisor import Mode
from liquid_control.structs import RATES_THRUST, Reading, SensorFrame

HOVER = RATES_THRUST.command(*RATES_THRUST.neutral)


def step(mode=Mode.POLICY, command=HOVER, reason="", faults=(), clocks=(), policy_time=20e-6):
    return LoopStep(command, mode, reason, faults, clocks, None, policy_time)


ON_TIME = Tick(0.01, 0.0, 0)


def record(statistics, *, tick=ON_TIME, **what):
    return statistics.record(5, sensor_frame(), step(**what), tick, 50e-6)


def test_switches_and_counts():
    statistics = LoopStatistics()
    assert "mode" not in statistics.values()
    assert record(statistics)
    assert not record(statistics, tick=Tick(0.03, 2e-3, 2))
    assert record(statistics, mode=Mode.SILENT, command=None, reason="IMU gone")
    values = statistics.values()
    assert (values["steps"], values["late_ticks"], values["silent_steps"]) == (3, 1, 1)
    assert (values["mode"], values["reason"]) == ("silent", "IMU gone")
    assert statistics.stamp == 5


def test_percentiles_are_of_what_ran():
    statistics = LoopStatistics()
    for k in range(100):
        record(statistics, policy_time=math.nan if k % 2 else k * 1e-6)
    values = statistics.values()
    assert float(values["policy_us_p50"]) == pytest.approx(49.0)
    assert float(values["step_us_p99"]) == pytest.approx(50.0)


def test_refusals_are_counted_by_kind_and_the_last_is_whole():
    statistics = LoopStatistics()
    record(statistics, faults=("imu: not finite", "imu: body rate of 2e+03 rad/s, limit 1000"))
    statistics.refuse("setpoint/pose: frame 'map', expected 'odom'")
    record(statistics, clocks=("imu: clock moved by +1.000 s",))
    values = statistics.values()
    assert values["refused imu"] == 2
    assert values["refused setpoint/pose"] == 1
    assert values["last refused"] == "setpoint/pose: frame 'map', expected 'odom'"
    assert values["new clocks"] == 1


def test_ages_are_of_every_sensor_there_is():
    statistics = LoopStatistics()
    frame = SensorFrame(others={"lidar": Reading(None, 0.25)})
    statistics.record(0, frame, step(), Tick(0.01, 0.0, 0), 1e-5)
    values = statistics.values()
    assert values["lidar_age_ms"] == "250.0"
    assert "imu_age_ms" not in values
