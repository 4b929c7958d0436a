"""The Hummingbird against rotorpy's, from the same parameters, open loop."""

import numpy as np
import pytest

from liquid_control.structs import GRAVITY
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState, step
from liquid_control.vehicles.quadrotor.params import QuadrotorParams

multirotor = pytest.importorskip("rotorpy.vehicles.multirotor")
from rotorpy.vehicles.hummingbird_params import quad_params  # noqa: E402

SECONDS = 1.0


@pytest.fixture
def hummingbird():
    """What rotorpy leaves out is left out here too."""
    params = QuadrotorParams.from_vehicle(load_vehicle("hummingbird"))
    return params._replace(rotor_inertia=0.0, ground_effect=0.0)


def start():
    quat = np.array([0.05, -0.1, 0.2, 1.0])
    return QuadrotorState(
        pos_world=np.array([0.0, 0.0, 50.0]),
        quat_world_body=quat / np.linalg.norm(quat),
        vel_world=np.array([1.0, -2.0, 0.5]),
        ang_vel_body=np.array([0.5, -0.3, 0.8]),
        rotor_speed=np.array([460.0, 475.0, 480.0, 470.0]),
    )


def commands(rng):
    hover = load_vehicle("hummingbird").hover_speed
    return hover + rng.normal(size=(round(SECONDS * 20), 4)) * 8.0


def test_open_loop_agrees_and_converges(hummingbird, rng):
    """In wind, with drag: 1 s of random rotor speeds; the gap shrinks with our step."""
    wind, inputs = np.array([3.0, -1.0, 0.5]), commands(rng)
    s = start()
    theirs = multirotor.Multirotor(
        quad_params, integrator_kwargs={"method": "RK45", "rtol": 1e-9, "atol": 1e-9}
    )
    theirs.weight = np.array([0, 0, -theirs.mass * GRAVITY])
    state = {
        "x": s.pos_world,
        "v": s.vel_world,
        "q": s.quat_world_body,
        "w": s.ang_vel_body,
        "wind": wind,
        "rotor_speeds": s.rotor_speed,
    }
    for speeds in inputs:
        state = theirs.step(state, {"cmd_motor_speeds": speeds}, 0.05)

    def gap(rate):
        mine = start()
        for speeds in inputs:
            for _ in range(round(0.05 * rate)):
                mine = step(mine, speeds, wind, hummingbird, 1 / rate)
        np.testing.assert_allclose(mine.rotor_speed, state["rotor_speeds"], rtol=1e-5)
        return np.linalg.norm(mine.pos_world - state["x"])

    travelled = np.linalg.norm(state["x"] - s.pos_world)
    coarse, fine = gap(500), gap(2000)
    assert travelled > 1
    assert fine < 0.01
    assert coarse / fine == pytest.approx(4, rel=0.15)  # first order, towards rotorpy's answer
