"""
Reports how many credits are left to an API's callers, and refuses calls when none are.

A background thread reads the allowance from Meterboard, so it is at most a second old. While it is unknown, calls are
accepted and counted as unchecked: the API must work while Meterboard does not.
"""

import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from math import inf
from threading import Event, Lock, Thread
from typing import Any, NamedTuple
from weakref import WeakSet

from meterboard.client.timing import PollTiming
from meterboard.client.transport import PROBLEM, NoResponse, Transport

__all__ = ["PROBLEM", "Allowance", "AllowanceGuard", "GuardStats"]
log = logging.getLogger("meterboard.client")

WINDOW_SECONDS = 86_400
POLICY = "credits"
"""The name of the quota policy in the RateLimit fields."""
EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


class Allowance(NamedTuple):
    """The headers of a response. `refused`: its status is to be 429, and its body this one."""

    refused: bool
    headers: list[tuple[str, str]]
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class GuardStats:
    """Counts of the calls that a guard checked in this process."""

    checked: int
    """Calls while the allowance was known."""
    refused: int
    """Those of them that were refused."""
    unchecked: int
    """Calls that were accepted while the allowance was unknown, because Meterboard did not respond in time."""
    last_error: str | None


class AllowanceGuard:
    """
    Checks calls against the allowance of one organisation.

    Its headers are `X-API-CREDITS-REMAINING`, and `RateLimit` and `RateLimit-Policy` of
    draft-ietf-httpapi-ratelimit-headers-11.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        refuse: bool = False,
        timeout: float = 1.0,
        _timing: PollTiming = PollTiming(),  # noqa: B008  # it never changes
    ) -> None:
        """
        Starts to read the allowance.

        `key` is one of the organisation's own that may read. `refuse`: refuse calls with 429 when no credits are left.

        Raises: ValueError: an invalid argument.
        """
        self._timing = _timing
        self._refuse = refuse
        self._arguments = url, key, timeout
        self._init_process()
        self._start()
        _guards.add(self)

    def _init_process(self) -> None:
        self._transport = Transport(*self._arguments)
        self._allowance: Allowance | None = None
        self._read_at = -inf
        self._reset: datetime | None = None
        self._reset_read_at = -inf
        self._stopping = Event()
        self._thread: Thread | None = None
        self._counting = Lock()
        self._checked = self._refused = self._unchecked = 0
        self._last_error: str | None = None

    def _start(self) -> None:
        self._thread = Thread(target=self._poll_until_stopped, name="meterboard-allowance", daemon=True)
        self._thread.start()

    def check(self) -> Allowance | None:
        """Counts a call, and returns what to tell its caller: None while the allowance is unlimited or unknown."""
        with self._counting:
            if self._thread is None:
                self._start()
            if self._timing.monotonic() - self._read_at > self._timing.max_age_seconds:
                self._unchecked += 1
                return None
            self._checked += 1
            allowance = self._allowance
            if allowance is not None and allowance.refused:
                self._refused += 1
            return allowance

    @property
    def stats(self) -> GuardStats:
        """Returns the counts of this process."""
        with self._counting:
            return GuardStats(self._checked, self._refused, self._unchecked, self._last_error)

    def close(self) -> None:
        """Stops reading the allowance."""
        _guards.discard(self)
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _poll_until_stopped(self) -> None:
        timing = self._timing
        while not self._stopping.is_set():
            began_at = timing.monotonic()
            try:
                credits = self._read("/v1/credits")
                self._allowance = None if credits["allowance"] is None else self._to_allowance(credits)
                self._read_at = began_at
                self._last_error = None
            except (NoResponse, ValueError, KeyError, TypeError) as error:
                if self._last_error is None:
                    log.warning("The allowance is unknown, so calls are accepted unchecked: %s", error)
                self._last_error = str(error)
            self._stopping.wait(max(0.0, began_at + timing.poll_seconds - timing.monotonic()))
        self._transport.close()

    def _read(self, path: str) -> Any:
        """Returns the JSON at a path. Raises: NoResponse: none, or a refusal. ValueError: not JSON."""
        response = self._transport.get(path)
        if response.status != 200:
            raise NoResponse(f"GET {path} returned status {response.status}")
        return json.loads(response.body)

    def _to_allowance(self, credits: dict[str, Any]) -> Allowance:
        unused = int(credits["unused"])
        unit = f'meterboard-unit="{POLICY}"'  # without it, the fields would count requests
        policy = f'"{POLICY}";q={int(credits["allowance"])};w={WINDOW_SECONDS};{unit}'
        headers = [("X-API-CREDITS-REMAINING", str(unused)), ("RateLimit-Policy", policy)]
        if unused > 0:
            headers.append(("RateLimit", f'"{POLICY}";r={unused};{unit}'))
            return Allowance(False, headers, _raw(headers), b"")
        now = datetime.fromisoformat(credits["window"]["end"])
        seconds = self._seconds_until_reset(now)
        headers.append(("RateLimit", f'"{POLICY}";r=0;t={seconds};{unit}'))
        if not self._refuse:
            return Allowance(False, headers, _raw(headers), b"")
        headers.append(("Retry-After", str(seconds)))
        problem = {
            "type": EXCEEDED,
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "detail": f"All {credits['allowance']:,} credits of the last 24 hours are used. "
            f"The next ones come back within {seconds:,} seconds.",
            "violated-policies": [POLICY],
        }
        return Allowance(True, headers, _raw(headers), json.dumps(problem).encode())

    def _seconds_until_reset(self, now: datetime) -> int:
        """
        Returns the whole seconds until credits come back, by Meterboard's clock; at least 1.

        Meterboard reports the hour in which the next ones do, so this is the end of that hour.
        """
        is_old = self._timing.monotonic() - self._reset_read_at > self._timing.reset_poll_seconds
        if is_old or self._reset is None or self._reset <= now:
            points = self._read("/v1/credits/returns")["points"]
            self._reset_read_at = self._timing.monotonic()
            starts = [datetime.fromisoformat(point["start"]) for point in points]
            first = next(
                (index for index, point in enumerate(points) if point["credits"] > 0), len(points) - 1
            )
            self._reset = starts[min(first + 1, len(starts) - 1)]
        return max(1, int((self._reset - now).total_seconds()) + 1)


def _raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers]


_guards: WeakSet[AllowanceGuard] = WeakSet()


def _after_fork() -> None:
    for guard in list(_guards):
        guard._transport.close()  # this process's copy of the parent's connection
        guard._init_process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
