"""
Classifies requests: version, module and method from the HTTP method and path, by the rules of a credit schedule.

Classifying never raises, and its result never has an id, a query string or a host.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from msgspec import Struct

from meterboard.domain.event import NOT_HTTP
from meterboard.errors import ScheduleError
from meterboard.schedule.path_patterns import PLACEHOLDER, PathPatterns


class RequestRule(Struct, frozen=True, forbid_unknown_fields=True):
    """
    A rule: requests with a path that matches have this version, module and method, and carry `records` where that is
    certain.
    """

    path: str
    method: str
    http: str | list[str] | None = None
    module: str = "{module}"
    version: str = "{version}"
    records: int | None = None


class Words(Struct, frozen=True):
    """The patterns and words of a schedule: regular expressions for segments, words for HTTP methods."""

    version: str
    module: str
    id: str
    verbs: Mapping[str, str]
    action_suffix: Mapping[str, str]
    ignore: Sequence[str]


class Classification(NamedTuple):
    """
    The class of a request; empty strings where the schedule doesn't say. `records` is None if the path doesn't say.
    """

    version: str
    module: str
    method: str
    records: int | None = None


TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The syntax of an HTTP method (RFC 9110, section 5.6.2)."""
_BEFORE_PATH = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BEHIND_NAME = re.compile(r"[;?(]")
"""The start of parameters or keys in a part of the path, or of a query whose question mark was escaped."""
UNNAMED = "0"
"""Replaces a part that can't be a name: it is a value, like an id."""
CACHE_SIZE = 4_096
MAX_CACHED_PATH = 200
"""The longest path that is cached, so that 4,096 entries take about 2 MB."""
MOST_SEGMENTS = 50
"""The most parts of a path that are read; no API has deeper ones."""
MAX_PART = 128
"""The longest part that can be a name. A longer part is a value, which bounds the time of matching."""
ESCAPED = 12
"""The most characters that one character of a name takes in a path: four bytes, each written as %F0."""


class Classifier:
    """Compiled rules. Immutable; safe to share between threads."""

    def __init__(self, rules: Sequence[RequestRule], words: Words) -> None:
        """Compiles the rules. Raises: ScheduleError: a rule's path is invalid. re.error: another pattern is."""
        self._words = words
        self._is_id = re.compile(words.id)
        patterns = PathPatterns(version=words.version, module=words.module, id=words.id, ignore=words.ignore)
        self._rules = [(_compiled(patterns, number, rule), rule) for number, rule in enumerate(rules)]
        self.ids_are_alike = patterns.ids_are_alike(rule.path for rule in rules)
        kinds = patterns.kinds()
        self._kind = None if kinds is None else lru_cache(CACHE_SIZE)(kinds.of)
        # Cleared when it is full: threads share it, and an LRU cache needs a lock.
        self._known: dict[tuple[object, ...], int | None] = {}
        self._named = lru_cache(CACHE_SIZE)(self._name)

    def classify(self, http: str, path: str) -> Classification:
        """Returns the version, module and method of a request; a host and a query string in `path` are ignored."""
        if not TOKEN.fullmatch(http):
            return Classification("", NOT_HTTP, NOT_HTTP)
        verb = http.upper() if http.isalpha() else ""
        segments = _segments(path)
        clean = "".join([f"{segment}/" for segment in segments])
        number = self._rule_of(verb, segments, clean)
        if number is None:
            return Classification("", "", self._verb(verb))
        found = self._rules[number][0].fullmatch(clean)
        name = self._named if len(clean) <= MAX_CACHED_PATH else self._name
        return name(number, verb, found.groups() if found else ())

    def _rule_of(self, verb: str, segments: Sequence[str], clean: str) -> int | None:
        """Returns the number of the first rule that matches."""
        if self._kind is None:
            return self._first_that_fits(verb, clean)
        kinds = (verb, *map(self._kind, segments))
        try:
            return self._known[kinds]
        except KeyError:
            number = self._first_that_fits(verb, clean)
        if len(clean) <= MAX_CACHED_PATH:
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[kinds] = number
        return number

    def _first_that_fits(self, verb: str, clean: str) -> int | None:
        fits = (
            number
            for number, (pattern, rule) in enumerate(self._rules)
            if _allows(rule.http, verb) and pattern.fullmatch(clean)
        )
        return next(fits, None)

    def _name(self, number: int, verb: str, values: Sequence[str | None]) -> Classification:
        """Returns the classification by a rule, from the values of the groups in the rule's expression."""
        pattern, rule = self._rules[number]
        named = {"verb": self._verb(verb), "action_suffix": self._words.action_suffix.get(verb, "")}
        named |= {name: values[group - 1] or "" for name, group in pattern.groupindex.items()}
        named["rest"] = self._operation(named.get("rest", ""))
        version, module, method = (_filled(part, named) for part in (rule.version, rule.module, rule.method))
        return Classification(version, module, method, rule.records)

    def _verb(self, verb: str) -> str:
        return self._words.verbs.get(verb, verb.lower())

    def _operation(self, rest: str) -> str:
        ignored = self._words.ignore
        return ".".join(s for s in rest.split("/") if s and s not in ignored and not self._is_id.fullmatch(s))


def _compiled(patterns: PathPatterns, number: int, rule: RequestRule) -> re.Pattern[str]:
    try:
        return patterns.of(rule.path)
    except re.error as error:
        raise ScheduleError(
            f"The path {rule.path!r} can't be understood: {error}.", row=("request", number)
        ) from error


def _segments(path: str) -> list[str]:
    """Returns the parts of a path that are not empty, without host, query and escapes."""
    bare = path.partition("?")[0].partition("#")[0]
    if "://" in bare:
        bare = _BEFORE_PATH.sub("", bare, count=1)
    return [_clean(part) for part in bare.split("/", MOST_SEGMENTS)[:MOST_SEGMENTS] if part]


def _clean(part: str) -> str:
    if part.isalnum():
        return part if len(part) <= MAX_PART else UNNAMED
    name = _BEHIND_NAME.split(unquote(part[: ESCAPED * (MAX_PART + 1)]), maxsplit=1)[0].replace("/", " ")
    clean = " ".join(name.split())
    return clean if clean and clean.isprintable() and len(clean) <= MAX_PART else UNNAMED


def _allows(http: str | list[str] | None, verb: str) -> bool:
    return http is None or verb in ([http] if isinstance(http, str) else http)


def _filled(template: str, words: Mapping[str, str]) -> str:
    fill: Callable[[re.Match[str]], str] = lambda found: words.get(found[1], "")  # noqa: E731
    return re.sub(r"\.{2,}", ".", PLACEHOLDER.sub(fill, template)).strip(".")
