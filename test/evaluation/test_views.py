"""Views of flights that are no simulated quadrotor's, and of neurons by name."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from liquid_control.evaluation.columns import error_scale, position_error
from liquid_control.evaluation.views import figures
from liquid_control.evaluation.views.activity import activity_figure
from liquid_control.evaluation.views.animation import Animation
from liquid_control.evaluation.views.circuit import circuit_svg, layers
from liquid_control.evaluation.views.inks import ERROR_STOPS, error_color, web_color
from liquid_control.evaluation.views.path import path_figure
from liquid_control.evaluation.views.picture import write_picture
from liquid_control.evaluation.views.report import write_report
from liquid_control.structs import CommandKind, Layout, Slot
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.kind import VehicleConfig

STEERING = CommandKind(
    "test_steering",
    Layout((Slot("speed", 1, "m/s", "body"), Slot("turn_rate", 1, "rad/s", "body"))),
    neutral=(0.0, 0.0),
    twist=("linear.x", "angular.z"),
)


@pytest.fixture
def drive(log):
    """The log of a vehicle of another kind."""
    n = len(log.time)
    return dataclasses.replace(
        log,
        command=np.column_stack([np.full(n, 2.0), np.sin(log.time)]),
        kind=STEERING,
        actuators=np.outer(np.sin(log.time), [30.0, 30.0, 0.2]),
        actuator_names=("wheel0 rad/s", "wheel1 rad/s", "steer rad"),
        vehicle="cart",
    )


@pytest.fixture
def unsure(real_log):
    """A real flight, whose odometry and setpoint come late."""
    estimate = dataclasses.replace(real_log.estimate, pos_world=real_log.estimate.pos_world.copy())
    estimate.pos_world[:30] = np.nan
    setpoint = real_log.setpoint_pos_world.copy()
    setpoint[:60] = np.nan
    return dataclasses.replace(real_log, estimate=estimate, setpoint_pos_world=setpoint)


def _titles(figure):
    return [note.text for note in figure.layout.annotations]


def _names(figure):
    return [trace.name for trace in figure.data]


def test_commands_are_those_of_the_kind(log, drive):
    figure = figures.commands(log)
    assert _titles(figure) == ["thrust / mass, m/s²", "body rates, rad/s", "rotors, rad/s"]
    assert _names(figure)[:5] == ["thrust", "roll", "pitch", "yaw", "0"]
    figure = figures.commands(drive)
    assert _titles(figure) == ["speed, m/s", "turn rate, rad/s", "wheels, rad/s", "steer, rad"]
    assert _names(figure) == ["speed", "turn rate", "wheel0", "wheel1", "steer"]


def test_a_real_flight_shows_neither_wind_nor_actuators(real_log):
    assert "wind, m/s" not in _titles(figures.errors(real_log, 3.0))
    assert _names(figures.commands(real_log)) == ["thrust", "roll", "pitch", "yaw"]
    assert "wind" not in _names(path_figure(real_log))


def test_a_drive_is_shown_as_a_drive(drive_log, tmp_path):
    """Where no wind blows no view has one; speed as asked and as driven in one plot."""
    figure = figures.errors(drive_log, 1.0)
    assert _titles(figure) == ["lane deviation, cm"]
    left = next(trace for trace in figure.data if trace.name == "to the left")
    np.testing.assert_allclose(left.y, 100 * drive_log.truth.pos_world[:, 1], atol=1e-4)
    figure = figures.commands(drive_log)
    assert _titles(figure) == ["speed, m/s", "yaw rate, rad/s", "steering, rad"]
    assert _names(figure) == ["command", "vehicle", "yaw rate", "steering"]
    text = write_report(tmp_path, drive_log).read_text(encoding="utf-8")
    assert "lane deviation, RMSE" in text
    markup = text[text.index("<body>") : text.index("application/json")]
    assert "wind" not in markup.lower()
    assert "position error" not in markup


def test_the_error_has_one_palette_and_one_scale(log, tmp_path):
    """Path and line of the report end in the colour and at the value of the film's key."""
    line = next(t for t in path_figure(log).data if t.name == "flight").line
    assert line.cmax == 100 * error_scale(log)
    assert [stop[1] for stop in line.colorscale] == [web_color(stop) for stop in ERROR_STOPS]
    assert error_color(error_scale(log), error_scale(log)) == tuple(ERROR_STOPS[-1])
    error = position_error(log)
    assert np.mean(error <= error_scale(log)) >= 0.98
    assert error_scale(log) < 2 * np.percentile(error, 99)
    colors = {t.line.color for t in figures.errors(log, 3.0).data[-20:] if t.showlegend is False}
    assert colors <= {web_color(error_color((k + 0.5) / 10, 1.0)) for k in range(10)}
    assert len(colors) > 3


def test_latency_stands_on_an_axis_of_decades(log):
    axis = figures.latency(log).layout.xaxis
    assert axis.type == "log"
    assert 2 <= len(axis.tickvals) <= 9


def test_a_real_flight_is_reported(unsure, tmp_path):
    text = write_report(tmp_path, unsure).read_text(encoding="utf-8")
    assert "Flight of crazyflie" in text
    assert "As estimated." in text
    assert "seed" not in text.split("<p>")[1].split("</p>")[0]
    for absent in ("Position error and wind", "Cones show", "actuators"):
        assert absent not in text


def test_a_real_flight_is_painted(unsure, tmp_path):
    with Image.open(write_picture(tmp_path / "real.png", unsure)) as picture:
        assert picture.size == (1800, 640)


@pytest.mark.parametrize("time", [0.1, 0.4, 5.0])
def test_a_real_flight_is_filmed(unsure, time):
    frame = np.asarray(Animation(unsure, load_vehicle("crazyflie")).frame(time), int)
    windy = dataclasses.replace(unsure, wind_world=np.full((len(unsure.time), 3), 0.1))
    other = np.asarray(Animation(windy, load_vehicle("crazyflie")).frame(time), int)
    assert frame.std() > 10
    assert (frame != other)[24:150, 1680:].any()  # no figure where nobody knows the wind


def test_a_vehicle_of_another_kind_is_drawn_as_a_box(drive, tmp_path):
    animation = Animation(drive, VehicleConfig(kind="cart", name="cart"))
    frame = np.asarray(animation.frame(1.0), int)
    front = np.abs(frame - [94, 200, 255]).max(axis=2) < 30
    assert front.any()
    assert "speed, RMS" in write_report(tmp_path, drive).read_text(encoding="utf-8")
    assert write_picture(tmp_path / "drive.png", drive).stat().st_size > 20_000


def test_motor_neurons_bear_the_names_of_the_artifact(log, metadata):
    motors = ("thrust", "ang_vel.x", "ang_vel.y", "ang_vel.z")
    assert metadata.neuron_names[-4:] == list(motors)
    drawing = circuit_svg(metadata)
    for name in motors:
        assert f">{name}</text>" in drawing
    figure = activity_figure(log, layers(log, metadata))
    assert tuple(figure.data[-1].y) == motors
