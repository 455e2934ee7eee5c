"""
Credit schedules: which request is which version, module and method, what a call costs, what plans allow.

A schedule is data, one TOML file that a person can read in one sitting; docs/credit-schedules.md explains the format.
"""

import re
import tomllib
from typing import Any

import msgspec

from meterboard.errors import ScheduleError
from meterboard.schedule.classify import Classification, Classifier, Words
from meterboard.schedule.earlier_names import with_current_names
from meterboard.schedule.file import ScheduleFile
from meterboard.schedule.path_cache import PathCache
from meterboard.schedule.price import Price, PricedCall, PriceList, PriceRule, Tariff
from meterboard.schedule.reason import Reason
from meterboard.schedule.validation.check import HTTP_METHODS, check
from meterboard.schedule.validation.toml_lines import Path, line_of, lines_of


class CreditSchedule:
    """A compiled schedule. Immutable; safe to share between threads."""

    def __init__(self, file: ScheduleFile) -> None:
        """
        Compiles a schedule. Raises: ScheduleError: an invalid regular expression or number, or a row that contradicts
        itself.
        """
        check(file)
        self.name = file.name
        self.plans = file.plan
        self.requests = len(file.request)
        self.prices = len(file.price)
        words = Words(
            file.version, file.module, file.id, _upper(file.verbs), _upper(file.action_suffix), file.ignore
        )
        self._prices = PriceList(file.price, lambda rule: Reason(file.name, rule).text())
        self._classifier = Classifier(file.request, words)
        methods = {*HTTP_METHODS, *words.verbs}
        methods |= {method.lower() for method in methods}
        self._requests = PathCache(self._read, ids_are_alike=self._classifier.ids_are_alike, methods=methods)

    @property
    def ids_are_alike(self) -> bool:
        """Returns whether paths that differ only in the digits of long ids have the same classification."""
        return self._classifier.ids_are_alike

    @property
    def changes(self) -> list[int]:
        """Returns the times at which prices change, in microseconds since 1970 UTC."""
        return self._prices.changes

    @property
    def parameters(self) -> set[str]:
        """Returns the query parameters that prices depend on."""
        return self._prices.parameters

    def read(self, http: str, path: str) -> tuple[Classification, Tariff]:
        """Returns what a request is, and the prices of such calls. Never raises."""
        return self._requests.get(http, path)

    def tariff(self, version: str, module: str, method: str) -> Tariff:
        """Returns the prices that calls of a version, module and method may have."""
        return self._prices.tariff(version, module, method)

    def price(self, call: PricedCall) -> Price:
        """Returns what a call costs: nothing where no price matches."""
        return self._prices.price(call)

    def rule(self, call: PricedCall) -> PriceRule | None:
        """Returns the row of the price list that a call is priced by; None: no row fits."""
        return self._prices.rule(call)

    def rules(self, version: str, module: str, method: str) -> list[PriceRule]:
        """Returns the rows that calls of a version, module and method may be priced by, in order."""
        return self._prices.rules(version, module, method)

    def classify(self, http: str, path: str) -> Classification:
        """Returns the classification of a request, which is always the same."""
        return self.read(http, path)[0]

    def _read(self, http: str, path: str) -> tuple[Classification, Tariff]:
        found = self._classifier.classify(http, path)
        return found, self.tariff(found.version, found.module, found.method)


def _upper(words: dict[str, str]) -> dict[str, str]:
    return {verb.upper(): word for verb, word in words.items()}


def read_schedule(text: str, *, stored: bool = False) -> CreditSchedule:
    """
    Compiles a schedule from its TOML text. A `stored` one may have the keys of earlier versions.

    Raises: ScheduleError: not TOML, a key that is unknown or missing, a pattern that is no regular expression, a number
    that can't be, or a row that contradicts itself; the message names the line.
    """
    try:
        data = tomllib.loads(text)
        return CreditSchedule(msgspec.convert(with_current_names(data) if stored else data, ScheduleFile))
    except tomllib.TOMLDecodeError as error:
        raise ScheduleError(f"The credit schedule can't be read: it is not TOML: {error}.") from error
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        raise _at(text, _place(data, what, path), f"{what}.") from error
    except ScheduleError as error:
        raise _at(text, error.row or (), str(error)) from error


def _at(text: str, place: Path, message: str) -> ScheduleError:
    line = line_of(lines_of(text), place)
    return ScheduleError(f"The credit schedule can't be read, line {line}: {message}", row=place)


_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|(\[\.\.\.\])")
_FIELD = re.compile(r"unknown field `(\w+)`")


def _place(data: dict[str, Any], what: str, path: str) -> Path:
    """Returns the place of msgspec's error: `$.price[3].until`, or `$.verbs[...]`, which names no key."""
    place: Path = ()
    for key, number, any_key in _STEP.findall(path):
        place = (*place, int(number) if number else key if not any_key else _no_text(data, place))
    unknown = _FIELD.search(what)
    return (*place, unknown[1]) if unknown else place


def _no_text(data: dict[str, Any], place: Path) -> str:
    """Returns the first key of a table of words whose value is not a text."""
    table: Any = data
    for step in place:
        table = table[step]
    return next((key for key, value in table.items() if not isinstance(value, str)), "")
