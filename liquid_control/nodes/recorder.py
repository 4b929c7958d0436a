"""The recorder node: every topic of a flight, as it came over the wire, into one MCAP file.

Messages are written serialized, with their full definitions, so that any MCAP reader can decode
them without this project or ROS. The log time of a message is its own stamp where it has one,
else that of the newest stamped message: a flight in lockstep plays at the pace it was flown.

MCAP: https://mcap.dev/spec, ROS 2 profile https://mcap.dev/spec/registry.
"""

from __future__ import annotations

import importlib
import math
import re
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mcap.writer import Writer
from rclpy.context import Context
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from liquid_control import wire
from liquid_control.config import ConfigError
from liquid_control.nodes import interface
from liquid_control.nodes.diagnostics import (
    is_active_controller,
    is_from_simulator,
    last_words,
)
from liquid_control.nodes.inbox import Inbox, Reader
from liquid_control.nodes.parameters import declare_parameters
from liquid_control.nodes.process import Finish, Worker, run
from liquid_control.parameters import RecorderParameters
from liquid_control.structs import COMMAND_KINDS

_POLL = 0.1  # s, how soon the waiting thread sees that it should stop
_LINGER = 0.1  # s that words on their way are given after the end of a flight
_LONGEST_LINGER = 15.0  # s, where what was flown has not all come
_ANSWER_LAG = 50_000_000  # ns that the last answer may be older than the last state in real time
_STAMPED = ("std_msgs/Header", "builtin_interfaces/Time")
_CDR_HEADER = 4  # bytes before the first field
_STAMP = struct.Struct("<iI")  # sec, nanosec


def _nested_types(message_type: Any) -> Iterator[Any]:
    """The message types of the fields, each once, depth first."""
    for field_type in message_type.get_fields_and_field_types().values():
        match = re.search(r"(\w+)/(\w+)", field_type)
        if match:
            nested = getattr(importlib.import_module(f"{match[1]}.msg"), match[2])
            yield nested
            yield from _nested_types(nested)


def _definition(message_type: Any) -> str:
    """The .msg text of a type, from the share folder of the installed package."""
    package = importlib.import_module(message_type.__module__.split(".")[0])
    name = Path("share", package.__name__, "msg", f"{message_type.__name__}.msg")
    for parent in Path(package.__file__).resolve().parents:
        if (parent / name).is_file():
            return (parent / name).read_text(encoding="utf-8")
    raise ConfigError(f"no {name} above {package.__file__}: the message package is incomplete")


def message_definition(message_type: Any) -> str:
    """A type's .msg text followed by those of all types in it: the MCAP encoding ``ros2msg``."""
    nested = {f"{t.__module__.split('.')[0]}/{t.__name__}": t for t in _nested_types(message_type)}
    parts = [_definition(message_type)]
    parts += [f"MSG: {name}\n{_definition(t)}" for name, t in nested.items()]
    return f"\n{'=' * 80}\n".join(parts)


class McapFile:
    """An MCAP file that serialized ROS 2 messages are added to.

    Topics keep the names of `wire`, in the namespace, whatever they were remapped to.
    """

    def __init__(self, stream: BinaryIO, namespace: str = "/"):
        self._namespace = namespace
        self._writer = Writer(stream)
        self._writer.start(profile="ros2", library="liquid_control")
        self._schemas: dict[Any, int] = {}
        self._channels: dict[str, int] = {}
        self._stamped: dict[str, bool] = {}
        self._counts: dict[str, int] = {}
        self._now = 0

    def add(self, topic: interface.Topic, data: bytes) -> int:
        """Write one message as it came over the wire; returns its log time, ns."""
        name = topic.name
        if name not in self._channels:
            self._add_channel(topic)
        if self._stamped[name]:
            sec, nanosec = _STAMP.unpack_from(data, _CDR_HEADER)
            stamp = sec * 1_000_000_000 + nanosec
            self._now = max(self._now, stamp)
        else:
            stamp = self._now
        self._writer.add_message(
            self._channels[name],
            log_time=stamp,
            publish_time=stamp,
            data=data,
            sequence=self._counts[name],
        )
        self._counts[name] += 1
        return stamp

    def _add_channel(self, topic: interface.Topic) -> None:
        kind = topic.type
        if kind not in self._schemas:
            self._schemas[kind] = self._writer.register_schema(
                name=f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}",
                encoding="ros2msg",
                data=message_definition(kind).encode(),
            )
        name = wire.resolve(self._namespace, topic.name)
        self._channels[topic.name] = self._writer.register_channel(
            topic=name, message_encoding="cdr", schema_id=self._schemas[kind]
        )
        first = next(iter(kind.get_fields_and_field_types().values()))
        self._stamped[topic.name] = first in _STAMPED
        self._counts[topic.name] = 0

    def count(self, topic: interface.Topic) -> int:
        """How many messages of a topic have been written."""
        return self._counts.get(topic.name, 0)

    def close(self) -> None:
        """Write the index; only now is the file whole."""
        self._writer.finish()


class RecorderNode(Node):
    """See the module. Stops when a simulator says that the flight is over, or on a signal; the
    file is whole then."""

    def __init__(self, finish: Finish, context: Context | None = None):
        super().__init__(
            "recorder", context=context, automatically_declare_parameters_from_overrides=True
        )
        self._finish = finish
        config = declare_parameters(self, RecorderParameters)
        path = Path(config.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("wb")
        except OSError as error:
            raise ConfigError(f"{path}: can't be written: {error.strerror}") from None
        self._file = McapFile(self._stream, self.get_namespace())
        self._inbox = Inbox(self)
        self._readers: list[tuple[interface.Topic, Reader]] = []
        self._leave_at = math.inf
        self._flown: dict[str, str] = {}  # what the simulator said last
        self._whole = config.hold_simulator  # a simulator that was held has sent nothing before
        # Diagnostics last: a controller that is heard there has discovered the others.
        kinds = [config.command] if config.command else COMMAND_KINDS
        topics = {topic for kind in kinds for topic in interface.from_controller(kind)}
        self._answers = {*map(interface.command_topic, kinds), interface.SILENT}
        self._newest: dict[interface.Topic, int] = {}  # ns, log time of each topic
        self._subscribe(*sorted(topics, key=lambda topic: topic.name), interface.DIAGNOSTICS)
        camera = (interface.IMAGE, interface.CAMERA_INFO) if config.images else ()
        self._from_world = (*interface.FROM_SIMULATOR, interface.SETPOINT_POSE, *camera)
        # A simulator that waits for these subscriptions begins when it has discovered them, which
        # says nothing of the other direction. So they are made once the simulator was heard.
        self._unheard = {wire.CONTROL_LOOP, wire.FLIGHT} if config.hold_simulator else set()
        if not self._unheard:
            self._subscribe(*self._from_world)
        self._worker = Worker("recording", self._work, finish)

    def start(self) -> None:
        """Begin to write what comes."""
        self._worker.start()

    def stop(self) -> None:
        """Write what has come, and close the file."""
        self._worker.stop()
        if not self._stream.closed:
            self._file.close()
            self._stream.close()

    def _subscribe(self, *topics: interface.Topic) -> None:
        qos = interface.recording_qos()
        for topic in topics:
            reader = self._inbox.subscribe(topic.type, topic.name, qos, raw=True)
            self._readers.append((topic, reader))

    def _work(self) -> None:
        while not self._worker.stopped.is_set() and not self._is_done():
            self._inbox.wait(_POLL)
            self._drain()
        self._drain()
        self._finish.set()

    def _is_done(self) -> bool:
        """Whether the flight is over and all of it has come; nobody waits for ever."""
        late = time.monotonic() - self._leave_at
        return late >= 0 and (late > _LONGEST_LINGER or self._has_all())

    def _has_all(self) -> bool:
        """Whether the last step that was flown, and the answer to it, have come."""
        flown = self._newest.get(interface.GROUND_TRUTH, 0)
        if self._whole and self._file.count(interface.GROUND_TRUTH) < int(self._flown["steps"]):
            return False
        answered = max(map(self._newest.get, self._answers & self._newest.keys()), default=None)
        lag = 0 if self._flown["lockstep"] == str(True) else _ANSWER_LAG
        return answered is None or answered >= flown - lag

    def _drain(self) -> None:
        for topic, reader in tuple(self._readers):
            while (taken := reader.take()) is not None:
                self._newest[topic] = self._file.add(topic, taken[0])
                if topic is interface.DIAGNOSTICS:
                    self._hear(taken[0])

    def _hear(self, data: bytes) -> None:
        message = deserialize_message(data, interface.DIAGNOSTICS.type)
        own = self.get_namespace()
        if (flown := last_words(message, own)) is not None and not self._flown:
            self._flown, self._leave_at = flown, time.monotonic() + _LINGER
        if self._unheard:
            self._unheard -= {wire.CONTROL_LOOP} if is_active_controller(message, own) else set()
            self._unheard -= {wire.FLIGHT} if is_from_simulator(message, own) else set()
            if not self._unheard:
                self._subscribe(*self._from_world)


def main(args: Sequence[str] | None = None) -> int:
    """The executable: record until the flight is over, or until interrupted."""
    return run(RecorderNode, args)


if __name__ == "__main__":
    sys.exit(main())
