"""What every kind of middleware does with a call: find out what it was, and record it."""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypedDict

from meterboard.client.allowance import AllowanceGuard
from meterboard.client.event import MAX_TEXT, encoded
from meterboard.client.middleware.address import Addresses, ProxyHeader, address
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
    def record_encoded(self) -> Callable[[str], None]: ...

    @property
    def record_soon(self) -> Callable[[str], None]: ...


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
        self._record = meter.record_encoded
        self._names = options.get("names", names)
        self.shared = lru_cache(maxsize=4_096)(self._named)
        """The fields that calls of one route share, by verb, template and status."""
        self.fields: list[tuple[str, FromCall]] = []
        for name, call in options.items():
            if name in FIELDS:
                if not callable(call):
                    raise TypeError(f"{name} is {call!r}: expected a callable that finds it in a call.")
                self.fields.append((name, call))
        self.addresses = Addresses(
            options.get("trusted_proxies", ()), options.get("proxy_header", "X-Forwarded-For")
        )
        self.skip = frozenset(options.get("skip", ()))
        self.guard = options.get("guard")

    def record(self, call: Any, verb: str, path: str, template: str | None, status: int, ip: str) -> None:
        """Record a call that was answered. Raises nothing: the caller's answer matters more than its count."""
        try:
            self._record(self.fields_of(call, verb, path, template, status, ip))
        except Exception:  # names are the provider's own code
            log.exception("A call could not be recorded")

    def fields_of(self, call: Any, verb: str, path: str, template: str | None, status: int, ip: str) -> str:
        """The fields of a call that was answered; `ip` is what `ip` answers. Raises what `names` raises."""
        fields = self.shared(verb, template, status) if template is not None else None
        if fields is None:
            fields = encoded({"status": status, "request": _request(verb, path)})
        return fields + ip + self._own(call)

    def _own(self, call: Any, *, but: Collection[str] = ()) -> str:
        """What the provider's callables say of a call, `but` some of them."""
        return "".join(_said(name, value_of, call) for name, value_of in self.fields if name not in but)

    def _named(self, verb: str, template: str, status: int) -> str | None:
        """The fields that calls of one route share, encoded once; None when the schedule is to find them."""
        found = self._names(verb, template)
        if found is None:
            return None
        version, module, method = found
        said = {name for name, _ in self.fields}
        shared = {"version": version, "module": module, "method": method}
        return encoded({"status": status} | {name: shared[name] for name in shared if name not in said})

    def ip(self, peer: str | None, forwarded: str) -> str:
        """The field that says where a call came from; empty when that is not known."""
        return ip_field(self.addresses.client(peer, forwarded) if self.addresses.believes else peer)

    def record_refused(self, call: Any, verb: str, path: str, ip: str) -> None:
        """Record a call that was refused before anybody looked at it, which costs nothing."""
        fields = encoded({"status": 429, "credits": 0, "request": _request(verb, path)}) + ip
        self._record(fields + self._own(call, but=("credits",)))


def _request(verb: str, path: str) -> dict[str, str]:
    """Never the query string, which may hold secrets; no longer than Meterboard takes."""
    return {"method": verb[:32], "path": path.replace("\0", "")[:MAX_TEXT]}


@lru_cache(maxsize=65_536)
def ip_field(text: str | None) -> str:
    """An address as a field; empty for what is none."""
    return encoded({"ip": address(text) if text else None})


def _said(name: str, value_of: FromCall, call: Any) -> str:
    """What a callable says. When it fails, the call counts without its field."""
    try:
        return encoded({name: value_of(call)})
    except Exception:  # the provider's own code
        log.exception("The callable for %s failed", name)
        return ""
