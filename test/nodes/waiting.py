"""Waiting for what other threads and processes do."""

import time

import pytest


def wait_until(condition, timeout: float = 10.0):
    """Poll until ``condition()`` gives something true, and give that; fail after ``timeout`` s."""
    give_up = time.monotonic() + timeout
    while time.monotonic() < give_up:
        if result := condition():
            return result
        time.sleep(0.005)
    pytest.fail(f"not within {timeout} s")
