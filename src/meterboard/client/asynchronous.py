"""`AsyncMeter`, a meter for asynchronous programs."""

import asyncio
import os
from types import TracebackType
from typing import Self

from meterboard.client.meter import Meter, Stats


class AsyncMeter:
    """A `Meter` with `flush` and `aclose` to await. `record` never blocks, so it is called without `await`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 256_000_000,
        timeout: float = 10.0,
    ) -> None:
        """Takes the arguments of `Meter`. Raises: ValueError: an invalid argument."""
        self._meter = Meter(url, key, spool=spool, spool_bytes=spool_bytes, timeout=timeout)
        self.record = self._meter.record
        self.record_encoded = self._meter.record_encoded
        self.record_batched = self._meter.record_batched

    @property
    def stats(self) -> Stats:
        """Returns the counts of this process's events."""
        return self._meter.stats

    async def flush(self, timeout: float = 10.0) -> bool:
        """Waits until Meterboard has every event recorded before. Returns False after `timeout` seconds."""
        return await asyncio.to_thread(self._meter.flush, timeout)

    async def aclose(self, timeout: float = 5.0) -> None:
        """Sends what it can within `timeout` seconds, and stops. Other events stay in the spool."""
        await asyncio.to_thread(self._meter.close, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
