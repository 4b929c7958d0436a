"""Work spread over processes of this machine or a Ray cluster; one process by default."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from liquid_control.config import missing_packages
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

    Function, tasks and results travel by pickle.
    """
    check_whole("--jobs", jobs)
    if not tasks or (jobs == 1 and ray_address is None):
        yield map
        return
    if ray_address is not None:
        try:
            from ray.util.multiprocessing import Pool
        except ModuleNotFoundError:
            raise missing_packages("ray", ["ray"]) from None
        pool = Pool(ray_address=ray_address)
    else:
        from multiprocessing import get_context

        # A fresh interpreter: torch, PyBullet and ONNX Runtime don't survive a fork.
        pool = get_context("spawn").Pool(min(jobs, tasks), _start_worker, [start])
    try:
        yield pool.imap_unordered
        pool.close()
    finally:
        pool.terminate()
        pool.join()


def _start_worker(start: Callable[[], object] | None) -> None:
    """Ctrl-C is for the parent alone, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if start is not None:
        start()
