"""
The metering proxy as an ASGI application: a call goes on to the API as it came, comes back as it is, and is counted.

Nothing of a body is kept but a bounded copy, in memory and until the call is over, for counting its records. Counting
happens after the call: whatever becomes of it, the call is over already.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import msgspec
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Scope, Send

from meterboard.client import Meter
from meterboard.proxy.identity import Applications
from meterboard.proxy.records import Copies, Copy
from meterboard.proxy.upstream import Failure, NoAnswer, Upstream, request_headers, response_headers

log = logging.getLogger("meterboard.proxy")


class CallerGone(Exception):
    """Whoever called has closed the connection."""


class Call:
    """What is known of one call, to be counted when it is over."""

    def __init__(self, copies: Copies, scope: HTTPScope) -> None:
        self.time = datetime.now(UTC)
        self.scope = scope
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers = self.headers
        self.reached = True
        """The API may have got it; one that it can't have got is not counted."""
        self.status: int | None = None
        self._copies = copies
        self.request = Copy(copies, headers.get("content-type", ""), headers.get("content-encoding", ""))
        self.response = Copy(copies, "", "")

    def answered(self, status: int, content_type: str, encoding: str) -> None:
        """The API has begun to answer."""
        self.status = status
        self.response = Copy(self._copies, content_type, encoding)


class ProxyApp:
    """Every path is the API's: the proxy has none of its own."""

    def __init__(
        self,
        upstream: Upstream,
        meter: Meter,
        applications: Applications,
        *,
        records: str = "data",
        user_header: str | None = None,
    ) -> None:
        """`records` names the array in JSON bodies that is counted, with dots between the names of nested objects."""
        self._upstream = upstream
        self._meter = meter
        self._applications = applications
        self._records = records.split(".")
        self._user_header = user_header.lower() if user_header else None
        self._copies = Copies()
        self._under_way: set[Call] = set()
        self._counting: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await send(
                {"type": "websocket.close", "code": 1011, "reason": "The proxy passes no WebSockets on."}
            )
        elif "method" in scope:  # else the start or end of the server
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        call = Call(self._copies, scope)
        self._under_way.add(call)
        upload = Upload(receive, call.request.add)
        exchange = asyncio.ensure_future(self._exchange(scope, upload, call, send))
        gone = asyncio.ensure_future(upload.caller_gone())
        try:
            await asyncio.wait({exchange, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (exchange, gone):
                task.cancel()
            outcome, _ = await asyncio.gather(exchange, gone, return_exceptions=True)
            self._count_later(call)
        if isinstance(outcome, Exception) and not isinstance(outcome, CallerGone):
            log.warning("An answer of %s broke off: %s", self._upstream.name, type(outcome).__name__)
            raise outcome  # the server ends the connection, so that the caller sees an answer cut off, not a whole one

    async def _exchange(self, scope: HTTPScope, upload: "Upload", call: Call, send: Send) -> None:
        has_body = await upload.has_body(scope)
        target = self._upstream.base.encode() + scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        try:
            response = await self._upstream.send(
                scope["method"],
                target,
                request_headers(scope["headers"], has_body=has_body),
                upload.chunks() if has_body else None,
            )
        except NoAnswer as error:
            call.reached = error.failure.carried_out
            await _tell(send, error.failure)
            return
        try:
            headers = response_headers(response.headers)
            kinds = dict(headers)
            content_type, encoding = kinds.get(b"content-type", b""), kinds.get(b"content-encoding", b"")
            call.answered(response.status, content_type.decode("latin-1"), encoding.decode("latin-1"))
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            async for chunk in response.aiter_stream():
                call.response.add(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await response.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _count_later(self, call: Call) -> None:
        if call in self._under_way:  # else the proxy has ended
            self._under_way.discard(call)
            task = asyncio.get_running_loop().create_task(self._count(call))
            self._counting.add(task)
            task.add_done_callback(self._counting.discard)

    async def _count(self, call: Call) -> None:
        scope, headers = call.scope, call.headers
        try:
            if call.reached:
                records = await self._records_of(call)
                client = scope["client"]
                self._meter.record(
                    time=call.time,
                    application=self._applications.named(headers),
                    user=headers.get(self._user_header) if self._user_header else None,
                    ip=client[0] if client else None,
                    request={"method": scope["method"], "path": self._path(scope)},
                    records=records,
                    status=call.status,
                )
        except Exception as error:  # noqa: BLE001  # the call is over, and nothing of it may reach a log
            log.error("A call could not be counted: %s", type(error).__name__)
        finally:
            call.request.give_up()
            call.response.give_up()

    async def _records_of(self, call: Call) -> int | None:
        """Of the request, else of its answer."""
        for copy in (call.request, call.response):
            if copy.takes_long:
                found = await asyncio.to_thread(copy.records, self._records)
            else:
                found = copy.records(self._records)
            if found is not None:
                return found
        return None

    def _path(self, scope: HTTPScope) -> str:
        """The path, with the names of the query's parameters, which prices may depend on; values may be secrets."""
        path = self._upstream.base + scope["raw_path"].decode("latin-1")
        names = [part.partition(b"=")[0] for part in scope["query_string"].split(b"&") if b"=" in part]
        return f"{path}?{b'&'.join(names).decode('latin-1')}" if names else path

    async def close(self) -> None:
        """Count what is over and what is cut off now, then end the connections to the API."""
        for call in list(self._under_way):
            self._count_later(call)
        await asyncio.gather(*self._counting)
        await self._upstream.close()


class Upload:
    """A request's body as it comes; `seen` hears of each piece that was passed on."""

    def __init__(self, receive: Receive, seen: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._seen = seen
        self._first: bytes | None = None
        self._complete = asyncio.Event()

    async def has_body(self, scope: HTTPScope) -> bool:
        """Will there be one? Waits for its beginning only where no header tells."""
        names = {name for name, _ in scope["headers"]}
        if b"content-length" in names or b"transfer-encoding" in names:
            return True
        self._first = await self._next()
        return bool(self._first) or not self._complete.is_set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its pieces. Raises: CallerGone: before its end."""
        if self._first:
            yield self._first
        while not self._complete.is_set():
            chunk = await self._next()
            if chunk:
                yield chunk

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise CallerGone
        chunk: bytes = message.get("body", b"")
        self._seen(chunk)
        if not message.get("more_body", False):
            self._complete.set()
        return chunk

    async def caller_gone(self) -> None:
        """Returns when the caller has closed the connection, after the whole body has come."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _tell(send: Send, failure: Failure) -> None:
    """An answer of the proxy's own, which says so."""
    body = msgspec.json.encode(
        {
            "type": f"urn:meterboard:proxy:{failure.error}",
            "title": failure.status.phrase,
            "status": failure.status,
            "detail": f"Meterboard's metering proxy has no answer for this call: {failure.message}",
        }
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"proxy-status", f"meterboard; error={failure.error}".encode()),
    ]
    await send({"type": "http.response.start", "status": failure.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
