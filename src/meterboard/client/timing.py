"""How long the client waits, and by which clocks. Tests pass shorter waits and clocks of their own."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The waits of a `Meter`, in seconds, and its clocks."""

    linger_seconds: float = 0.2
    """How long the first event of a batch waits for others."""
    first_retry_seconds: float = 0.5
    """The longest wait before the first retry; it doubles with each failure."""
    max_retry_seconds: float = 30.0
    refused_retry_seconds: float = 60.0
    """The longest wait after a refusal that lasts until a person fixes its cause, such as the key."""
    sync_seconds: float = 1.0
    """How often waiting events are flushed to the disk while Meterboard is unavailable."""
    recovery_seconds: float = 10.0
    """How often the spool is searched for events of processes that ended."""
    time_ns: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class PollTiming:
    """The waits of an `AllowanceGuard`, in seconds, and its clock."""

    poll_seconds: float = 0.5
    max_age_seconds: float = 1.0
    """What was read longer ago is not used."""
    reset_poll_seconds: float = 30.0
    """How often to ask when credits come back, while none are left."""
    monotonic: Callable[[], float] = time.monotonic
