"""
The metering proxy as an ASGI application: a call goes on to the API as it came, comes back as it is, and is counted.

Nothing of a body is kept but a bounded copy, in memory and until the call is over, for counting its records. Counting
happens after the call: whatever becomes of it, the call is over already.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Scope, Send

from meterboard.client import Meter
from meterboard.http.answer import send_answer
from meterboard.http.problem import MEDIA_TYPE, problem_document
from meterboard.proxy.identity import Applications, OwnDimensions
from meterboard.proxy.records import Copies, Copy
from meterboard.proxy.request import header_text, ip_of, parameters_of, path_of, query_of, refusal
from meterboard.proxy.upstream import Failure, Upstream, UpstreamFailed, request_headers, response_headers

log = logging.getLogger("meterboard.proxy")


CALLS_OF_ONE_PEER = 1_000
"""Calls of one address that are under way at a time: half of the connections to the API."""
TOO_MANY = Failure(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "connection_limit_reached",
    "Too many calls from one address at a time.",
    False,
)
SILENT = Failure(
    HTTPStatus.REQUEST_TIMEOUT, "http_request_error", "The rest of the request did not come in time.", True
)


class CallerGone(Exception):
    """The caller has closed the connection."""


class CallerSilent(Exception):
    """The caller takes too long to send the rest of a request."""


class ProxiedCall:
    """What is known of one call, to be counted when it is over."""

    def __init__(self, copies: Copies, scope: HTTPScope, base: str) -> None:
        """`base` goes in front of the path."""
        self.time = datetime.now(UTC)
        self.scope = scope
        self.path = path_of(base, scope)
        self.query = query_of(scope)
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers = self.headers
        self.reached = False
        """The API may have got it; one that it can't have got is not counted."""
        self.status: int | None = None
        self._copies = copies
        self.request = Copy(copies, headers.get("content-type", ""), headers.get("content-encoding", ""))
        self.response = Copy(copies, "", "")

    @property
    def target(self) -> bytes:
        """What follows the API's host."""
        return f"{self.path}?{self.query}".encode() if self.query else self.path.encode()

    @property
    def counted_path(self) -> str:
        names = parameters_of(self.query)
        return f"{self.path}?{names}" if names else self.path

    def text(self, header: str | None) -> str | None:
        """What a header says, if anything; its name is in lower case."""
        value = self.headers.get(header) if header else None
        return header_text(value.encode("latin-1")) if value else None

    def answered(self, status: int, content_type: str, encoding: str) -> None:
        """The API has begun to answer."""
        self.status = status if 100 <= status <= 599 else None  # others are none of HTTP's
        self.response = Copy(self._copies, content_type, encoding)


class ProxyApp:
    """Every path is the API's: the proxy has none of its own."""

    def __init__(
        self,
        upstream: Upstream,
        meter: Meter,
        applications: Applications,
        dimensions: OwnDimensions,
        *,
        records: str = "data",
        user_header: str | None = None,
        calls_of_one_peer: int = CALLS_OF_ONE_PEER,
    ) -> None:
        """`records` names the array in JSON bodies that is counted, with dots between the names of nested objects."""
        self._calls_of_one_peer = calls_of_one_peer
        self._peers: Counter[str] = Counter()
        self._upstream = upstream
        self._meter = meter
        self._applications = applications
        self._records = records.split(".")
        self._user_header = user_header.lower() if user_header else None
        self._dimensions = dimensions
        self._copies = Copies()
        self._one_large = asyncio.Lock()  # a large body takes some 100 MB while it is looked into
        self._under_way: set[ProxiedCall] = set()
        self._counting: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:  # the start or end of the server
            return
        peer = scope["client"][0] if scope["client"] else ""
        refused = refusal(scope) or (TOO_MANY if self._peers[peer] >= self._calls_of_one_peer else None)
        if refused is not None:
            await _tell(send, refused)
            return
        self._peers[peer] += 1
        try:
            await self._pass_on(scope, receive, send)
        finally:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    async def _pass_on(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        call = ProxiedCall(self._copies, scope, self._upstream.base)
        self._under_way.add(call)
        upload = Upload(receive, call.request.add, self._upstream.timeout)
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

    async def _exchange(self, scope: HTTPScope, upload: "Upload", call: ProxiedCall, send: Send) -> None:
        has_body = await upload.has_body(scope)
        call.reached = True
        try:
            response = await self._upstream.send(
                scope["method"],
                call.target,
                request_headers(scope["headers"], has_body=has_body),
                upload.chunks() if has_body else None,
            )
        except UpstreamFailed as error:
            call.reached = error.failure.carried_out
            await _tell(send, error.failure)
            return
        except CallerSilent:
            await _tell(send, SILENT)
            return
        try:
            headers = response_headers(response.headers)
            kinds = dict(headers)
            content_type, encoding = kinds.get(b"content-type", b""), kinds.get(b"content-encoding", b"")
            call.answered(response.status, content_type.decode("latin-1"), encoding.decode("latin-1"))
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            async for chunk in response.aiter_stream():
                call.response.add(chunk)
                async with asyncio.timeout(
                    self._upstream.timeout
                ):  # a caller who reads nothing holds no connection
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await response.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _count_later(self, call: ProxiedCall) -> None:
        if call in self._under_way:  # else the proxy has ended
            self._under_way.discard(call)
            task = asyncio.get_running_loop().create_task(self._count(call))
            self._counting.add(task)
            task.add_done_callback(self._counting.discard)

    async def _count(self, call: ProxiedCall) -> None:
        try:
            if call.reached:
                records = await self._records_of(call)
                self._meter.record(
                    time=call.time,
                    application=self._applications.named(call.headers),
                    user=call.text(self._user_header),
                    ip=ip_of(call.scope),
                    request={"method": call.scope["method"], "path": call.counted_path},
                    records=records,
                    status=call.status,
                    dimensions=self._dimensions.named(call.headers),
                )
        except Exception as error:  # noqa: BLE001  # the call is over, and nothing of it may reach a log
            log.error("A call could not be counted: %s", type(error).__name__)
        finally:
            call.request.give_up()
            call.response.give_up()

    async def _records_of(self, call: ProxiedCall) -> int | None:
        """Of the request, else of its answer."""
        for copy in (call.request, call.response):
            try:
                if copy.takes_long:
                    async with self._one_large:
                        found = await asyncio.to_thread(copy.records, self._records)
                else:
                    found = copy.records(self._records)
            except Exception as error:  # noqa: BLE001  # the call counts all the same
                log.error("The records of a call could not be counted: %s", type(error).__name__)
                found = None
            if found is not None:
                return found
        return None

    async def close(self) -> None:
        """Count what is over and what is cut off now, then end the connections to the API."""
        for call in list(self._under_way):
            self._count_later(call)
        await asyncio.gather(*self._counting)
        await self._upstream.close()


class Upload:
    """A request's body as it comes; `seen` hears of each piece that was passed on, which may take `timeout` seconds."""

    def __init__(self, receive: Receive, seen: Callable[[bytes], None], timeout: float) -> None:
        self._receive = receive
        self._timeout = timeout
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
        """Its pieces. Raises: CallerGone, CallerSilent: before its end."""
        if self._first:
            yield self._first
        while not self._complete.is_set():
            chunk = await self._next()
            if chunk:
                yield chunk

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._receive()
        except TimeoutError as error:
            raise CallerSilent from error
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
    detail = f"Meterboard's metering proxy has no answer for this call: {failure.message}"
    body = problem_document(failure.status, f"proxy:{failure.error}", detail)
    headers = {"Proxy-Status": f"meterboard; error={failure.error}"}
    if failure.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    await send_answer(send, failure.status, MEDIA_TYPE, body, headers)
