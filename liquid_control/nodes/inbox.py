"""Topics that a thread reads when it wants to, past the executor.

The stock executor rebuilds its wait set twice and makes a task and a coroutine for every message.
A loop of fixed rate wants none of that: it takes the newest message at its own tick. So these
subscriptions are kept out of the executor and read from their handles.

This is the one module that touches parts of rclpy that are not documented: `Subscription.handle`,
its `take_message`, and `WaitSet`. `DIRECT` says whether they are there; without them the same
interface runs on callbacks, and somebody must spin the node.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

try:
    from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy

    DIRECT = hasattr(_rclpy, "WaitSet") and hasattr(_rclpy.Subscription, "take_message")
except ImportError:
    DIRECT = False


class _OutsideExecutor(CallbackGroup):
    """Never lets an executor touch its members."""

    def can_execute(self, entity) -> bool:
        return False

    def beginning_execution(self, entity) -> bool:
        return False

    def ending_execution(self, entity) -> None:
        return None


class _DirectReader:
    def __init__(self, subscription: Any):
        self.subscription = subscription
        self._empty_at = time.monotonic()

    def take(self) -> tuple[Any, float] | None:
        subscription = self.subscription
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        now = time.monotonic()
        if taken is None:
            self._empty_at = now
            return None
        message, info = taken
        # DDS stamps the arrival with the system clock. A jump of that clock can't hurt: the
        # message came after this queue was last seen empty, by the steady clock.
        age = (time.time_ns() - info["received_timestamp"]) * 1e-9
        return message, min(max(age, 0.0), now - self._empty_at)


class _CallbackReader:
    def __init__(self, depth: int, arrived: threading.Event):
        self._queue: deque[tuple[Any, float]] = deque(maxlen=depth or None)
        self._arrived = arrived

    def callback(self, message: Any) -> None:
        self._queue.append((message, time.monotonic()))
        self._arrived.set()

    def take(self) -> tuple[Any, float] | None:
        if not self._queue:
            return None
        message, arrival = self._queue.popleft()
        return message, time.monotonic() - arrival


Reader = _DirectReader | _CallbackReader


class Inbox:
    """Subscriptions that one thread reads.

    Args:
        node: owner of the subscriptions.
        direct: read from the handles; otherwise through callbacks of a spinning executor.
    """

    def __init__(self, node: Node, direct: bool = DIRECT):
        self._node = node
        self._direct = direct
        self._group = _OutsideExecutor() if direct else None
        self._subscriptions: list[Any] = []
        self._arrived = threading.Event()
        self._wait_set = None

    def subscribe(self, msg_type: Any, topic: str, qos: QoSProfile, raw: bool = False) -> Reader:
        """Subscribe; ``reader.take()`` gives the oldest unread message (serialized, if ``raw``)
        and its age in s since it arrived, or ``None``."""
        reader = None if self._direct else _CallbackReader(qos.depth, self._arrived)
        subscription = self._node.create_subscription(
            msg_type,
            topic,
            (lambda _: None) if self._direct else reader.callback,
            qos,
            callback_group=self._group,
            raw=raw,
        )
        self._subscriptions.append(subscription)
        self._wait_set = None
        return _DirectReader(subscription) if self._direct else reader

    def wait(self, timeout: float) -> None:
        """Return when a message may have come, after ``timeout`` s at the latest."""
        if not self._direct:
            self._arrived.wait(timeout)
            self._arrived.clear()
            return
        if self._wait_set is None:
            context = self._node.context.handle
            self._wait_set = _rclpy.WaitSet(len(self._subscriptions), 0, 0, 0, 0, 0, context)
        self._wait_set.clear_entities()
        for subscription in self._subscriptions:
            self._wait_set.add_subscription(subscription.handle)
        self._wait_set.wait(int(timeout * 1e9))

    def close(self) -> None:
        """Destroy the subscriptions; no thread may be reading."""
        self._wait_set = None
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()


def take_newest(reader: Reader) -> tuple[Any, float] | None:
    """The newest unread message and its age in s; older ones are dropped."""
    newest = None
    while (taken := reader.take()) is not None:
        newest = taken
    return newest
