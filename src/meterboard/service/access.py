"""Authentication by keys and sessions, cached for a few seconds so that not every request reads the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Generic, TypeVar

from cachetools import TTLCache

from meterboard.domain.access import ApiKey, Viewer
from meterboard.errors import Overloaded, Unauthenticated

CACHE_SECONDS = 5.0
"""How long a revoked key or an ended session may still work."""
CACHE_SIZE = 10_000
MAX_SECRET_LENGTH = 200
"""Characters. Meterboard's secrets have under 50. With CACHE_SIZE this bounds the cache to a few megabytes."""
THREADS = 2
"""Threads that look up keys and sessions. No other work uses them, so that none can delay a look-up."""
MAX_SIGN_INS = 32
"""Sign-ins and sign-outs that wait for their one thread. Links may be invented by anyone, so their number is bounded."""
RETRY_SECONDS = 2

T = TypeVar("T")
R = TypeVar("R")


class _SecretCache(Generic[T]):
    def __init__(
        self,
        threads: ThreadPoolExecutor,
        find: Callable[[str], T],
        exists: Callable[[str], bool],
        unknown: str,
        monotonic: Callable[[], float],
    ) -> None:
        self._threads = threads
        self._find = find
        self._exists = exists
        self._unknown = unknown
        self._cache: TTLCache[str, T] = TTLCache(CACHE_SIZE, CACHE_SECONDS, timer=monotonic)

    async def get(self, secret: str) -> T:
        try:
            return self._cache[secret]
        except KeyError:
            return await self._look_up(secret)

    async def _look_up(self, secret: str) -> T:
        # Unknown secrets are refused in the event loop, so that many of them don't fill the threads.
        if len(secret) > MAX_SECRET_LENGTH or not self._exists(secret):
            raise Unauthenticated(self._unknown)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._find, secret)
        self._cache[secret] = found
        return found

    def forget(self, secret: str) -> None:
        self._cache.pop(secret, None)


class Access:
    """Finds the key or the session that a secret belongs to."""

    def __init__(
        self,
        *,
        key: Callable[[str], ApiKey],
        is_key: Callable[[str], bool],
        viewer: Callable[[str], Viewer],
        is_session: Callable[[str], bool],
        sign_in: Callable[[str], str],
        sign_out: Callable[[str], None],
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """
        `is_key` and `is_session` are called in the event loop, and must not block.

        `monotonic` returns seconds of a clock that is never set back: otherwise revoked keys would stay in the cache.
        """
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="access")
        self._keys = _SecretCache(
            self._threads,
            key,
            is_key,
            "The key in the Authorization header is unknown or was revoked. "
            "Create one with: meterboard key create ORG",
            monotonic,
        )
        self._viewers = _SecretCache(
            self._threads,
            viewer,
            is_session,
            "You are not signed in, or your session has ended. Open a new sign-in link.",
            monotonic,
        )
        self._sign_in = sign_in
        self._sign_out = sign_out
        self._signing = ThreadPoolExecutor(1, thread_name_prefix="sign-in")
        self._sign_ins = 0

    async def key(self, secret: str) -> ApiKey:
        """Returns the key with a secret. Raises: Unauthenticated: there is none."""
        return await self._keys.get(secret)

    async def viewer(self, session: str) -> Viewer:
        """Returns the person that a session belongs to. Raises: Unauthenticated: there is no such session."""
        return await self._viewers.get(session)

    async def sign_in(self, link: str) -> str:
        """Uses up a one-time link and returns the secret of a new session. Raises: Unauthenticated. Overloaded."""
        return await self._in_thread(self._sign_in, link)

    async def sign_out(self, session: str) -> None:
        """Ends a session immediately. Raises: Overloaded: it has not ended."""
        self._viewers.forget(session)
        await self._in_thread(self._sign_out, session)

    async def _in_thread(self, work: Callable[[str], R], secret: str) -> R:
        if self._sign_ins >= MAX_SIGN_INS:
            raise Overloaded(
                f"{MAX_SIGN_INS} people are signing in or out. Try again in {RETRY_SECONDS} seconds.",
                retry_after=RETRY_SECONDS,
            )
        self._sign_ins += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._signing, work, secret)
        finally:
            self._sign_ins -= 1

    def close(self) -> None:
        """Waits for look-ups in progress, and ends the threads."""
        self._threads.shutdown()
        self._signing.shutdown()
