"""
The metering proxy as an ASGI application: it forwards calls and responses unchanged, and counts the calls.

Of a body only a bounded copy is kept, in memory and until the call is over, to count its records. A call is counted
when it is over, so a failure of counting doesn't affect it.
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
from meterboard.proxy.fingerprints import Applications, OwnDimensions
from meterboard.proxy.records import BodyCopies, BodyCopy
from meterboard.proxy.request import header_text, ip_of, parameters_of, path_of, query_of, refusal
from meterboard.proxy.upstream import Failure, Upstream, UpstreamFailed, request_headers, response_headers

log = logging.getLogger("meterboard.proxy")


CALLS_OF_ONE_PEER = 1_000
"""Concurrent calls of one IP address: half of the connections to the API."""
TOO_MANY = Failure(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "connection_limit_reached",
    "Too many concurrent calls from one address.",
    False,
)
SILENT = Failure(
    HTTPStatus.REQUEST_TIMEOUT, "http_request_error", "The rest of the request did not arrive in time.", True
)


class CallerGone(Exception):
    """The client has closed the connection."""


class CallerSilent(Exception):
    """The client takes too long to send the rest of a request."""


class ProxiedCall:
    """What is known of a call, to count it when it is over."""

    def __init__(self, copies: BodyCopies, scope: HTTPScope, base: str) -> None:
        """Starts a call; `base` is the prefix of the path at the API."""
        self.time = datetime.now(UTC)
        self.scope = scope
        self.path = path_of(base, scope)
        self.query = query_of(scope)
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers = self.headers
        self.reached = False
        """Whether the API may have received the call. A call that it can't have received is not counted."""
        self.status: int | None = None
        self._copies = copies
        self.request = BodyCopy(copies, headers.get("content-type", ""), headers.get("content-encoding", ""))
        self.response = BodyCopy(copies, "", "")

    @property
    def target(self) -> bytes:
        """Returns the path and the query string at the API."""
        return f"{self.path}?{self.query}".encode() if self.query else self.path.encode()

    @property
    def counted_path(self) -> str:
        names = parameters_of(self.query)
        return f"{self.path}?{names}" if names else self.path

    def text(self, header: str | None) -> str | None:
        """Returns the value of a header, if any; its name is in lower case."""
        value = self.headers.get(header) if header else None
        return header_text(value.encode("latin-1")) if value else None

    def answered(self, status: int, content_type: str, encoding: str) -> None:
        """Records the start of the API's response."""
        self.status = status if 100 <= status <= 599 else None  # others are not valid in HTTP
        self.response = BodyCopy(self._copies, content_type, encoding)


class ProxyApp:
    """The proxy. All paths are forwarded: it has no paths of its own."""

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
        """
        Makes a proxy; `records` is the path of the array in JSON bodies whose entries are counted, such as
        `result.data`.
        """
        self._calls_of_one_peer = calls_of_one_peer
        self._peers: Counter[str] = Counter()
        self._upstream = upstream
        self._meter = meter
        self._applications = applications
        self._records = records.split(".")
        self._user_header = user_header.lower() if user_header else None
        self._dimensions = dimensions
        self._copies = BodyCopies()
        self._one_large = asyncio.Lock()  # decoding a large body takes about 100 MB
        self._under_way: set[ProxiedCall] = set()
        self._counting: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:  # the start or end of the server
            return
        peer = scope["client"][0] if scope["client"] else ""
        refused = refusal(scope) or (TOO_MANY if self._peers[peer] >= self._calls_of_one_peer else None)
        if refused is not None:
            await _send_failure(send, refused)
            return
        self._peers[peer] += 1
        try:
            await self._forward(scope, receive, send)
        finally:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    async def _forward(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
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
            log.warning("The response of %s was interrupted: %s", self._upstream.name, type(outcome).__name__)
            raise outcome  # the server closes the connection, so that the client sees a truncated response

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
            await _send_failure(send, error.failure)
            return
        except CallerSilent:
            await _send_failure(send, SILENT)
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
                ):  # a client that reads nothing must not hold a connection
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
        except Exception as error:  # noqa: BLE001  # the call is over, and none of its content may reach a log
            log.error("A call could not be counted: %s", type(error).__name__)
        finally:
            call.request.discard()
            call.response.discard()

    async def _records_of(self, call: ProxiedCall) -> int | None:
        """Returns the number of records in the request, or else in the response."""
        for copy in (call.request, call.response):
            try:
                if copy.takes_long:
                    async with self._one_large:
                        found = await asyncio.to_thread(copy.records, self._records)
                else:
                    found = copy.records(self._records)
            except Exception as error:  # noqa: BLE001  # the call is counted without them
                log.error("The records of a call could not be counted: %s", type(error).__name__)
                found = None
            if found is not None:
                return found
        return None

    async def close(self) -> None:
        """Counts the calls that are over or interrupted now, then closes the connections to the API."""
        for call in list(self._under_way):
            self._count_later(call)
        await asyncio.gather(*self._counting)
        await self._upstream.close()


class Upload:
    """The body of a request as it arrives. `seen` is called with each piece; a piece may take `timeout` seconds."""

    def __init__(self, receive: Receive, seen: Callable[[bytes], None], timeout: float) -> None:
        self._receive = receive
        self._timeout = timeout
        self._seen = seen
        self._first: bytes | None = None
        self._complete = asyncio.Event()

    async def has_body(self, scope: HTTPScope) -> bool:
        """Returns whether there will be a body. Waits for its beginning only if no header says."""
        names = {name for name, _ in scope["headers"]}
        if b"content-length" in names or b"transfer-encoding" in names:
            return True
        self._first = await self._next()
        return bool(self._first) or not self._complete.is_set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the pieces of the body. Raises: CallerGone, CallerSilent: before its end."""
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


async def _send_failure(send: Send, failure: Failure) -> None:
    """Sends a response of the proxy itself, marked as such."""
    detail = f"Meterboard's metering proxy has no answer for this call: {failure.message}"
    body = problem_document(failure.status, f"proxy:{failure.error}", detail)
    headers = {"Proxy-Status": f"meterboard; error={failure.error}"}
    if failure.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    await send_answer(send, failure.status, MEDIA_TYPE, body, headers)
