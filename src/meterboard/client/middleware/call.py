"""Encodes and records a call, for every kind of middleware."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypedDict

from meterboard.client.allowance import AllowanceGuard
from meterboard.client.event import UNKNOWN_VERB, check_dimension, encode_fields
from meterboard.client.middleware.client_ip import MAX_CHARACTERS, Addresses, ProxyHeader, address
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
"""Fields that callables may provide. The last three take precedence over the route's names."""
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""HTTP methods whose calls are cached. Callers may send any number of others."""
MAX_CACHED_CHARACTERS = 500
"""The longest cached template. It may contain a caller's path, so longer ones could fill the memory."""
FromCall = Callable[[Any], Any]


class Recorder(Protocol):
    """A `Meter` or an `AsyncMeter`."""

    @property
    def record_encoded(self) -> Callable[[str], None]: ...

    @property
    def record_batched(self) -> Callable[[str], None]: ...


class Options(TypedDict, total=False):
    """
    Options of every middleware.

    The callables are called after the response, with what the framework calls a request: the ASGI scope, the WSGI
    environ, Django's HttpRequest. They return a field's value, or None if it is unknown.
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
    dimensions: Mapping[str, str | FromCall] | FromCall
    """Values of Meterboard's own dimensions by name, each a text or a callable; or a callable that returns all of them."""
    names: Naming
    """Returns version, module and method for an HTTP method and a route's template, instead of the default rule."""
    trusted_proxies: Sequence[str]
    """Networks whose `proxy_header` is used; none by default. `unix` for a Unix domain socket."""
    proxy_header: ProxyHeader
    skip_paths: Collection[str]
    """Paths of calls that are not recorded, such as `/health`."""
    guard: AllowanceGuard


class CallRecorder:
    """Records calls according to the options."""

    def __init__(self, meter: Recorder, options: Options) -> None:
        """Reads the options. Raises: TypeError: an unknown or invalid option. ValueError: an invalid value."""
        unknown = set(options) - set(Options.__annotations__)
        if unknown:
            raise TypeError(
                f"unknown option {min(unknown)!r}: use one of {', '.join(Options.__annotations__)}."
            )
        self._record = meter.record_encoded
        self._names = options.get("names", names)
        self._cached_shared = lru_cache(maxsize=4_096)(self._encode_shared)
        self.fields: list[tuple[str, FromCall]] = []
        for name, call in options.items():
            if name in FIELDS:
                if not callable(call):
                    raise TypeError(f"{name} is {call!r}: expected a callable that takes the call.")
                self.fields.append((name, call))
        self._static = self._read_dimensions(options.get("dimensions", {}))
        self.addresses = Addresses(
            options.get("trusted_proxies", ()), options.get("proxy_header", "X-Forwarded-For")
        )
        self.skip_paths = frozenset(options.get("skip_paths", ()))
        self.guard = options.get("guard")

    def _read_dimensions(self, dimensions: Mapping[str, str | FromCall] | FromCall) -> str:
        """
        Returns the field of dimensions if it is the same for all calls; else it becomes a callable's.

        Raises: TypeError: neither texts nor callables. ValueError: no dimension can have such a name.
        """
        if callable(dimensions):
            self.fields.append(("dimensions", dimensions))
            return ""
        if not isinstance(dimensions, Mapping):
            raise TypeError(
                f"dimensions is {dimensions!r}: expected a dict, or a callable that takes the call."
            )
        for name, value in dimensions.items():
            check_dimension(name)
            if not (callable(value) or isinstance(value, str)):
                raise TypeError(f"dimensions[{name!r}] is {value!r}: expected a string or a callable.")
        fixed = {name: value for name, value in dimensions.items() if isinstance(value, str)}
        if len(fixed) == len(dimensions):
            return encode_fields({"dimensions": fixed}) if fixed else ""
        called = {name: value for name, value in dimensions.items() if callable(value)}
        self.fields.append(("dimensions", lambda call: fixed | _dimensions_of(called, call)))
        return ""

    def record(self, call: Any, verb: str, path: str, template: str | None, status: int, ip: str) -> None:
        """Records a call, named by its template if it has one and else by its path. Raises nothing."""
        self._record(self.encode(call, verb, path, self.shared_fields(verb, template, status), status, ip))

    def encode(self, call: Any, verb: str, path: str, shared: str | None, status: int, ip: str) -> str:
        """Returns the fields of a call. `shared` and `ip` are the results of `shared_fields` and `ip`."""
        if shared is None:
            shared = encode_fields({"status": valid_status(status), "request": _request(verb, path)})
        return shared + ip + self._static + self._callable_fields(call)

    def shared_fields(self, verb: str, template: str | None, status: int) -> str | None:
        """Returns the fields that calls of one route share; None if the credit schedule is to find them."""
        if template is None:
            return None
        try:
            find = self._cached_shared if self.is_cacheable(verb, template) else self._encode_shared
            return find(verb[:MAX_VERB], template, status)
        except Exception:  # `names` may be the provider's own code
            log.exception("The names callable failed, so the credit schedule finds the names")
            return None

    @staticmethod
    def is_cacheable(verb: str, text: str) -> bool:
        """Returns whether callers can send only a limited number of calls with such a key."""
        return verb in VERBS and len(text) <= MAX_CACHED_CHARACTERS

    def _callable_fields(self, call: Any, *, without: Collection[str] = ()) -> str:
        """Returns the fields that the provider's callables return, `without` some of them."""
        return "".join(
            _call_field(name, value_of, call) for name, value_of in self.fields if name not in without
        )

    def _encode_shared(self, verb: str, template: str, status: int) -> str | None:
        found = self._names(verb, template)
        if found is None:
            return None
        version, module, method = found
        overridden = {name for name, _ in self.fields}
        shared = {"version": version, "module": module, "method": method}
        own = {name: shared[name] for name in shared if name not in overridden}
        return encode_fields({"status": valid_status(status)} | own)

    def ip(self, peer: str | None, forwarded: str) -> str:
        """Returns the field with the caller's address; empty when it is unknown."""
        return ip_field(self.addresses.client(peer, forwarded) if self.addresses.trusts_proxies else peer)

    def record_refused(self, call: Any, verb: str, path: str, ip: str) -> None:
        """Records a call that was refused before the application handled it, with no credits."""
        fields = encode_fields({"status": 429, "credits": 0, "request": _request(verb, path)}) + ip
        self._record(fields + self._static + self._callable_fields(call, without=("credits",)))


def _request(verb: str, path: str) -> dict[str, str]:
    """Never includes the query string, which may have secrets: a question mark in a decoded path does not start one."""
    return {"method": verb or UNKNOWN_VERB, "path": path.replace("?", "%3F")}


def valid_status(status: object) -> int | None:
    """Returns a status; None if HTTP does not have it."""
    return int(status) if isinstance(status, int) and 100 <= status <= 599 else None


def ip_field(text: str | None) -> str:
    """Returns an address as a field; empty for an invalid one."""
    return _ip_field(text) if text and len(text) <= MAX_CHARACTERS else ""


@lru_cache(maxsize=16_384)
def _ip_field(text: str) -> str:
    return encode_fields({"ip": address(text)})


def _dimensions_of(called: Mapping[str, FromCall], call: Any) -> dict[str, str | None]:
    """Returns the dimensions that callables return; one that fails costs no other."""
    found: dict[str, str | None] = {}
    for name, value_of in called.items():
        try:
            value = value_of(call)
            encode_fields({"dimensions": {name: value}})
            found[name] = value
        except Exception:  # the provider's own code
            log.exception("The callable for dimensions[%r] failed", name)
    return found


def _call_field(name: str, value_of: FromCall, call: Any) -> str:
    """Returns the field that a callable returns; empty when it fails."""
    try:
        return encode_fields({name: value_of(call)})
    except Exception:  # the provider's own code
        log.exception("The callable for %s failed", name)
        return ""
