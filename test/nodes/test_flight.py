"""Whole flights: processes of their own, real topics."""

import dataclasses
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("pybullet")
pytest.importorskip("mcap_ros2")

from waiting import wait_until

from liquid_control.config import ConfigError
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.recording import read_flight
from liquid_control.evaluation.views.report import write_report
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.catalogue import make_loop
from liquid_control.runtime.policy import load_policy
from liquid_control.session import processes
from liquid_control.session.processes import FlightFailed, Session
from liquid_control.session.ros import fly_ros
from liquid_control.sim.flight import prepare
from liquid_control.sim.rollout import rollout
from liquid_control.sim.scenario import load_world
from liquid_control.sim.world import World
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters

pytestmark = pytest.mark.ros
MEASURED = {"step_us", "policy"}  # differ from run to run, or in how they are named


def assert_same_flight(a: FlightLog, b: FlightLog):
    for field in dataclasses.fields(FlightLog):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if field.name in MEASURED:
            continue
        if not dataclasses.is_dataclass(x):
            np.testing.assert_array_equal(x, y, err_msg=field.name)
            continue
        for name, column in vars(x).items():
            where = f"{field.name}.{name}"
            if where == "truth.vel_world":  # travels in the body frame
                np.testing.assert_allclose(column, vars(y)[name], atol=1e-12)
            else:
                np.testing.assert_array_equal(column, vars(y)[name], err_msg=where)


@pytest.fixture(scope="module")
def lockstep(policy, tmp_path_factory):
    """A flight of 2 s through ROS in lockstep, and its MCAP file."""
    out = tmp_path_factory.mktemp("lockstep")
    lines = []
    log, path = fly_ros(
        "demo",
        str(policy),
        seed=5,
        duration=2.0,
        out_dir=out,
        on_progress=lambda *line: lines.append(line),
    )
    return log, path, lines


def test_lockstep_flight_is_the_flight_without_ros_bit_for_bit(lockstep, policy):
    log, _, _ = lockstep
    scenario, vehicle = load_world("demo"), load_vehicle("crazyflie")
    loop = make_loop(load_policy(policy), vehicle, QuadrotorParameters())
    with World(scenario, vehicle, 5) as world:
        expected = rollout(
            world, loop, policy_name="linear", neuron_names=("thrust",), duration=2.0
        )
    assert len(log.time) == 200
    assert np.isfinite(log.command).all()
    assert_same_flight(log, expected)


def test_a_vehicle_that_is_armed_late_flies_over_ros_as_without(policy, tmp_path):
    path = tmp_path / "late.yaml"
    path.write_text("extends: demo\nduration: 4.0\nstart: {place: ground, armed_at: 0.5}\n")
    log, _ = fly_ros(str(path), str(policy), seed=5, duration=1.0)
    scenario, vehicle = load_world(path), load_vehicle("crazyflie")
    loop = make_loop(load_policy(policy), vehicle, QuadrotorParameters())
    with World(scenario, vehicle, 5) as world:
        expected = rollout(
            world, loop, policy_name="linear", neuron_names=("thrust",), duration=1.0
        )
    assert list(log.mode) == ["standby"] * 50 + ["policy"] * 50
    assert_same_flight(log, expected)


def test_same_seed_is_the_same_flight(lockstep, policy, tmp_path):
    again, _ = fly_ros("demo", str(policy), seed=5, duration=2.0, out_dir=tmp_path)
    assert_same_flight(lockstep[0], again)


def test_progress_is_reported_to_the_end(lockstep):
    _, _, lines = lockstep
    times = [time for time, _, _ in lines]
    assert times == sorted(times)
    assert times[0] < 1.0
    assert times[-1] == pytest.approx(2.0)


def test_log_of_a_ros_flight_says_what_flew(lockstep):
    log, _, _ = lockstep
    assert (log.world, log.vehicle, log.seed, log.control_rate) == ("demo", "crazyflie", 5, 100.0)
    assert log.policy.endswith("linear.onnx")
    assert set(log.mode) == {"policy"}
    assert log.neurons.shape == (200, 1)
    assert (log.step_us > 0).all()


def test_recording_holds_every_topic_of_every_step(lockstep):
    from mcap.reader import make_reader

    with lockstep[1].open("rb") as stream:
        summary = make_reader(stream).get_summary()
    names = {channel.id: channel.topic for channel in summary.channels.values()}
    counts = {names[i]: n for i, n in summary.statistics.channel_message_counts.items()}
    for topic in (
        *("/clock", "/imu/data", "/odom", "/setpoint/trajectory", "/ground_truth/odom", "/wind"),
        *("/rotor_speeds", "/cmd/rates_thrust", "/controller/neurons", "/controller/step"),
    ):
        assert counts[topic] == 200, topic


FROM_THE_WORLD = ("/ground_truth/odom", "/wind", "/rotor_speeds", "/clock")


def _messages(recording):
    """Schema, channel and message of all that was recorded, as in the file."""
    from mcap.reader import make_reader

    with recording.open("rb") as stream:
        return list(make_reader(stream).iter_messages(log_time_order=False))


def _as_if_real(messages):
    """What is left without a simulator."""
    return [
        (schema, channel, message)
        for schema, channel, message in messages
        if channel.topic not in FROM_THE_WORLD
        and not (channel.topic == "/diagnostics" and b"simulator: flight" in message.data)
    ]


def _written(messages, path):
    """A recording of these messages, in this order."""
    from mcap.writer import Writer

    with path.open("wb") as out:
        writer = Writer(out)
        writer.start(profile="ros2", library="test")
        schemas, channels = {}, {}
        for schema, channel, message in messages:
            if schema.id not in schemas:
                schemas[schema.id] = writer.register_schema(
                    schema.name, schema.encoding, schema.data
                )
            if channel.id not in channels:
                channels[channel.id] = writer.register_channel(
                    channel.topic, channel.message_encoding, schemas[schema.id]
                )
            writer.add_message(
                channels[channel.id], message.log_time, message.data, message.publish_time
            )
        writer.finish()
    return path


def test_a_recording_without_a_simulator_is_a_flight_too(lockstep, tmp_path):
    """What a real vehicle leaves: the same columns, as far as anybody knows them."""
    log, recording, _ = lockstep
    real = read_flight(_written(_as_if_real(_messages(recording)), tmp_path / "real.mcap"))
    assert real.truth is None
    assert real.wind_world is None
    assert real.actuators.shape == (200, 0)
    assert (real.world, real.seed, real.crashed, real.crash_reason) == ("", None, False, "")
    assert (real.vehicle, real.control_rate, real.policy) == ("crazyflie", 100.0, log.policy)
    for name in ("time", "setpoint_pos_world", "command", "mode", "neurons", "step_us"):
        np.testing.assert_array_equal(getattr(real, name), getattr(log, name), err_msg=name)
    for name in ("estimate", "imu"):
        for column, values in vars(getattr(real, name)).items():
            np.testing.assert_array_equal(values, vars(getattr(log, name))[column], err_msg=column)
    assert real.motion is real.estimate
    close = flight_metrics(log, after=1.0).rmse_m
    assert flight_metrics(real, after=1.0).rmse_m == pytest.approx(close, abs=0.01)
    report = write_report(tmp_path, real, after=1.0).read_text(encoding="utf-8")
    assert "Flight of crazyflie" in report


def test_a_setpoint_that_is_written_late_is_that_of_its_step(lockstep, tmp_path):
    """That of the first, too, whose stamp is 0 like that of one sent by hand."""
    log, recording, _ = lockstep
    messages = sorted(
        _messages(recording), key=lambda item: item[1].topic == "/setpoint/trajectory"
    )
    for name, kept in (("whole", messages), ("real", _as_if_real(messages))):
        late = read_flight(_written(kept, tmp_path / f"{name}.mcap"))
        np.testing.assert_array_equal(late.setpoint_pos_world, log.setpoint_pos_world, name)


def test_odometry_of_lower_rate_is_the_same_flight_too(policy, tmp_path):
    """Odometry at 50 Hz, 20 ms late: the first steps have none, later ones repeat a sample."""
    import yaml

    odometry = {"extends": "mocap", "update_rate": 50.0, "delay": 0.02, "dropout": 0.1}
    data = {"extends": "hover_calm", "odometry": odometry}
    world_file = tmp_path / "slow_odometry.yaml"
    world_file.write_text(yaml.safe_dump(data))
    log, _ = fly_ros(str(world_file), str(policy), seed=2, duration=1.0, out_dir=tmp_path / "out")
    scenario, vehicle = load_world(world_file), load_vehicle("crazyflie")
    loop = make_loop(load_policy(policy), vehicle, QuadrotorParameters())
    with World(scenario, vehicle, 2) as world:
        expected = rollout(world, loop, policy_name="", neuron_names=("thrust",), duration=1.0)
    assert np.isnan(log.command[0]).all()
    np.testing.assert_array_equal(log.command, expected.command)
    np.testing.assert_array_equal(log.truth.pos_world, expected.truth.pos_world)
    np.testing.assert_array_equal(log.mode, expected.mode)


def test_real_time_flight_keeps_its_rate(policy, tmp_path):
    log, _ = fly_ros("hover_calm", str(policy), duration=5.0, real_time=True, out_dir=tmp_path)
    assert not log.crashed
    assert len(log.time) == 500
    # A busy machine may delay ticks, and each is counted; most must come.
    assert np.isfinite(log.command[:, 0]).mean() > 0.9
    assert log.late_ticks <= 50
    json.dumps(flight_metrics(log).to_dict(), allow_nan=False)
    error = np.linalg.norm(log.truth.pos_world - log.setpoint_pos_world, axis=1)
    assert error[300:].max() < 0.3
    known = np.isfinite(log.estimate.pos_world).all(axis=1)
    assert known.mean() > 0.95
    off = np.linalg.norm(log.estimate.pos_world - log.truth.pos_world, axis=1)[known]
    assert off.max() < 0.1
    assert np.isfinite(log.imu.specific_force_body).all(axis=1).mean() > 0.95


@pytest.mark.slow
def test_real_time_flight_of_60_s_misses_no_tick(policy, tmp_path):
    """Only meaningful on an idle machine."""
    log, _ = fly_ros("hover_calm", str(policy), duration=60.0, real_time=True, out_dir=tmp_path)
    assert not log.crashed
    assert log.late_ticks == 0
    assert np.nanpercentile(log.step_us, 99) < 100


def test_world_flies_on_without_a_killed_controller(policy, tmp_path):
    """The autopilot's failsafe lets the vehicle down; the simulator says what happened."""
    common = {"lockstep": True, "vehicle": "crazyflie"}
    with Session(tmp_path) as session:
        controller = session.start(
            "controller", {**common, "policy": str(policy), "autostart": True}
        )
        simulator = session.start(
            "simulator",
            {
                **common,
                "world": "hover_calm",
                "duration": 6.0,
                "answer_timeout": 0.5,
                "progress": True,
            },
        )
        lines = []

        def time_now():
            lines.append(json.loads(simulator.process.stdout.readline()))
            return lines[-1]["time"]

        wait_until(lambda: time_now() > 1.5, timeout=20)
        controller.process.kill()
        rest = simulator.process.communicate(timeout=60)[0].decode().splitlines()
    last = json.loads(rest[-1])
    assert "no answer to step" in simulator.log.read_text()
    assert last["crashed"] or last["time"] == pytest.approx(6.0)
    assert last["error"] > 0.5  # it no longer holds its place
    assert simulator.process.returncode == int(last["crashed"])


def test_controller_that_can_not_start_is_one_clear_error(tmp_path):
    """One that commands what no topic carries is found out by its node."""
    policy = tmp_path / "turns.py"
    policy.write_text(
        "class Turns:\n"
        "    observation = ('pos_error',)\n"
        "    command_kind = 'rotors'\n"
        "    def step(self, observation, dt):\n"
        "        return (1.0,) * 4\n"
    )
    with pytest.raises(FlightFailed, match=r"controller ended with status 2: .*no topic carries"):
        fly_ros("hover_calm", f"{policy}:Turns", out_dir=tmp_path)


def test_unknown_world_is_one_clear_error(policy, tmp_path):
    with pytest.raises(ConfigError, match="no_such_world"):
        fly_ros("no_such_world", str(policy), out_dir=tmp_path)


def test_simulator_refuses_an_unknown_world_with_status_2():
    command = [sys.executable, "-m", "liquid_control.nodes.simulator"]
    done = subprocess.run(
        [*command, "--ros-args", "-p", "world:=no_such_world"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if "FATAL" in line or "ERROR" in line]
    assert len(errors) == 1
    assert "no such file: no_such_world" in errors[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("lockstep", [True, False])
def test_simulator_can_be_started_again_with_the_controller_left_running(
    lockstep, policy, tmp_path
):
    """Its clock begins at 0 again: the second flight goes as well as the first."""
    common = {"lockstep": lockstep, "vehicle": "crazyflie"}
    errors = []
    with Session(tmp_path) as session:
        controller = session.start(
            "controller", {**common, "policy": str(policy), "autostart": True}
        )
        for _ in range(2):
            simulator = session.start(
                "simulator", {**common, "world": "hover_calm", "duration": 4.0, "progress": True}
            )
            lines = simulator.process.communicate(timeout=60)[0].decode().splitlines()
            assert simulator.process.returncode == 0, simulator.last_words()
            errors.append(json.loads(lines[-1])["error"])
        words = controller.log.read_text()
    assert max(errors) < 0.1
    if lockstep:
        assert errors[0] == errors[1]
        assert "time went back by 3.990 s: stepping anew" in words
    else:
        assert "imu: clock moved by -" in words


def test_flight_keeps_away_from_the_domain_of_a_vehicle(policy, tmp_path, monkeypatch, spinning):
    """ROS_DOMAIN_ID is that of the machine's own vehicle: a flight must not be heard there."""
    from rclpy.node import Node

    from liquid_control.nodes import interface

    monkeypatch.setenv("ROS_STATIC_PEERS", "127.0.0.1")
    vehicle = spinning(lambda context: Node("vehicle", context=context))  # in the exported domain
    heard = []
    command = interface.command_topic(RATES_THRUST.name)
    for topic in (command, interface.DIAGNOSTICS, interface.IMU):
        qos = interface.event_qos()
        vehicle.create_subscription(topic.type, topic.name, heard.append, qos)
    log, _ = fly_ros("hover_calm", str(policy), duration=1.0, out_dir=tmp_path)
    assert set(log.mode) == {"policy"}
    assert heard == []


def test_two_sessions_never_share_a_domain(tmp_path, monkeypatch):
    """Not even before their nodes have opened a port."""

    monkeypatch.setattr(processes, "_DOMAINS", range(90, 93))
    with Session(tmp_path / "a") as a, Session(tmp_path / "b") as b, Session(tmp_path / "c") as c:
        assert {a.domain, b.domain, c.domain} == {90, 91, 92}
        with pytest.raises(FlightFailed, match="no free ROS domain among 90 to 92"):
            Session(tmp_path / "d")
    with Session(tmp_path / "e") as e:  # what the others leave is free again
        assert e.domain in range(90, 93)


def test_recorder_that_ends_early_is_one_clear_error(policy, tmp_path, monkeypatch):
    """It leaves a whole file, and status 0: only the length tells."""
    recorders = []
    start = Session.start

    def started(session, name, parameters):
        node = start(session, name, parameters)
        if name == "recorder":
            recorders.append(node)
        return node

    def interrupt(time, duration, error):
        if time > 1.0 and recorders:
            recorders.pop().process.send_signal(signal.SIGINT)

    monkeypatch.setattr(Session, "start", started)
    with pytest.raises(FlightFailed, match=r"the recorder ended early: .* of the 4 s flown"):
        fly_ros(
            "hover_calm",
            str(policy),
            duration=4.0,
            real_time=True,
            out_dir=tmp_path,
            on_progress=interrupt,
        )


def test_simulator_does_not_wait_for_ever(tmp_path):
    with Session(tmp_path) as session:
        simulator = session.start("simulator", {"world": "hover_calm", "start_timeout": 1.0})
        assert simulator.process.wait(60) == 1
        assert "no flight: waited 1 s for an active controller, imu/data (0 of 1)" in (
            simulator.last_words()
        )


def test_a_car_that_steers_by_camera_drives_over_ros_as_without(tmp_path):
    """Images and their camera's intrinsics travel; the drive is the same to the last bit."""
    from mcap.reader import make_reader

    world, policy = load_world("lane_keeping"), "lane_liquid"
    log, path = fly_ros("lane_keeping", policy, seed=3, duration=3.0, out_dir=tmp_path)
    flight = prepare(world, policy)
    with flight.world(3) as there:
        same = flight.fly(there, duration=3.0, images=True)
    np.testing.assert_array_equal(log.command, same.command)
    for name, column in vars(same.images).items():
        seen = (
            vars(log.images)[name][: len(column)] if name != "intrinsics" else log.images.intrinsics
        )
        np.testing.assert_array_equal(seen, column, err_msg=name)
    assert 0 <= len(log.images.time) - len(same.images.time) <= 1  # that of the last step
    # before the first image nobody steps
    np.testing.assert_array_equal(log.neurons[1:], same.neurons[1:])
    np.testing.assert_array_equal(log.truth.pos_world, same.truth.pos_world)
    assert flight_metrics(log, after=1.0).rmse_m < 0.5
    with path.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    topics = {channel.topic for channel in summary.channels.values()}
    assert {"/camera/image_raw", "/camera/camera_info", "/cmd/steering"} <= topics
