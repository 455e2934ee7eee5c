"""
Credit schedules: which request is which version, module and method, what a call costs, what plans allow.

A schedule is data, one TOML file that a person can read in one sitting; docs/credit-schedules.md explains the format.
"""

import re
import tomllib

import msgspec
from msgspec import Struct, field

from meterboard.domain.classify import Classifier, RequestRule, Words
from meterboard.domain.plan import PlanRule
from meterboard.domain.price import PriceList, PriceRule
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
        words = Words(file.version, file.module, file.id, _upper(file.verbs), _upper(file.done), file.silent)
        prices = PriceList(file.price)
        self.classify = Classifier(file.request, words).classify
        self.price = prices.price
        self.rule = prices.rule


def _upper(words: dict[str, str]) -> dict[str, str]:
    return {verb.upper(): word for verb, word in words.items()}


def read_schedule(text: str) -> CreditSchedule:
    """
    Compile a schedule from its TOML text.

    Raises: ScheduleError: not TOML, a key that is unknown or missing, a pattern that is no regular expression, or a
    price that contradicts itself.
    """
    try:
        return CreditSchedule(msgspec.convert(tomllib.loads(text), ScheduleFile))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, re.error) as error:
        raise ScheduleError(f"The credit schedule can't be read: {error}.") from error
