"""Who is asking: keys and sessions, remembered for a few seconds so that not every request asks the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Generic, TypeVar

from cachetools import TTLCache

from meterboard.domain.access import ApiKey, Viewer
from meterboard.errors import Overloaded, Unauthenticated

REMEMBERED_SECONDS = 5.0
"""How long a revoked key or an ended session may still work."""
MOST_REMEMBERED = 10_000
LONGEST_SECRET = 200
"""Characters; those that Meterboard makes have under 50. With MOST_REMEMBERED this bounds the memory to a few megabytes."""
THREADS = 2
"""For looking keys and sessions up: threads of their own, so that no other work can keep them waiting."""
MOST_SIGN_INS = 32
"""Sign-ins and sign-outs that wait for the one thread that does them. Anybody may send made-up links."""
RETRY_SECONDS = 2

T = TypeVar("T")
R = TypeVar("R")


class _Remembered(Generic[T]):
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
        self._known: TTLCache[str, T] = TTLCache(MOST_REMEMBERED, REMEMBERED_SECONDS, timer=monotonic)

    async def get(self, secret: str) -> T:
        try:
            return self._known[secret]
        except KeyError:
            return await self._look_up(secret)

    async def _look_up(self, secret: str) -> T:
        # An unknown secret is refused here and now: whoever sends many keeps nobody waiting.
        if len(secret) > LONGEST_SECRET or not self._exists(secret):
            raise Unauthenticated(self._unknown)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._find, secret)
        self._known[secret] = found
        return found

    def forget(self, secret: str) -> None:
        self._known.pop(secret, None)


class Access:
    """Finds out who a secret belongs to."""

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
        `is_key` and `is_session` are called in the event loop, and must answer at once.

        `monotonic` is a clock in seconds that is never set back, which would lengthen the life of what was revoked.
        """
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="access")
        self._keys = _Remembered(
            self._threads,
            key,
            is_key,
            "The key in the Authorization header is not known here, or was revoked. "
            "Make one: meterboard key create ORG",
            monotonic,
        )
        self._viewers = _Remembered(
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
        """Raises: Unauthenticated: there is no such key."""
        return await self._keys.get(secret)

    async def viewer(self, session: str) -> Viewer:
        """Raises: Unauthenticated: there is no such session."""
        return await self._viewers.get(session)

    async def sign_in(self, link: str) -> str:
        """Use up a one-time link; answers a session's secret. Raises: Unauthenticated. Overloaded."""
        return await self._in_thread(self._sign_in, link)

    async def sign_out(self, session: str) -> None:
        """End a session at once. Raises: Overloaded: it has not ended."""
        self._viewers.forget(session)
        await self._in_thread(self._sign_out, session)

    async def _in_thread(self, work: Callable[[str], R], secret: str) -> R:
        if self._sign_ins >= MOST_SIGN_INS:
            raise Overloaded(
                f"{MOST_SIGN_INS} people are signing in or out. Try again in {RETRY_SECONDS} seconds.",
                retry_after=RETRY_SECONDS,
            )
        self._sign_ins += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._signing, work, secret)
        finally:
            self._sign_ins -= 1

    def close(self) -> None:
        """Waits for what is being looked up."""
        self._threads.shutdown()
        self._signing.shutdown()
