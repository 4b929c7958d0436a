import threading
import time

import pytest

pytest.importorskip("rclpy")

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from waiting import wait_until

from liquid_control.nodes import interface
from liquid_control.nodes.inbox import DIRECT, Inbox, take_newest

pytestmark = pytest.mark.ros
WAYS = [
    pytest.param(True, id="direct", marks=pytest.mark.skipif(not DIRECT, reason="other rclpy")),
    pytest.param(False, id="callbacks"),
]


def make(spinning, direct, qos, raw=False):
    sender = spinning(lambda context: Node("sender", context=context))
    receiver = spinning(lambda context: Node("receiver", context=context))
    publisher = sender.create_publisher(Header, "words", interface.sending_qos(lockstep=True))
    inbox = Inbox(receiver, direct)
    reader = inbox.subscribe(Header, "words", qos, raw)
    wait_until(publisher.get_subscription_count)
    publisher.publish(Header())  # the reader may discover the writer a little later
    wait_until(reader.take)
    inbox.wait(0.0)
    return publisher, inbox, reader


@pytest.mark.parametrize("direct", WAYS)
def test_messages_come_in_order_with_their_age(spinning, direct):
    publisher, inbox, reader = make(spinning, direct, interface.sensor_qos(lockstep=True))
    assert reader.take() is None
    for word in ("one", "two", "three"):
        publisher.publish(Header(frame_id=word))
    time.sleep(0.2)
    first, age = reader.take()
    assert first.frame_id == "one"
    assert 0.1 < age < 2.0
    assert take_newest(reader)[0].frame_id == "three"
    assert reader.take() is None
    inbox.close()


@pytest.mark.parametrize("direct", WAYS)
def test_depth_one_keeps_the_newest(spinning, direct):
    publisher, inbox, reader = make(spinning, direct, interface.newest_qos())
    for word in ("one", "two", "three"):
        publisher.publish(Header(frame_id=word))
        time.sleep(0.1)
    assert reader.take()[0].frame_id == "three"
    assert reader.take() is None
    inbox.close()


@pytest.mark.parametrize("direct", WAYS)
def test_wait_returns_on_arrival_and_on_timeout(spinning, direct):
    publisher, inbox, reader = make(spinning, direct, interface.newest_qos())
    start = time.monotonic()
    inbox.wait(0.05)
    assert 0.04 < time.monotonic() - start < 1.0
    threading.Timer(0.1, publisher.publish, [Header(frame_id="now")]).start()
    start = time.monotonic()
    inbox.wait(5.0)
    assert time.monotonic() - start < 2.0
    assert reader.take()[0].frame_id == "now"
    inbox.close()


@pytest.mark.parametrize("direct", WAYS)
def test_raw_messages_are_bytes(spinning, direct):
    publisher, inbox, reader = make(spinning, direct, interface.recording_qos(), raw=True)
    publisher.publish(Header(frame_id="word"))
    data, _ = wait_until(reader.take)
    assert isinstance(data, bytes)
    assert deserialize_message(data, Header).frame_id == "word"
    inbox.close()
