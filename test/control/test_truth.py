"""What only a simulated world can tell: offered to who asks, refused to who flies a vehicle."""

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.control.observation import (
    Situation,
    at_rest,
    forget_slot,
    observer_of,
    register_slot,
)
from liquid_control.frames import quat_from_rotation_vector, rotate, rotate_inverse
from liquid_control.runtime.catalogue import make_loop, make_parameters
from liquid_control.structs import RATES_THRUST, TRUTH, Reading, Slot, TruthSample

TRUE = (
    "true_pos_error", "true_vel_error", "true_acc_setpoint", "true_up", "true_heading",
    "true_ang_vel", "true_specific_force", "true_wind",
)  # fmt: skip


class Oracle:
    observation_layout = observer_of("quadrotor", RATES_THRUST).select(TRUE).layout
    command_layout = RATES_THRUST.layout
    neurons = np.zeros(0)

    def reset(self):
        """Has no memory."""

    def warm_up(self):
        """Needs none."""

    def step(self, observation, dt):
        return np.array(RATES_THRUST.neutral)


def situation(rng, **truth):
    quat = quat_from_rotation_vector(rng.normal(size=3))
    measured = at_rest(RATES_THRUST)._replace(
        pos_world=rng.normal(size=3),
        quat_world_body=quat,
        vel_body=rng.normal(size=3),
        ang_vel_body=rng.normal(size=3),
        specific_force_body=rng.normal(size=3),
        setpoint_pos_world=rng.normal(size=3),
        setpoint_vel_world=rng.normal(size=3),
        setpoint_acc_world=rng.normal(size=3),
        setpoint_yaw=0.7,
    )
    sample = TruthSample(0, **truth) if truth else None
    return measured._replace(readings={TRUTH: Reading(sample, 0.0)} if truth else {})


def told(rng):
    vectors = ("pos_world", "vel_world", "ang_vel_body", "specific_force_body", "wind_world")
    truth = {name: rng.normal(size=3) for name in vectors}
    return truth | {"quat_world_body": quat_from_rotation_vector(rng.normal(size=3))}


def test_they_are_of_the_truth_and_not_of_what_is_measured(rng):
    truth = told(rng)
    seen = situation(rng, **truth)
    whole = observer_of("quadrotor", RATES_THRUST)
    values = whole.select(TRUE)(seen).reshape(len(TRUE), 3)
    quat = truth["quat_world_body"]
    for value, world in (
        (values[0], np.array(seen.setpoint_pos_world) - truth["pos_world"]),
        (values[1], np.array(seen.setpoint_vel_world) - truth["vel_world"]),
        (values[2], seen.setpoint_acc_world),
        (values[3], [0.0, 0.0, 1.0]),
        (values[4], [np.cos(0.7), np.sin(0.7), 0.0]),
        (values[7], truth["wind_world"]),
    ):
        np.testing.assert_allclose(rotate(quat, value), world, atol=1e-12)
    np.testing.assert_array_equal(values[5], truth["ang_vel_body"])
    np.testing.assert_array_equal(values[6], truth["specific_force_body"])
    # what is measured is still that
    np.testing.assert_allclose(
        whole.select(["pos_error"])(seen),
        rotate_inverse(
            seen.quat_world_body, np.array(seen.setpoint_pos_world) - np.array(seen.pos_world)
        ),
    )


def test_a_batch_is_each_alone(rng):
    observer = observer_of("quadrotor", RATES_THRUST).select(TRUE)
    alone = [situation(rng, **told(rng)) for _ in range(4)]
    samples = [s.readings[TRUTH].sample for s in alone]
    columns = {
        name: np.stack([getattr(sample, name) for sample in samples], axis=-1)
        for name in TruthSample.__dataclass_fields__
        if name != "stamp"
    }
    fields = {
        name: np.stack([np.array(getattr(s, name)) for s in alone], axis=-1)
        for name in Situation._fields
        if name != "readings"
    }
    batch = Situation(**fields, readings={TRUTH: Reading(TruthSample(0, **columns), 0.0)})
    np.testing.assert_allclose(observer(batch), np.stack([observer(s) for s in alone], axis=-1))


def test_nobody_gets_them_unasked():
    whole = observer_of("quadrotor", RATES_THRUST)
    assert not set(TRUE) & set(whole.layout.names)
    assert whole.offering(["pos_error", "up"]) is whole
    more = whole.offering(["true_wind", "up", "true_up"])
    assert more.layout.names == (*whole.layout.names, "true_up", "true_wind")
    assert more.sensors == (*whole.sensors, TRUTH)
    with pytest.raises(ValueError, match="unknown observation slots \\['true_mass'\\]"):
        whole.select(["true_mass"])


def test_a_vehicle_never_flies_on_them(vehicle):
    parameters = make_parameters(vehicle)
    with pytest.raises(ConfigError, match="true_wind, which only a simulated world can tell"):
        make_loop(Oracle(), vehicle, parameters)
    loop = make_loop(Oracle(), vehicle, parameters, simulated=True)
    assert loop.sensors == ("imu", "odometry", TRUTH)
    assert not set(TRUE) & set(loop.rules.observer.layout.names)
    loop.set_parameters(parameters, loop.rules)
    assert loop.observer.layout.names[-len(TRUE) :] == TRUE


def test_a_slot_of_ones_own_can_be_of_that_kind(vehicle):
    row = register_slot(
        Slot("true_time", 1, "s", "none"), lambda s: (0.0,), sensors=("clock",), simulated=True
    )
    try:
        whole = observer_of("quadrotor", RATES_THRUST)
        assert "true_time" not in whole.layout.names
        assert whole.select(["true_time"]).simulated == ("true_time",)
    finally:
        forget_slot(row)
