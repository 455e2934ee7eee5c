"""
What a request is: version, module and method from its HTTP method and path, by the rules of a credit schedule.

Classifying never raises and never lets an id, a query string or a host through.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from msgspec import Struct

from meterboard.domain.shapes import LONGEST, SHORTEST
from meterboard.errors import ScheduleError


class RequestRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Requests whose path fits `path` are this version, module and method, and carry `records` where that is certain."""

    path: str
    method: str
    http: str | list[str] | None = None
    module: str = "{module}"
    version: str = "{version}"
    records: int | None = None


class Words(Struct, frozen=True):
    """What a schedule's patterns and words are: regular expressions for segments, words for HTTP methods."""

    version: str
    module: str
    id: str
    verbs: Mapping[str, str]
    done: Mapping[str, str]
    silent: Sequence[str]


class Classification(NamedTuple):
    """What a request is; the empty string where the schedule can't tell. `records` None: the path does not say."""

    version: str
    module: str
    method: str
    records: int | None = None


_PLACEHOLDER = re.compile(r"\{(\w+)(?::([^}]+))?\}")
_BEFORE_PATH = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_NAME = r"[A-Za-z_]\w*"
_BEHIND_NAME = re.compile(
    r"[;?(]"
)  # parameters or keys of a part of the path, and a query whose mark was escaped
MOST_SEGMENTS = 50
"""Parts of a path that are looked at; no API's is deeper."""


class Classifier:
    """Compiled rules. Immutable; safe to share between threads."""

    def __init__(self, rules: Sequence[RequestRule], words: Words) -> None:
        """Raises: ScheduleError: a rule's path can't be understood. re.error: another pattern can't."""
        self._words = words
        self._is_id = re.compile(words.id)
        self._rules = [(self._compiled(number, rule), rule) for number, rule in enumerate(rules)]
        self.ids_are_alike = self._treats_long_numbers_alike(rules)

    def _compiled(self, number: int, rule: RequestRule) -> re.Pattern[str]:
        try:
            return re.compile(self._pattern(rule.path))
        except re.error as error:
            raise ScheduleError(
                f"The path {rule.path!r} can't be understood: {error}.", row=("request", number)
            ) from error

    def _pattern(self, path: str) -> str:
        *segments, last = path.strip("/").split("/")
        pattern = "".join(
            "(?:[^/]+/)*?" if segment == "**" else self._segment(segment) for segment in segments
        )
        return pattern + {"**": ".*", "{rest}": "(?P<rest>.*)"}.get(last, self._segment(last))

    def _segment(self, segment: str) -> str:
        bare = segment.removesuffix("?")
        pieces: list[str] = []
        end = 0
        for found in _PLACEHOLDER.finditer(bare):
            pieces += [re.escape(bare[end : found.start()]), self._placeholder(found[1], found[2])]
            end = found.end()
        alternatives = [re.escape(word) for word in bare[end:].split("|")]
        pieces.append(f"(?:{'|'.join(alternatives)})" if len(alternatives) > 1 else alternatives[0])
        pattern = "".join(pieces) + "/"
        return f"(?:{pattern})?" if segment != bare else pattern

    def _placeholder(self, name: str, pattern: str | None) -> str:
        words = self._words
        match name:
            case "key":
                return "[^/]+"
            case "id":
                return f"(?:{words.id})"
            case "version":
                return f"(?P<version>{words.version})"
            case "module":
                silent = "".join(f"{re.escape(word)}/|" for word in words.silent)
                return rf"(?!(?:{silent}(?:{words.id}|{words.version})/))(?P<module>{words.module})"
            case _:
                return f"(?P<{name}>{pattern or _NAME})"

    def _treats_long_numbers_alike(self, rules: Sequence[RequestRule]) -> bool:
        """Is every long decimal segment an id that no rule keeps? Then all of them are classified as one."""
        kept = [found[2] for rule in rules for found in _PLACEHOLDER.finditer(rule.path) if found[2]]
        literal = any(part.isdecimal() for rule in rules for part in rule.path.split("/"))
        numbers = ["0" * length for length in range(SHORTEST, LONGEST + 1)]
        return not literal and all(
            self._is_id.fullmatch(number)
            and not any(re.fullmatch(pattern, number) for pattern in (self._words.version, *kept))
            for number in numbers
        )

    def classify(self, http: str, path: str) -> Classification:
        """The version, module and method of a request; `path` may carry a host and a query string, which are ignored."""
        verb = http.upper()
        bare = _BEFORE_PATH.sub("", path.partition("?")[0].partition("#")[0], count=1)
        parts_given = [part for part in bare.split("/", MOST_SEGMENTS) if part][:MOST_SEGMENTS]
        segments = [_BEHIND_NAME.split(unquote(part), maxsplit=1)[0] for part in parts_given]
        clean = "".join(f"{segment.replace('/', ' ')}/" for segment in segments if segment.isprintable())
        words = {
            "verb": self._words.verbs.get(verb, verb.lower()),
            "done": self._words.done.get(verb, ""),
        }
        for pattern, rule in self._rules:
            found = _allows(rule.http, verb) and pattern.fullmatch(clean)
            if found:
                named = words | {name: value or "" for name, value in found.groupdict().items()}
                named["rest"] = self._operation(named.get("rest", ""))
                version, module, method = (
                    _filled(part, named) for part in (rule.version, rule.module, rule.method)
                )
                return Classification(version, module, method, rule.records)
        return Classification("", "", words["verb"])

    def _operation(self, rest: str) -> str:
        silent = self._words.silent
        return ".".join(s for s in rest.split("/") if s and s not in silent and not self._is_id.fullmatch(s))


def _allows(http: str | list[str] | None, verb: str) -> bool:
    return http is None or verb in ([http] if isinstance(http, str) else http)


def _filled(template: str, words: Mapping[str, str]) -> str:
    fill: Callable[[re.Match[str]], str] = lambda found: words.get(found[1], "")  # noqa: E731
    return re.sub(r"\.{2,}", ".", _PLACEHOLDER.sub(fill, template)).strip(".")
