"""
Credit schedules: which request is which version, module and method, and what a call costs.

A schedule is data, one TOML file that a person can read in one sitting; `schedules/one-per-call.toml` explains the
format. This module compiles it. Classifying never raises and never lets an id or a query string through.
"""

import re
import tomllib
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
from msgspec import Struct, field

from meterboard.errors import ScheduleError


class RequestRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Requests whose path fits `path` (and whose HTTP method is `http`, where given) are this version, module, method."""

    path: str
    method: str
    http: str | None = None
    module: str = "{module}"
    version: str = "{version}"


class PriceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Calls that meet the conditions cost `credits`, once for every `per_records` records begun where that is given."""

    credits: int
    per_records: int | None = None
    version: str | None = None
    module: str | None = None
    method: str | None = None


class ScheduleFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule as written in TOML."""

    name: str
    version: str
    id: str
    request: list[RequestRule]
    price: list[PriceRule]
    verbs: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


class Classification(NamedTuple):
    """What a request is; the empty string where the schedule can't tell."""

    version: str
    module: str
    method: str


NOTHING = Classification("", "", "")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_BEFORE_PATH = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_AFTER_PATH = re.compile(r"[?#]")


class CreditSchedule:
    """A compiled schedule. Immutable; safe to share between threads."""

    def __init__(self, file: ScheduleFile) -> None:
        self.name = file.name
        self._verbs = {verb.upper(): word for verb, word in file.verbs.items()}
        self._silent = frozenset(file.silent)
        self._is_id = re.compile(file.id)
        self._requests = [(self._pattern(rule.path, file), rule) for rule in file.request]
        self._prices = file.price[::-1]
        self.classify = lru_cache(maxsize=4_096)(self._classify)
        self.price_rule = lru_cache(maxsize=4_096)(self._price_rule)

    def _pattern(self, path: str, file: ScheduleFile) -> re.Pattern[str]:
        silent = "".join(f"{re.escape(word)}/|" for word in file.silent)
        module = rf"(?!(?:{silent}(?:{file.id}|{file.version})/))(?P<module>[^/]+)"
        known = {
            "{version}": f"(?P<version>{file.version})",
            "{module}": module,
            "{rest}": "(?P<rest>.*)",
            "{id}": f"(?:{file.id})",
        }
        pattern = ""
        for segment in path.strip("/").split("/"):
            if segment == "**":
                pattern += "(?:[^/]+/)*?"
            elif segment == "{rest}":
                pattern += known[segment]
            else:
                pattern += known.get(segment, re.escape(segment)) + "/"
        return re.compile(pattern)

    def _classify(self, http: str, path: str) -> Classification:
        """
        The version, module and method of a request; `path` may carry a host and a query string, which are ignored.

        Parts that the schedule can't tell are empty. The same request always gets the same answer.
        """
        verb = http.upper()
        bare = _AFTER_PATH.split(_BEFORE_PATH.sub("", path, count=1), maxsplit=1)[0]
        segments = [unquote(part) for part in bare.split("/") if part]
        clean = "".join(f"{segment.replace('/', ' ')}/" for segment in segments if segment.isprintable())
        for pattern, rule in self._requests:
            found = pattern.fullmatch(clean)
            if found and rule.http in (None, verb):
                words = {name: value or "" for name, value in found.groupdict().items()}
                words["verb"] = self._verbs.get(verb, verb.lower())
                words["rest"] = self._operation(words.get("rest", ""))
                return Classification(
                    _filled(rule.version, words), _filled(rule.module, words), _filled(rule.method, words)
                )
        return Classification("", "", self._verbs.get(verb, verb.lower()))

    def _operation(self, rest: str) -> str:
        named = [s for s in rest.split("/") if s and s not in self._silent and not self._is_id.fullmatch(s)]
        return ".".join(named)

    def _price_rule(self, version: str, module: str, method: str) -> PriceRule | None:
        for rule in self._prices:
            asked = ((rule.version, version), (rule.module, module), (rule.method, method))
            if all(wanted is None or wanted == given for wanted, given in asked):
                return rule
        return None

    def price(self, call: Classification, records: int | None) -> int:
        """
        The credits that a call costs; 0 when no price fits.

        A price per records counts the parts begun: 11 records at 1 credit per 10 cost 2. A call that did not say how
        many records it carried is priced as one.
        """
        rule = self.price_rule(*call)
        if rule is None:
            return 0
        if rule.per_records is None:
            return rule.credits
        return rule.credits * -(-max(1, records or 1) // rule.per_records)


def _filled(template: str, words: dict[str, str]) -> str:
    text = _PLACEHOLDER.sub(lambda found: words.get(found[1], ""), template)
    return re.sub(r"\.{2,}", ".", text).strip(".")


def read_schedule(text: str) -> CreditSchedule:
    """
    Compile a schedule from its TOML text.

    Raises: ScheduleError: not TOML, a key that is unknown or missing, or a pattern that is no regular expression.
    """
    try:
        return CreditSchedule(msgspec.convert(tomllib.loads(text), ScheduleFile))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, re.error) as error:
        raise ScheduleError(f"The credit schedule can't be read: {error}.") from error
