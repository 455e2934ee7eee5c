"""GET /metrics: how Meterboard itself is doing, for Prometheus."""

import asyncio
from ipaddress import ip_address
from typing import Any

from litestar import Request, Response, get

from meterboard.api.auth import key_of
from meterboard.domain.caller.ip import ip_or_none
from meterboard.errors import Forbidden, NotFound
from meterboard.service.access import Access
from meterboard.service.jobs.health import Health

PATH = "/metrics"
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that tell of a proxy in front, behind which everybody seems to be on this machine."""


@get(PATH, include_in_schema=False)
async def metrics(
    request: Request[Any, Any, Any], access: Access, health: Health, metrics_for: str
) -> Response[bytes]:
    """Raises: NotFound, Unauthenticated, Forbidden: as the setting `metrics` says."""
    await _check(request, access, metrics_for)
    content, content_type = await asyncio.to_thread(health.render, request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


async def _check(request: Request[Any, Any, Any], access: Access, metrics_for: str) -> None:
    if metrics_for == "off":
        raise NotFound(f"Not found: {PATH}. The setting metrics is off.")
    if metrics_for == "local":
        if not _is_local(request):
            raise Forbidden(f"{PATH} is only available on this machine: the setting metrics is local.")
        return
    key = await key_of(request.headers.get("authorization"), access)
    if key.organization is not None:
        raise Forbidden(
            f"{PATH} is about the server, not about an organisation. Use a provider-wide key: meterboard key create '*'"
        )


def _is_local(request: Request[Any, Any, Any]) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    host = ip_or_none(request.client.host)
    return host is not None and ip_address(host).is_loopback
