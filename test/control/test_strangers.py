"""Somebody's own policy, slot, backup or envelope ends no flight."""

import dataclasses

import numpy as np
import pytest
from loops import DT, HERE, ScriptedPolicy, assert_within_limits, frame, make
from readings import sensor_frame

from liquid_control.config import ConfigError
from liquid_control.control.loop import ControlLoop
from liquid_control.control.observation import forget_slot, register_slot
from liquid_control.control.supervisor import Mode
from liquid_control.structs import (
    GRAVITY,
    CommandKind,
    Layout,
    OwnSample,
    Reading,
    Setpoint,
    Slot,
)
from liquid_control.vehicles.quadrotor.kind import QUADROTOR
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters
from liquid_control.vehicles.quadrotor.rules import observer


@pytest.mark.parametrize(
    "answer",
    [
        np.full((4, 1), 1.0),
        np.array(["1", "2", "x", "4"]),
        np.array([None] * 4),
        np.array([1j] * 4),
        np.array(9.8),
        np.ma.masked_array([9.8, 0, 0, 0], mask=[0, 1, 0, 0]),
        [9.8, 0, 0],
        "9.8",
        None,
        SystemExit(3),
        KeyError("x"),
    ],
    ids=str,
)
def test_whatever_a_policy_answers_the_backup_flies_on(answer):
    class Odd(ScriptedPolicy):
        def step(self, observation, dt):
            if isinstance(answer, BaseException):
                raise answer
            return answer

    step = make(Odd()).step(frame(0), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert "policy" in step.reason
    assert_within_limits(make(), step.command)


def test_lists_of_numbers_are_commands():
    class Plain(ScriptedPolicy):
        def step(self, observation, dt):
            return [GRAVITY, np.float32(0), 0, True]

    step = make(Plain()).step(frame(0), HERE, DT)
    assert step.mode is Mode.POLICY
    assert step.command.values == (GRAVITY, 0.0, 0.0, 1.0)


def test_a_policy_that_can_not_be_reset_flies_once_it_can():
    class Stuck(ScriptedPolicy):
        broken = True

        def reset(self):
            super().reset()
            if self.broken:
                raise RuntimeError("reset boom")

    policy = Stuck()
    loop = make(policy, envelope={"recovery_time": 0.02})
    step = loop.step(frame(0), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert step.reason == "policy failed to reset: reset boom"
    policy.broken = False
    assert [loop.step(frame(k), HERE, DT).mode for k in range(1, 6)][-1] is Mode.POLICY


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("boom"), None, (1.0,), "abcd", np.array([[9.8, 0, 0, 0]]), (np.nan,) * 4],
)
def test_whatever_a_backup_does_is_silence_with_a_reason(answer):
    class Odd:
        def reset(self):
            raise RuntimeError("no reset")

        def step(self, situation, dt):
            if isinstance(answer, Exception):
                raise answer
            return answer

        halt = step

    loop = make(ScriptedPolicy((np.nan, 0, 0, 0)))
    loop.set_parameters(loop.parameters, dataclasses.replace(loop.rules, backup=Odd()))
    for k, sensors in enumerate((frame(0), sensor_frame(frame(1).imu.sample))):
        step = loop.step(sensors, HERE, DT if k == 0 else 0.2)
        assert step.command is None
        assert step.mode is Mode.SILENT
    assert "backup" in loop.step(frame(2), HERE, DT).reason


def test_an_envelope_that_fails_is_one_that_was_left():
    loop = make()
    broken = dataclasses.replace(loop.rules, left_envelope=lambda estimate: 1 / 0)
    loop.set_parameters(loop.parameters, broken)
    step = loop.step(frame(0), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert "the envelope can't be told: ZeroDivisionError" in step.reason


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("nor this")


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (lambda estimate: np.zeros(2), "TypeError: expected words, got array"),
        (lambda estimate: True, "TypeError: expected words, got True"),
        (lambda estimate: exit(3), "SystemExit: 3"),
    ],
)
def test_an_envelope_that_says_no_words_was_left(left, reason):
    loop = make()
    loop.set_parameters(loop.parameters, dataclasses.replace(loop.rules, left_envelope=left))
    step = loop.step(frame(0), HERE, DT)
    assert (step.mode, reason in step.reason) == (Mode.BACKUP, True)


def test_an_error_that_can_not_be_told_is_a_fault_too():
    step = make(ScriptedPolicy(Unspeakable())).step(frame(0), HERE, DT)
    assert (step.mode, step.reason) == (Mode.BACKUP, "policy failed: Unspeakable")


@pytest.mark.parametrize(
    "answer", [{9.8, 0.0, 1.0, 2.0}, {9.8: 1, 0: 1, 1: 1, 2: 1}, "9800", b"abcd"]
)
def test_numbers_without_an_order_or_in_text_are_no_command(answer):
    policy = ScriptedPolicy()
    policy.step = lambda observation, dt: answer
    step = make(policy).step(frame(0), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert f"policy commands a {type(answer).__name__}, expected an array" in step.reason


def test_long_doubles_become_plain_floats():
    policy = ScriptedPolicy()
    policy.step = lambda observation, dt: np.array([GRAVITY, 0, 0, 0], np.longdouble)
    step = make(policy).step(frame(0), HERE, DT)
    assert {type(value) for value in step.command.values} == {float}


def test_a_sample_that_is_used_again_with_a_new_stamp_is_a_new_one():
    loop, used = make(), frame(0)
    for k in range(30):
        for reading in (used.imu, used.odometry):
            reading.sample.stamp = round(k * 10_000_000)
        step = loop.step(used, HERE, DT)
    assert step.mode is Mode.POLICY


def test_a_setpoint_that_its_sender_changes_is_checked_again():
    policy = ScriptedPolicy()
    loop, setpoint = make(policy), Setpoint(np.array([1.0, 0.0, 1.0]))
    loop.step(frame(0), setpoint, DT)
    setpoint.pos_world[:] = np.nan
    for sent in (setpoint, None):
        step = loop.step(frame(1), sent, DT)
        assert step.mode is Mode.POLICY
        assert policy.seen[:3].tolist() == [1.0, 0.0, 0.0]
        assert step.faults == (("setpoint: not finite",) if sent else ())


@pytest.fixture
def own_slot():
    rows = []

    def make_slot(function, **options):
        rows.append(register_slot(Slot("own", 1, "m", "world"), function, **options))

    yield make_slot
    for row in rows:
        forget_slot(row)


class Seeing(ScriptedPolicy):
    @property
    def observation_layout(self):
        return observer(("own",)).layout


def test_a_slot_that_fails_in_flight_is_a_fault(own_slot):
    own_slot(lambda s: (1 / s.pos_world[2] if s.pos_world[2] else 0.0,))
    policy = Seeing()
    loop = make(policy)
    assert loop.step(frame(0), HERE, DT).mode is Mode.POLICY
    forget = loop.rules.observer._functions
    loop.rules.observer._functions = (*forget[:-3], lambda s: 1 / 0, *forget[-2:])
    step = loop.step(frame(1), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert "no observation: division by zero" in step.reason


def test_a_slot_gives_as_many_numbers_as_it_says(own_slot):
    own_slot(lambda s: s.pos_world)
    with pytest.raises(ConfigError, match="slot 'own' gives 3 numbers, expected 1"):
        make()


def test_a_slot_that_gives_more_in_flight_is_named(own_slot):
    own_slot(lambda s: (1.0,) * (2 if s.pos_world[2] else 1))
    step = make(Seeing()).step(frame(0), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert "observation slot 'own' gives 2 numbers, expected 1" in step.reason


def test_slots_of_the_last_command_keep_their_names():
    with pytest.raises(ValueError, match="slot 'previous_thrust'"):
        register_slot(Slot("previous_thrust", 1, "m/s^2", "body"), lambda s: (0.0,))


def test_a_policy_waits_for_the_sensor_that_its_slot_reads(own_slot):
    def see(situation):
        reading = situation.readings.get("ranger")
        return (reading.sample.metres if reading else 0.0,)

    own_slot(see, sensors=("ranger",))
    assert make().sensors == ("imu", "odometry")  # a policy that does not look
    policy = Seeing()
    loop = make(policy)
    assert loop.sensors == ("imu", "odometry", "ranger")
    assert "ranger" in loop.step(frame(0), HERE, DT).reason
    ranged = frame(1)
    sample = OwnSample(ranged.imu.sample.stamp, {"metres": 3.5})
    ranged.others = {"ranger": Reading(sample, 0.0), "unasked": Reading(sample, 0.0)}
    assert loop.step(ranged, HERE, DT).mode is Mode.POLICY
    assert policy.seen.tolist() == [3.5]


def test_a_slot_of_the_imu_brings_it_to_a_vehicle_that_can_do_without():
    class Feeling(ScriptedPolicy):
        observation_layout = observer(("specific_force",)).layout

    rules = dataclasses.replace(make().rules, needs={"odometry": 0.1}, watches={})
    for policy, sensors in ((ScriptedPolicy(), ("odometry",)), (Feeling(), ("odometry", "imu"))):
        loop = ControlLoop(policy, rules, QuadrotorParameters())
        assert loop.sensors == sensors
        assert loop.step(frame(0), HERE, DT).mode is Mode.POLICY
    np.testing.assert_array_equal(policy.seen, [0, 0, GRAVITY])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slew": (1000.0,)}, "slew: expected 4 values"),
        ({"low": (None, 0, 0, 0)}, "low: expected numbers"),
        ({"high": ("9", 0, 0, 0)}, "high: expected numbers"),
        ({"needs": {"imu": None}}, "oldest age of imu"),
        ({"low": (20.0, 0, 0, 0)}, "low <= neutral <= high"),
        ({"slew": (np.nan, 1, 1, 1)}, "slew: expected more than 0"),
        ({"needs": {"imu": np.nan}}, "oldest age of imu"),
        ({"needs": {}, "watches": {}}, "no sensor"),
    ],
)
def test_rules_that_make_no_sense_are_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(make().rules, **change)


def test_a_command_travels_in_fields_of_its_own():
    layout = Layout((Slot("a", 2, "1", "none"),))
    for twist in (("linear.x", "linear.x"), ("linear.x", "foo")):
        with pytest.raises(ValueError, match="2 different ones of"):
            CommandKind("odd", layout, (0.0, 0.0), twist)
    silent = CommandKind("silent", layout, (0.0, 0.0))
    with pytest.raises(ValueError, match="fields of a twist that carry it, got none"):
        dataclasses.replace(QUADROTOR, command=silent)
