"""One node as one process: start, signals, one clear error, exit status."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from liquid_control.config import ConfigError

INTERRUPTED = 130  # exit status of what Ctrl-C cut short


class Finish:
    """Set once, from any thread: the process should end, with this exit status."""

    def __init__(self):
        self._event = threading.Event()
        self.status = 0

    def set(self, status: int = 0) -> None:
        """Ask for the end; the first status counts."""
        if not self._event.is_set():
            self.status = status
            self._event.set()

    def wait(self) -> int:
        """The status, once it is set. Python's signal handlers run meanwhile."""
        self._event.wait()
        return self.status


class Worker:
    """A thread that can be asked to stop; an error in it ends the process with status 1.

    Args:
        work: what it does; looks at `stopped` now and then.
    """

    def __init__(self, name: str, work: Callable[[], None], finish: Finish):
        self.stopped = threading.Event()
        self._work, self._finish = work, finish
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Begin to work; a second call is an error."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.stopped.set()
        if self.is_alive():
            self._thread.join()

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException:
            self._finish.set(1)
            raise


class RunnableNode(Protocol):
    """What `run` needs of a node, beside being an rclpy node."""

    def start(self) -> None:
        """Begin to work; called once the node is being spun."""

    def stop(self) -> None:
        """End the work; publishers still work."""


def run(
    make_node: Callable[[Finish], RunnableNode],
    args: Sequence[str] | None = None,
    interrupted: int = 0,
) -> int:
    """Run a node until it finishes or is interrupted; gives the exit status.

    0: well; 1: the flight or the node failed; 2: refused what it was asked to do; ``interrupted``:
    after SIGINT or SIGTERM.

    rclpy's own signal handlers are left out: they would shut the context down before the node
    could send its last words.
    """
    finish = Finish()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: finish.set(interrupted))
    # A waiting control thread gets the interpreter back after this time at most; default 5 ms.
    sys.setswitchinterval(5e-4)
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = None
    executor = SingleThreadedExecutor()
    spinner = threading.Thread(target=_spin, args=(executor, finish), name="executor")
    try:
        node = make_node(finish)
        executor.add_node(node)
        spinner.start()
        node.start()
        return finish.wait()
    except ConfigError as error:
        rclpy.logging.get_logger("liquid_control").fatal(str(error))
        return 2
    finally:
        if node is not None:
            node.stop()
        executor.shutdown()
        if spinner.is_alive():
            spinner.join()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()


def _spin(executor: SingleThreadedExecutor, finish: Finish) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except BaseException:
        finish.set(1)
        raise
