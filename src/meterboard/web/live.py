"""The live line: the counter of the rolling window, sent to the page whenever it changes."""

import asyncio
from collections.abc import AsyncIterator

from litestar import get
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import json

from meterboard.domain.access import Viewer
from meterboard.domain.organization import Organization
from meterboard.service.credits import LiveCredits
from meterboard.web.words import counter

LOOK_SECONDS = 0.3
"""How often it is asked whether anything was counted: an event shows within a second."""
RECOUNT_SECONDS = 5.0
"""How often the window is counted even so, since what was used comes back with time."""
HEARTBEAT_SECONDS = 15.0
"""How often a word is sent even if nothing changed, so that a dead line is noticed."""
LINE_SECONDS = 600.0
"""How long a line is kept. The page calls again at once, and whether it still may is asked anew."""
RETRY_MILLISECONDS = 500
HEARTBEAT = ServerSentEventMessage(comment="still here", event="here", data="1")
"""A comment for what stands between, an event for the page, which is not told of comments."""


@get("/live", include_in_schema=False)
async def live(viewer: Viewer, live_credits: LiveCredits) -> ServerSentEvent:
    """Server-sent events named `credits`, each the counter in words."""
    return ServerSentEvent(_counters(viewer.organization, live_credits))


async def _counters(
    organization: Organization, live_credits: LiveCredits
) -> AsyncIterator[ServerSentEventMessage]:
    sent: dict[str, str | int] = {}
    version = -1
    since_count = since_sent = open_for = 0.0
    while open_for < LINE_SECONDS:
        now = live_credits.version(organization)
        if now != version or since_count >= RECOUNT_SECONDS:
            version, since_count = now, 0.0
            fresh = counter(await asyncio.to_thread(live_credits.now, organization))
            if fresh != sent:
                sent, since_sent = fresh, 0.0
                words = json.encode(fresh).decode()
                yield ServerSentEventMessage(data=words, event="credits", retry=RETRY_MILLISECONDS)
        if since_sent >= HEARTBEAT_SECONDS:
            since_sent = 0.0
            yield HEARTBEAT
        await asyncio.sleep(LOOK_SECONDS)
        since_count += LOOK_SECONDS
        since_sent += LOOK_SECONDS
        open_for += LOOK_SECONDS
