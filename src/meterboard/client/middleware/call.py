"""What every kind of middleware does with a call: find out what it was, and record it."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypedDict

from meterboard.client.allowance import AllowanceGuard
from meterboard.client.event import MAX_TEXT
from meterboard.client.middleware.address import Addresses, ProxyHeader
from meterboard.client.middleware.route import Naming, names

log = logging.getLogger("meterboard.client")

FIELDS = (
    "organization",
    "application",
    "function",
    "user",
    "records",
    "credits",
    "module",
    "method",
    "version",
)
"""What a callable may say about a call. The last three win over what the route says."""
FromCall = Callable[[Any], Any]


class Recorder(Protocol):
    """A `Meter` or an `AsyncMeter`."""

    @property
    def record(self) -> Callable[..., None]: ...


class Options(TypedDict, total=False):
    """
    Options of every middleware.

    The callables get what the framework calls a request, once it has been answered: the ASGI scope, the WSGI environ,
    Django's HttpRequest. They answer a field's value, or None when they don't know.
    """

    organization: FromCall
    application: FromCall
    function: FromCall
    user: FromCall
    records: FromCall
    credits: FromCall
    module: FromCall
    method: FromCall
    version: FromCall
    names: Naming
    """From the HTTP method and the route's template to version, module and method, instead of our own rule."""
    trusted_proxies: Sequence[str]
    """Networks whose `proxy_header` is believed; none by default. `unix` for a Unix domain socket."""
    proxy_header: ProxyHeader
    skip: Collection[str]
    """Paths of calls that are not counted, such as `/health`."""
    guard: AllowanceGuard


class Calls:
    """Records calls as the options say."""

    def __init__(self, meter: Recorder, options: Options) -> None:
        """Raises: TypeError: an option of another name. ValueError: a value that can't be right."""
        unknown = set(options) - set(Options.__annotations__)
        if unknown:
            raise TypeError(
                f"{min(unknown)!r} is no option: use one of {', '.join(Options.__annotations__)}."
            )
        self._record = meter.record
        self._names = options.get("names", names)
        self._fields: list[tuple[str, FromCall]] = []
        for name, call in options.items():
            if name in FIELDS:
                if not callable(call):
                    raise TypeError(f"{name} is {call!r}: expected a callable that finds it in a call.")
                self._fields.append((name, call))
        self.addresses = Addresses(
            options.get("trusted_proxies", ()), options.get("proxy_header", "X-Forwarded-For")
        )
        self.skip = frozenset(options.get("skip", ()))
        self.guard = options.get("guard")

    def record(
        self, call: Any, *, verb: str, path: str, template: str | None, status: int, ip: str | None
    ) -> None:
        """Record a call that was answered. Raises nothing: the caller's answer matters more than its count."""
        try:
            event: dict[str, Any] = {"status": status, "ip": ip}
            found = self._names(verb, template) if template is not None else None
            if found is None:
                event["request"] = {"method": verb[:32], "path": path.replace("\0", "")[:MAX_TEXT]}
            else:
                event["version"], event["module"], event["method"] = found
            for name, value_of in self._fields:
                self._add(event, name, value_of, call)
            self._record(**event)
        except Exception:  # names are the provider's own code
            log.exception("A call could not be recorded")

    @staticmethod
    def _add(event: dict[str, Any], name: str, value_of: FromCall, call: Any) -> None:
        try:
            value = value_of(call)
        except Exception:  # the provider's own code; the call counts without this field
            log.exception("The callable for %s failed", name)
            return
        if value is not None:
            event[name] = value

    def record_refused(self, call: Any, *, verb: str, path: str, ip: str | None) -> None:
        """Record a call that was refused before anybody looked at it, which costs nothing."""
        event: dict[str, Any] = {"status": 429, "credits": 0, "ip": ip}
        for name, value_of in self._fields:
            if name != "credits":
                self._add(event, name, value_of, call)
        request = {"method": verb[:32], "path": path.replace("\0", "")[:MAX_TEXT]}
        self._record(**event, request=request)
