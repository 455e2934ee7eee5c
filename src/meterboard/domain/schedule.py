"""
Credit schedules: which request is which version, module and method, what a call costs, what plans allow.

A schedule is data, one TOML file that a person can read in one sitting; docs/credit-schedules.md explains the format.
"""

import re
import tomllib

import msgspec
from msgspec import Struct, field

from meterboard.domain.classify import Classification, Classifier, RequestRule, Words
from meterboard.domain.plan import PlanRule
from meterboard.domain.price import PriceList, PriceRule, Tariff
from meterboard.domain.shapes import Shapes
from meterboard.errors import ScheduleError


class ScheduleFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule as written in TOML."""

    name: str
    version: str
    id: str
    request: list[RequestRule]
    price: list[PriceRule]
    module: str = "[^/]+"
    verbs: dict[str, str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    plan: list[PlanRule] = field(default_factory=list)


class CreditSchedule:
    """A compiled schedule. Immutable; safe to share between threads."""

    def __init__(self, file: ScheduleFile) -> None:
        """Raises: ScheduleError: a price contradicts itself. re.error: a pattern is no regular expression."""
        self.name = file.name
        self.plans = file.plan
        self.requests = len(file.request)
        self.prices = len(file.price)
        words = Words(file.version, file.module, file.id, _upper(file.verbs), _upper(file.done), file.silent)
        prices = PriceList(file.price)
        self._classifier = Classifier(file.request, words)
        self.price = prices.price
        self.rule = prices.rule
        self.tariff = prices.tariff
        self.ids_are_alike = self._classifier.ids_are_alike
        self.read = Shapes(self._read, ids_are_alike=self._classifier.ids_are_alike).answer

    def classify(self, http: str, path: str) -> Classification:
        """What a request is. The same request always gets the same answer."""
        return self.read(http, path)[0]

    def _read(self, http: str, path: str) -> tuple[Classification, Tariff]:
        """What a request is, and what such calls cost."""
        found = self._classifier.classify(http, path)
        return found, self.tariff(found.version, found.module, found.method)


def _upper(words: dict[str, str]) -> dict[str, str]:
    return {verb.upper(): word for verb, word in words.items()}


def read_schedule(text: str) -> CreditSchedule:
    """
    Compile a schedule from its TOML text.

    Raises: ScheduleError: not TOML, a key that is unknown or missing, a pattern that is no regular expression, or a
    price that contradicts itself; the message names the line.
    """
    try:
        return CreditSchedule(msgspec.convert(tomllib.loads(text), ScheduleFile))
    except tomllib.TOMLDecodeError as error:
        raise ScheduleError(f"The credit schedule can't be read: it is not TOML: {error}.") from error
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        where = _row.match(path) or _field.search(what)
        line = _line(text, where[1], int(where[2] or -1)) if where else 1
        raise ScheduleError(f"The credit schedule can't be read, line {line}: {what}.") from error
    except re.error as error:
        pattern = next(name for name in ("version", "module", "id") if not _compiles(text, name))
        said = f"{pattern} is no regular expression: {error}."
        raise ScheduleError(
            f"The credit schedule can't be read, line {_line(text, pattern, -1)}: {said}"
        ) from error
    except ScheduleError as error:
        line = _line(text, *error.row) if error.row else 1
        raise ScheduleError(f"The credit schedule can't be read, line {line}: {error}") from error


_row = re.compile(r"\$\.(\w+)(?:\[(\d+)\])?")
_field = re.compile(r"field `(\w+)`()")


def _compiles(text: str, name: str) -> bool:
    try:
        re.compile(tomllib.loads(text).get(name, ""))
    except re.error:
        return False
    return True


def _line(text: str, name: str, number: int) -> int:
    """
    The line of a key, or of the row of that number from 0 in a list: `name = [ {…}, {…} ]` or `[[name]]`.

    Rows of `name = […]` are found when each begins on a line of its own.
    """
    key = re.compile(rf"\s*{name}\s*=")
    within = False
    seen = -1
    for place, line in enumerate(text.splitlines(), 1):
        if key.match(line):
            if number < 0:
                return place
            within = True
        begins = line.strip() == f"[[{name}]]" or (within and "{" in line.partition("#")[0].partition("=")[0])
        seen += begins
        if begins and seen == number:
            return place
        within = within and not line.startswith("]")
    return 1
