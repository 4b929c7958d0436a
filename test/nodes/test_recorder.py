import io

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mcap_ros2")

from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rclpy.node import Node
from rclpy.serialization import serialize_message
from waiting import wait_until

from liquid_control.config import ConfigError
from liquid_control.evaluation.recording import read_flight
from liquid_control.nodes import conversions, interface
from liquid_control.nodes.process import Finish
from liquid_control.nodes.recorder import McapFile, RecorderNode, message_definition
from liquid_control.nodes.rows import labelled_row
from liquid_control.structs import RATES_THRUST, ImuSample

COMMAND = interface.command_topic(RATES_THRUST.name)

TOPICS = (
    *interface.FROM_SIMULATOR,
    *interface.from_controller(RATES_THRUST.name),
    interface.DIAGNOSTICS,
    interface.SETPOINT_POSE,
)


def decode(stream):
    reader = make_reader(stream, decoder_factories=[DecoderFactory()])
    return list(reader.iter_decoded_messages())


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_is_written_with_its_whole_definition(topic):
    stream = io.BytesIO()
    file = McapFile(stream)
    file.add(topic, serialize_message(topic.type()))
    file.close()
    stream.seek(0)
    (message,) = decode(stream)
    assert message.schema.name == f"{topic.type.__module__.split('.')[0]}/msg/{topic.type.__name__}"
    assert message.schema.encoding == "ros2msg"
    assert message.channel.topic == f"/{topic.name.lstrip('/')}"
    # the decoder found every nested type in the schema alone
    for field in topic.type.get_fields_and_field_types():
        assert hasattr(message.decoded_message, field)


def test_constants_and_nested_types_are_in_the_definition():
    text = message_definition(interface.DIAGNOSTICS.type)
    assert "byte STALE=3" in text
    for name in ("diagnostic_msgs/DiagnosticStatus", "std_msgs/Header", "builtin_interfaces/Time"):
        assert text.count(f"MSG: {name}\n") == 1


def test_log_time_is_the_stamp_and_values_are_exact():
    stream = io.BytesIO()
    file = McapFile(stream)
    rates = np.random.default_rng(1).standard_normal(3)
    for stamp in (10, 2_000_000_005):
        message = conversions.command_to_msg(RATES_THRUST.command(1 / 3, *rates.tolist()), stamp)
        file.add(COMMAND, serialize_message(message))
    row = labelled_row(3, ("a",), np.array([0.5]))
    file.add(interface.NEURONS, serialize_message(row))
    file.close()
    stream.seek(0)
    messages = decode(stream)
    # a row has no stamp that the file knows of: it takes that of the newest message
    assert [m.message.log_time for m in messages] == [10, 2_000_000_005, 2_000_000_005]
    twist = messages[0].decoded_message.twist
    assert (twist.linear.z, twist.angular.x, twist.angular.y) == (1 / 3, rates[0], rates[1])


@pytest.mark.ros
def test_node_records_what_is_sent_and_its_file_is_whole_when_stopped(spinning, tmp_path):
    path = tmp_path / "new" / "flight.mcap"
    recorder = spinning(
        lambda context: RecorderNode(Finish(), context=context), "-p", f"path:={path}"
    )
    recorder.start()
    sender = spinning(lambda context: Node("sender", context=context))
    qos = interface.sending_qos(lockstep=True)
    publisher = sender.create_publisher(interface.IMU.type, interface.IMU.name, qos)
    wait_until(publisher.get_subscription_count)
    for stamp in range(1, 501):
        sample = ImuSample(stamp, np.full(3, float(stamp)), np.zeros(3))
        publisher.publish(conversions.imu_to_msg(sample))
    from rclpy.duration import Duration

    assert publisher.wait_for_all_acked(Duration(seconds=10))
    recorder.stop()
    with path.open("rb") as stream:
        values = [m.decoded_message.angular_velocity.x for m in decode(stream)]
    assert values == [float(stamp) for stamp in range(1, 501)]


@pytest.mark.ros
def test_path_that_can_not_be_written_is_one_clear_error(spinning, tmp_path):
    with pytest.raises(ConfigError, match=r"can't be written"):
        spinning(lambda context: RecorderNode(Finish(), context=context), "-p", f"path:={tmp_path}")


def test_recording_that_is_not_whole_is_one_clear_error(tmp_path):
    stream = io.BytesIO()
    file = McapFile(stream)
    file.add(interface.IMU, serialize_message(interface.IMU.type()))
    file.close()
    whole, cut, text = (tmp_path / name for name in ("whole.mcap", "cut.mcap", "text.mcap"))
    whole.write_bytes(stream.getvalue())
    cut.write_bytes(stream.getvalue()[:100])
    text.write_text("not a recording")
    with pytest.raises(ConfigError, match="no flight"):
        read_flight(whole)
    for path in (cut, text):
        with pytest.raises(ConfigError, match="not a whole MCAP file"):
            read_flight(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_flight(tmp_path / "none.mcap")
