"""The live line: the counter of the rolling window, sent to the page whenever it changes."""

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

LOOK_SECONDS = 0.3
"""How often it is asked whether anything was counted: an event shows within a second."""
RECOUNT_SECONDS = 5.0
"""How often the window is counted even so, since what was used comes back with time."""
HEARTBEAT_SECONDS = 15.0
"""How often a word is sent even if nothing changed, so that a dead line is noticed."""
LINE_SECONDS = 600.0
"""How long a line is kept. The page calls again at once, and whether it still may is asked anew."""
RETRY_MILLISECONDS = 500
MOST_LINES_EACH = 16
"""Lines of one session: a line is a tab that shows the dashboard."""
MOST_LINES = 2_000
"""Lines in all. Each asks three times a second whether anything was counted, so these take a tenth of a processor."""
REFUSED_SECONDS = 30
HEARTBEAT = ServerSentEventMessage(comment="still here", event="here", data="1")
"""A comment for what stands between, an event for the page, which is not told of comments."""

CounterText = dict[str, str | int]


class LiveStream:
    """An open line of a session. It counts as long as anything refers to it."""

    def __init__(self, session: Hashable) -> None:
        self.session = session


class Counters:
    """The open lines, and the counters that they show: counted once for all lines of an organisation."""

    def __init__(self, live_credits: LiveCredits, reads: Reads) -> None:
        self._live_credits = live_credits
        self._reads = reads
        self._lines: WeakSet[LiveStream] = WeakSet()
        self._counted: dict[int, tuple[int, float, CounterText]] = {}
        self._counting: dict[int, asyncio.Task[CounterText]] = {}

    def open(self, session: Hashable) -> LiveStream:
        """A new line. Raises: Overloaded: the session has too many, or there are too many in all."""
        own = sum(line.session == session for line in self._lines)
        if own >= MOST_LINES_EACH or len(self._lines) >= MOST_LINES:
            raise Overloaded(
                f"{own} live counters are open in this session. Close some of its tabs.",
                retry_after=REFUSED_SECONDS,
            )
        line = LiveStream(session)
        self._lines.add(line)
        return line

    def close(self, line: LiveStream) -> None:
        """Lets another be opened."""
        self._lines.discard(line)

    async def words(self, organization: Organization) -> CounterText:
        """The counter as it is shown. Raises: Overloaded: too many reads of the organisation are waiting."""
        version = self._live_credits.version(organization)
        known = self._counted.get(organization.id)
        if known and known[0] == version and monotonic() - known[1] < RECOUNT_SECONDS:
            return known[2]
        counting = self._counting.get(organization.id)
        if counting is None:
            counting = asyncio.create_task(self._count(organization, version))
            self._counting[organization.id] = counting
            counting.add_done_callback(lambda _: self._counting.pop(organization.id))
        return await asyncio.shield(counting)  # a line that ends must not end it for the others

    async def _count(self, organization: Organization, version: int) -> CounterText:
        credits = await self._reads.run(organization.id, lambda: self._live_credits.now(organization))
        words = counter(credits)
        self._counted[organization.id] = (version, monotonic(), words)
        return words


@get("/live", include_in_schema=False)
async def live(request: Request[Any, Any, Any], viewer: Viewer, counters: Counters) -> ServerSentEvent:
    """Server-sent events named `credits`, each the counter in words."""
    line = counters.open(request.cookies.get(SESSION_COOKIE))
    return ServerSentEvent(_messages(viewer.organization, counters, line))


async def _messages(
    organization: Organization, counters: Counters, line: LiveStream
) -> AsyncIterator[ServerSentEventMessage]:
    try:
        sent: CounterText = {}
        opened = said = monotonic()
        while monotonic() - opened < LINE_SECONDS:
            try:
                fresh = await counters.words(organization)
            except Overloaded:  # the next look may find a place
                fresh = sent
            if fresh != sent:
                sent, said = fresh, monotonic()
                words = json.encode(fresh).decode()
                yield ServerSentEventMessage(data=words, event="credits", retry=RETRY_MILLISECONDS)
            if monotonic() - said >= HEARTBEAT_SECONDS:
                said = monotonic()
                yield HEARTBEAT
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        counters.close(line)
