"""
Telling callers how many credits are left, and refusing their calls when none are.

What is known is asked for in the background and never older than a second. While it is not known, calls are let through
and counted as such: a meter that is away must not take the API with it.
"""

import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

from meterboard.client.transport import PROBLEM, NoResponse, Transport

__all__ = ["PROBLEM", "Allowance", "AllowanceGuard", "GuardStats"]
log = logging.getLogger("meterboard.client")

MOST_AGE_SECONDS = 1.0
EVERY_SECONDS = 0.5
RESET_EVERY_SECONDS = 30.0
WINDOW_SECONDS = 86_400
POLICY = "credits"
"""The name of the quota policy in the RateLimit fields."""
EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


class Allowance(NamedTuple):
    """What an answer to a caller says. `refused`: it is to be 429 with this body."""

    refused: bool
    headers: list[tuple[str, str]]
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class GuardStats:
    """What a guard did in this process."""

    checked: int
    """Calls that it was asked about."""
    refused: int
    let_through: int
    """Calls during which it was not known what is left, because Meterboard did not answer in time."""
    last_error: str | None


class AllowanceGuard:
    """
    Knows what is left of one organisation's allowance.

    `headers`: `X-API-CREDITS-REMAINING`, and `RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers-11.
    """

    def __init__(self, url: str, key: str, *, refuse: bool = False, timeout: float = 1.0) -> None:
        """
        `key` is one of the organisation's own that may read. `refuse`: answer calls with 429 when nothing is left.

        Raises: ValueError: an argument that can't be right.
        """
        self._refuse = refuse
        self._arguments = url, key, timeout
        self._begin()
        self._start()
        _guards.add(self)

    def _begin(self) -> None:
        self._transport = Transport(*self._arguments)
        self._known: Allowance | None = None
        self._known_at = -MOST_AGE_SECONDS
        self._reset: datetime | None = None
        self._reset_asked_at = -RESET_EVERY_SECONDS
        self._end = Event()
        self._thread: Thread | None = None
        self._counting = Lock()
        self._checked = self._refused = self._let_through = 0
        self._last_error: str | None = None

    def _start(self) -> None:
        self._thread = Thread(target=self._watch, name="meterboard-allowance", daemon=True)
        self._thread.start()

    def now(self) -> Allowance | None:
        """What to tell a caller; None when the allowance is unlimited, or not known at the moment."""
        with self._counting:
            self._checked += 1
            if self._thread is None:
                self._start()
            if monotonic() - self._known_at > MOST_AGE_SECONDS:
                self._let_through += 1
                return None
            known = self._known
            if known is not None and known.refused:
                self._refused += 1
            return known

    @property
    def stats(self) -> GuardStats:
        """What it did in this process."""
        with self._counting:
            return GuardStats(self._checked, self._refused, self._let_through, self._last_error)

    def close(self) -> None:
        """Stop asking."""
        _guards.discard(self)
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._end.is_set():
            asked_at = monotonic()
            try:
                credits = self._ask("/v1/credits")
                self._known = None if credits["allowance"] is None else self._told(credits)
                self._known_at = asked_at
                self._last_error = None
            except (NoResponse, ValueError, KeyError, TypeError) as error:
                if self._last_error is None:
                    log.warning(
                        "What is left of the allowance is not known, so calls are let through: %s", error
                    )
                self._last_error = str(error)
            self._end.wait(max(0.0, asked_at + EVERY_SECONDS - monotonic()))
        self._transport.close()

    def _ask(self, path: str) -> Any:
        """Raises: NoResponse: nobody answered, or refused. ValueError: not JSON."""
        answer = self._transport.get(path)
        if answer.status != 200:
            raise NoResponse(f"GET {path} was answered with {answer.status}")
        return json.loads(answer.body)

    def _told(self, credits: dict[str, Any]) -> Allowance:
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
        Whole seconds until credits have come back, by Meterboard's clock; at least 1.

        Meterboard tells the hour in which the next ones do, so this is the end of that hour.
        """
        stale = monotonic() - self._reset_asked_at > RESET_EVERY_SECONDS
        if stale or self._reset is None or self._reset <= now:
            points = self._ask("/v1/credits/returns")["points"]
            self._reset_asked_at = monotonic()
            starts = [datetime.fromisoformat(point["start"]) for point in points]
            first = next((at for at, point in enumerate(points) if point["credits"] > 0), len(points) - 1)
            self._reset = starts[min(first + 1, len(starts) - 1)]
        return max(1, int((self._reset - now).total_seconds()) + 1)


def _raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers]


_guards: WeakSet[AllowanceGuard] = WeakSet()


def _after_fork() -> None:
    for guard in list(_guards):
        guard._transport.close()  # this process's end of it; the connection is the parent's
        guard._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
