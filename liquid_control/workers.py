"""Work spread over processes of this machine or a Ray cluster; one process by default."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from liquid_control.config import ConfigError, missing_packages
from liquid_control.importing import Own, know, own_things
from liquid_control.preflight import check_whole


@contextmanager
def worker_pool(
    jobs: int, ray_address: str | None, tasks: int, *, start: Callable[[], object] | None = None
) -> Iterator[Callable]:
    """Something that maps a function over tasks and yields the results as they come.

    Args:
        jobs: processes of this machine; 1: this one.
        ray_address: of a Ray cluster (``auto`` finds one) to use in place of local processes.
        tasks: how many there are; more processes than that are not started.
        start: called once in each local process.

    Function, tasks and results travel by pickle. What was imported by a name
    (`importing.import_object`) is known in each process; on a cluster its files must stand at the
    same paths.

    Raises:
        ConfigError: when a process dies, while the results are awaited.
    """
    check_whole("--jobs", jobs)
    if not tasks or (jobs == 1 and ray_address is None):
        yield map
    elif ray_address is not None:
        with _ray_pool(ray_address) as run:
            yield run
    else:
        with _local_pool(min(jobs, tasks), start) as run:
            yield run


@contextmanager
def _ray_pool(address: str) -> Iterator[Callable]:
    try:
        from ray.util.multiprocessing import Pool
    except ModuleNotFoundError:
        raise missing_packages("ray", ["ray"]) from None
    pool = Pool(ray_address=address, initializer=know, initargs=(own_things(),))
    try:
        yield pool.imap_unordered
        pool.close()
    finally:
        pool.terminate()
        pool.join()


@contextmanager
def _local_pool(processes: int, start: Callable[[], object] | None) -> Iterator[Callable]:
    # A fresh interpreter: torch, PyBullet and ONNX Runtime don't survive a fork.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, context, _start_worker, (start, own_things()))

    def run(function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        try:
            for done in as_completed([pool.submit(function, task) for task in tasks]):
                yield done.result()
        except BrokenProcessPool:
            raise ConfigError(
                f"one of {processes} worker processes died: what it wrote stands above, or it was "
                "killed, as one that takes too much memory is; fewer --jobs take less"
            ) from None

    try:
        yield run
    except BaseException:  # Ctrl-C too: nobody waits for what is left
        pool.shutdown(wait=False, cancel_futures=True)
        workers = set(multiprocessing.active_children()) - others
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        raise
    pool.shutdown(cancel_futures=True)


def _start_worker(start: Callable[[], object] | None, own: tuple[Own, ...]) -> None:
    """Ctrl-C is for the parent alone, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    know(own)
    if start is not None:
        start()
