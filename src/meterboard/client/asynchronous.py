"""The meter for asynchronous programs."""

import asyncio
import os
from types import TracebackType
from typing import Self

from meterboard.client.meter import Meter, Stats


class AsyncMeter:
    """A `Meter` whose waiting is awaited. `record` waits for nothing, so it is called as it is."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 256_000_000,
        timeout: float = 10.0,
    ) -> None:
        """See `Meter`. Raises: ValueError: an argument that can't be right."""
        self._meter = Meter(url, key, spool=spool, spool_bytes=spool_bytes, timeout=timeout)
        self.record = self._meter.record
        self.record_encoded = self._meter.record_encoded
        self.record_soon = self._meter.record_soon

    @property
    def stats(self) -> Stats:
        """What became of the events of this process."""
        return self._meter.stats

    async def flush(self, timeout: float = 10.0) -> bool:
        """Wait until Meterboard has what was recorded before this; False when `timeout` seconds were not enough."""
        return await asyncio.to_thread(self._meter.flush, timeout)

    async def aclose(self, timeout: float = 5.0) -> None:
        """Send what can be sent within `timeout` seconds, and stop. What is left stays in the spool."""
        await asyncio.to_thread(self._meter.close, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
