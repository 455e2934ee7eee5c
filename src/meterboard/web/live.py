"""The live counter: the credits of the rolling window, sent to pages whenever they change."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from time import monotonic
from typing import Any
from weakref import WeakSet

from litestar import Request, get
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import json

from meterboard.domain.access import SESSION_COOKIE, Viewer
from meterboard.domain.organization import Organization
from meterboard.errors import Overloaded
from meterboard.service.credits import LiveCredits
from meterboard.service.reads import Reads
from meterboard.web.formatting import counter

POLL_SECONDS = 0.3
"""How often a stream checks for new events, so that an event shows within a second."""
RECOUNT_SECONDS = 5.0
"""How often the window is recounted without new events, because older ones leave it."""
HEARTBEAT_SECONDS = 15.0
"""How often a message is sent when nothing changed, so that the page notices a broken connection."""
STREAM_SECONDS = 600.0
"""How long a stream lasts. The page reconnects at once, which checks the session again."""
RETRY_MILLISECONDS = 500
MAX_STREAMS_PER_SESSION = 16
"""Streams of one session: each tab that shows the dashboard has one."""
MAX_STREAMS = 2_000
"""Streams in all. Each checks for new events three times a second, so this many take a tenth of a processor."""
RETRY_AFTER_SECONDS = 30
HEARTBEAT = ServerSentEventMessage(comment="heartbeat", event="here", data="1")
"""The comment keeps proxies from closing the connection. The event is for the page, which can't see comments."""

CounterText = dict[str, str | int]


class LiveStream:
    """An open stream of a session. It counts towards the limits as long as something refers to it."""

    def __init__(self, session: Hashable) -> None:
        self.session = session


class Counters:
    """The open streams and the counters that they send, counted once for all streams of an organisation."""

    def __init__(self, live_credits: LiveCredits, reads: Reads) -> None:
        self._live_credits = live_credits
        self._reads = reads
        self._streams: WeakSet[LiveStream] = WeakSet()
        self._counted: dict[int, tuple[int, float, CounterText]] = {}
        self._counting: dict[int, asyncio.Task[CounterText]] = {}

    def open(self, session: Hashable) -> LiveStream:
        """Opens a stream. Raises: Overloaded: this session has too many, or all sessions together."""
        own = sum(stream.session == session for stream in self._streams)
        if own >= MAX_STREAMS_PER_SESSION or len(self._streams) >= MAX_STREAMS:
            raise Overloaded(
                f"{own} live counters are open in this session. Close some of its tabs.",
                retry_after=RETRY_AFTER_SECONDS,
            )
        stream = LiveStream(session)
        self._streams.add(stream)
        return stream

    def close(self, stream: LiveStream) -> None:
        """Releases a stream's place."""
        self._streams.discard(stream)

    async def counter_text(self, organization: Organization) -> CounterText:
        """Returns the counter as pages show it. Raises: Overloaded: too many reads of the organisation are waiting."""
        version = self._live_credits.version(organization)
        known = self._counted.get(organization.id)
        if known and known[0] == version and monotonic() - known[1] < RECOUNT_SECONDS:
            return known[2]
        counting = self._counting.get(organization.id)
        if counting is None:
            counting = asyncio.create_task(self._count(organization, version))
            self._counting[organization.id] = counting
            counting.add_done_callback(lambda _: self._counting.pop(organization.id))
        return await asyncio.shield(counting)  # a stream that ends must not cancel it for the others

    async def _count(self, organization: Organization, version: int) -> CounterText:
        credits = await self._reads.run(organization.id, lambda: self._live_credits.now(organization))
        counter_text = counter(credits)
        self._counted[organization.id] = (version, monotonic(), counter_text)
        return counter_text


@get("/live", include_in_schema=False)
async def live(request: Request[Any, Any, Any], viewer: Viewer, counters: Counters) -> ServerSentEvent:
    """Sends the counter as server-sent events named `credits`."""
    stream = counters.open(request.cookies.get(SESSION_COOKIE))
    return ServerSentEvent(_messages(viewer.organization, counters, stream))


async def _messages(
    organization: Organization, counters: Counters, stream: LiveStream
) -> AsyncIterator[ServerSentEventMessage]:
    try:
        sent: CounterText = {}
        opened = last_sent = monotonic()
        while monotonic() - opened < STREAM_SECONDS:
            try:
                fresh = await counters.counter_text(organization)
            except Overloaded:  # the next poll may succeed
                fresh = sent
            if fresh != sent:
                sent, last_sent = fresh, monotonic()
                counter_text = json.encode(fresh).decode()
                yield ServerSentEventMessage(data=counter_text, event="credits", retry=RETRY_MILLISECONDS)
            if monotonic() - last_sent >= HEARTBEAT_SECONDS:
                last_sent = monotonic()
                yield HEARTBEAT
            await asyncio.sleep(POLL_SECONDS)
    finally:
        counters.close(stream)
