import pytest
import yaml

from liquid_control.config import ConfigError, share_dir
from liquid_control.parameters import SimulatorParameters, controller_yaml, parameter_table
from liquid_control.vehicles.quadrotor.parameters import COMMAND, QuadrotorParameters

DEFAULTS = controller_yaml(QuadrotorParameters, COMMAND)


def test_controller_yaml_is_made_from_the_table():
    assert (share_dir() / "config" / "controller.yaml").read_text() == DEFAULTS


def test_controller_yaml_holds_the_defaults():
    tree = yaml.safe_load(DEFAULTS)["/**/controller"]["ros__parameters"]
    assert QuadrotorParameters.model_validate(tree) == QuadrotorParameters()


@pytest.mark.parametrize("model", [QuadrotorParameters, SimulatorParameters])
def test_every_row_is_whole(model):
    for row in parameter_table(model):
        assert row.description, row.name
        assert row.type in (bool, int, float, str), row.name
        assert (row.low is None) == (row.high is None), row.name
        if row.type is float:
            assert row.low is not None, f"{row.name}: a number needs a range"


@pytest.fixture
def declare(spinning):
    """``declare("-p", "name:=value")`` gives node, model and the list of applied changes."""
    pytest.importorskip("rclpy")
    from rclpy.node import Node

    from liquid_control.nodes.parameters import declare_parameters, on_parameters

    def make(*arguments):
        made = []

        def make_node(context):
            node = Node(
                "pilot", context=context, automatically_declare_parameters_from_overrides=True
            )
            made.append(declare_parameters(node, QuadrotorParameters))
            return node

        node = spinning(make_node, *arguments)
        applied = []
        on_parameters(node, QuadrotorParameters, applied.append)
        return node, made[0], applied

    return make


def set_one(node, name, value):
    from rclpy.parameter import Parameter

    return node.set_parameters([Parameter(name, value=value)])[0]


@pytest.mark.ros
def test_parameters_come_from_arguments_and_describe_themselves(declare):
    node, parameters, _ = declare("-p", "backup.max_tilt:=0.5", "-p", "control_rate:=200.0")
    assert parameters.backup.max_tilt == 0.5
    assert parameters.control_rate == 200.0
    descriptor = node.describe_parameter("backup.max_tilt")
    assert descriptor.floating_point_range[0].to_value == pytest.approx(1.4)
    assert "rad" in descriptor.additional_constraints
    assert descriptor.description
    assert node.describe_parameter("control_rate").read_only


@pytest.mark.ros
def test_whole_number_is_taken_for_a_float(declare):
    """As ``ros2 param set /controller backup.position_gain 20`` and a YAML file send it."""
    node, parameters, applied = declare("-p", "control_rate:=200", "-p", "backup.tilt_gain:=9")
    assert (parameters.control_rate, parameters.backup.tilt_gain) == (200.0, 9.0)
    assert set_one(node, "backup.position_gain", 20).successful
    (new,) = applied
    assert new.backup.position_gain == 20.0
    assert type(node.get_parameter("backup.position_gain").value) is float
    assert not set_one(node, "backup.position_gain", 200).successful
    assert not set_one(node, "backup.position_gain", True).successful
    assert not set_one(node, "input_gate.new_clock_samples", 5.0).successful
    assert len(applied) == 1


@pytest.mark.ros
def test_good_value_is_applied_as_a_whole_model(declare):
    node, parameters, applied = declare()
    assert set_one(node, "envelope.recovery_time", 2.5).successful
    assert [p.envelope.recovery_time for p in applied] == [2.5]
    assert applied[0].backup == parameters.backup


@pytest.mark.ros
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("backup.max_tilt", 3.0, "1.4"),
        ("backup.max_tilt", 0.05, "greater than 0.05"),  # the range excludes its lower end
        ("backup.max_tilt", float("nan"), "max_tilt"),
        ("backup.max_tilt", "steep", "type"),
        ("control_rate", 50.0, "read-only"),
    ],
)
def test_bad_value_is_refused_with_a_reason_and_nothing_changes(declare, name, value, reason):
    node, _, applied = declare()
    before = node.get_parameter(name).value
    result = set_one(node, name, value)
    assert not result.successful
    assert reason in result.reason
    assert node.get_parameter(name).value == before
    assert applied == []


@pytest.mark.ros
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("backup.max_tlit:=0.5", "unknown parameter backup.max_tlit"),
        ("control_rate:=fast", "control_rate.*DOUBLE"),
        ("control_rate:=5", "control_rate.*5"),
        ("lockstep:=1", "lockstep.*BOOL"),
        ("control_rate:=5000.0", "control_rate.*5000"),
        ("backup.max_tilt:=0.05", "greater than 0.05"),
    ],
)
def test_bad_start_value_is_one_clear_error(declare, argument, message):
    with pytest.raises(ConfigError, match=message):
        declare("-p", argument)
