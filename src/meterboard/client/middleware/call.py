"""What every kind of middleware does with a call: find out what it was, and record it."""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypedDict

from meterboard.client.allowance import AllowanceGuard
from meterboard.client.event import UNKNOWN_VERB, encoded
from meterboard.client.middleware.client_ip import MOST_CHARACTERS, Addresses, ProxyHeader, address
from meterboard.client.middleware.route import Naming, names
from meterboard.client.text import MAX_VERB

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
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""HTTP methods whose calls are cached; callers may make up any number of others."""
MOST_CACHED_CHARACTERS = 500
"""Of a template. Where a caller's path is part of it, longer ones would fill the memory."""
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
        self._shared = lru_cache(maxsize=4_096)(self._named)
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
        """Record a call that was answered, by its template if it has one and else by its path. Raises nothing."""
        self._record(self.fields_of(call, verb, path, self.shared(verb, template, status), status, ip))

    def fields_of(self, call: Any, verb: str, path: str, shared: str | None, status: int, ip: str) -> str:
        """The fields of a call that was answered; `shared` and `ip` are what these two answer."""
        if shared is None:
            shared = encoded({"status": known_status(status), "request": _request(verb, path)})
        return shared + ip + self._own(call)

    def shared(self, verb: str, template: str | None, status: int) -> str | None:
        """The fields that calls of one route share; None when the schedule is to find them."""
        if template is None:
            return None
        try:
            find = self._shared if self.is_cacheable(verb, template) else self._named
            return find(verb[:MAX_VERB], template, status)
        except Exception:  # `names` may be the provider's own code
            log.exception("The names of a call could not be found, so the credit schedule finds them")
            return None

    @staticmethod
    def is_cacheable(verb: str, text: str) -> bool:
        """Is it certain that callers can't fill the memory with what is cached of calls like this one?"""
        return verb in VERBS and len(text) <= MOST_CACHED_CHARACTERS

    def _own(self, call: Any, *, but: Collection[str] = ()) -> str:
        """What the provider's callables say of a call, `but` some of them."""
        return "".join(_said(name, value_of, call) for name, value_of in self.fields if name not in but)

    def _named(self, verb: str, template: str, status: int) -> str | None:
        found = self._names(verb, template)
        if found is None:
            return None
        version, module, method = found
        said = {name for name, _ in self.fields}
        shared = {"version": version, "module": module, "method": method}
        own = {name: shared[name] for name in shared if name not in said}
        return encoded({"status": known_status(status)} | own)

    def ip(self, peer: str | None, forwarded: str) -> str:
        """The field that says where a call came from; empty when that is not known."""
        return ip_field(self.addresses.client(peer, forwarded) if self.addresses.believes else peer)

    def record_refused(self, call: Any, verb: str, path: str, ip: str) -> None:
        """Record a call that was refused before anybody looked at it, which costs nothing."""
        fields = encoded({"status": 429, "credits": 0, "request": _request(verb, path)}) + ip
        self._record(fields + self._own(call, but=("credits",)))


def _request(verb: str, path: str) -> dict[str, str]:
    """Never the query string, which may hold secrets: a question mark in a decoded path begins none."""
    return {"method": verb or UNKNOWN_VERB, "path": path.replace("?", "%3F")}


def known_status(status: object) -> int | None:
    """The status of an answer; None when it is none of HTTP's."""
    return int(status) if isinstance(status, int) and 100 <= status <= 599 else None


def ip_field(text: str | None) -> str:
    """An address as a field; empty for what is none."""
    return _ip_field(text) if text and len(text) <= MOST_CHARACTERS else ""


@lru_cache(maxsize=16_384)
def _ip_field(text: str) -> str:
    return encoded({"ip": address(text)})


def _said(name: str, value_of: FromCall, call: Any) -> str:
    """What a callable says. When it fails, the call counts without its field."""
    try:
        return encoded({name: value_of(call)})
    except Exception:  # the provider's own code
        log.exception("The callable for %s failed", name)
        return ""
