"""Waiting for what another thread or process does."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.01
TIMEOUT_SECONDS = 60
"""Long enough for a busy machine: no test takes this long unless it fails."""


def eventually(condition: Callable[[], T], what: str = "the condition") -> T:
    """Waits until a condition returns a true value, and returns that value."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not become true"
        time.sleep(POLL_SECONDS)
    return value


async def eventually_in_loop(condition: Callable[[], T], what: str = "the condition") -> T:
    """`eventually` for what the event loop of the caller does."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not become true"
        await asyncio.sleep(POLL_SECONDS)
    return value
