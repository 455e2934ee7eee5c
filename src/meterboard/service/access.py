"""Who is asking: keys and sessions, remembered for a few seconds so that not every request asks the database."""

import asyncio
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from meterboard.clock import Clock
from meterboard.domain.access import ApiKey, Viewer

REMEMBERED = timedelta(seconds=5)
"""How long a revoked key or an ended session may still work."""
MOST_REMEMBERED = 10_000

T = TypeVar("T")


class _Remembered(Generic[T]):
    def __init__(self, find: Callable[[str], T], clock: Clock) -> None:
        self._find = find
        self._clock = clock
        self._known: dict[Hashable, tuple[T, datetime]] = {}

    async def get(self, secret: str) -> T:
        known = self._known.get(secret)
        now = self._clock.now()
        if known and now < known[1]:
            return known[0]
        found = await asyncio.to_thread(self._find, secret)  # what is not found raises and is not remembered
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[secret] = (found, now + REMEMBERED)
        return found

    def forget(self, secret: str) -> None:
        self._known.pop(secret, None)


class Access:
    """Finds out who a secret belongs to."""

    def __init__(
        self,
        clock: Clock,
        *,
        key: Callable[[str], ApiKey],
        viewer: Callable[[str], Viewer],
        sign_in: Callable[[str], str],
        sign_out: Callable[[str], None],
    ) -> None:
        self._keys = _Remembered(key, clock)
        self._viewers = _Remembered(viewer, clock)
        self._sign_in = sign_in
        self._sign_out = sign_out

    async def key(self, secret: str) -> ApiKey:
        """Raises: Unauthenticated: there is no such key."""
        return await self._keys.get(secret)

    async def viewer(self, session: str) -> Viewer:
        """Raises: Unauthenticated: there is no such session."""
        return await self._viewers.get(session)

    async def sign_in(self, link: str) -> str:
        """Use up a one-time link; answers a session's secret. Raises: Unauthenticated."""
        return await asyncio.to_thread(self._sign_in, link)

    async def sign_out(self, session: str) -> None:
        """End a session at once."""
        self._viewers.forget(session)
        await asyncio.to_thread(self._sign_out, session)
