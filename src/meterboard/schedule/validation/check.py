"""
Checks a schedule that is TOML of the right structure: patterns, names, numbers, and rows that contradict themselves.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from meterboard.domain.event import MAX_CREDITS, MAX_RECORDS
from meterboard.errors import ScheduleError
from meterboard.schedule.classify import RequestRule
from meterboard.schedule.file import ScheduleFile
from meterboard.schedule.path_patterns import PLACEHOLDER
from meterboard.schedule.plan import PlanRule
from meterboard.schedule.price import PriceRule
from meterboard.schedule.validation.expressions import why_refused
from meterboard.schedule.validation.toml_lines import Path

HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""Those of RFC 9110, and PATCH of RFC 5789."""
NOT_CAPTURED = ("key", "id")
"""Placeholders whose part of a path is never captured."""
SEPARATORS = ("/", "#")
"""The separators after a schedule's name in references: of a plan, of a number."""

MAX_WILDCARDS = 2
"""The most parts `**` before the last part of a path: each is tried at all 50 parts of a request's path."""
MAX_OPTIONAL_PARTS = 4
"""The most optional parts of a path: each doubles the attempts."""


class RowFault(NamedTuple):
    """An error, and the key that it is in."""

    key: str
    message: str


def check(file: ScheduleFile) -> None:
    """Checks a schedule. Raises: ScheduleError: the first error, with its place."""
    for place, fault in _faults(file):
        raise ScheduleError(fault.message, row=(*place, fault.key))


def _faults(file: ScheduleFile) -> Iterator[tuple[Path, RowFault]]:
    for fault in _of_file(file):
        yield (), fault
    for number, request in enumerate(file.request):
        for fault in _of_request(request, [*HTTP_METHODS, *(verb.upper() for verb in file.verbs)]):
            yield ("request", number), fault
    for number, price in enumerate(file.price):
        for fault in _of_price(price):
            yield ("price", number), fault
    for number, plan in enumerate(file.plan):
        for fault in [*_of_plan(plan), *_of_plans(plan, file.plan[:number])]:
            yield ("plan", number), fault


def _of_file(file: ScheduleFile) -> Iterator[RowFault]:
    name = file.name
    if not name.strip() or len(name) > 200 or not name.isprintable() or any(s in name for s in SEPARATORS):
        yield RowFault("name", f"The name is {name!r}: use 1 to 200 printable characters without / and #.")
    for key, pattern in (("version", file.version), ("module", file.module), ("id", file.id)):
        if wrong := _no_pattern(pattern):
            yield RowFault(key, f"{key} is not a regular expression: {wrong}.")
        elif wrong := why_refused(pattern):
            yield RowFault(key, f"{key} can't be used: {wrong}.")


def _no_pattern(pattern: str) -> str:
    """Returns why a text is not a regular expression that can be a part of a larger one; empty where it is."""
    try:
        re.compile(pattern)
        re.compile(f"(?:{pattern})")
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return ""


def _of_request(rule: RequestRule, verbs: Sequence[str]) -> Iterator[RowFault]:
    for part in rule.path.split("/"):
        if {"{", "}"} & set(PLACEHOLDER.sub("", part)):
            yield RowFault("path", f"The path {rule.path!r} can't be understood: the braces in {part!r}.")
    for found in PLACEHOLDER.finditer(rule.path):
        if found[2] and (wrong := _no_pattern(found[2]) or why_refused(found[2])):
            yield RowFault("path", f"The path {rule.path!r} can't be understood: {found[0]}: {wrong}.")
    yield from _of_wildcards(rule)
    yield from _of_templates(rule)
    for verb in [rule.http] if isinstance(rule.http, str) else rule.http or []:
        if verb not in verbs:
            known = ", ".join(dict.fromkeys(verbs))
            yield RowFault("http", f"http is {verb!r}: use one of {known}, or name it in verbs.")
    if rule.records is not None and not 0 <= rule.records <= MAX_RECORDS:
        yield RowFault("records", f"records is {rule.records}: use a whole number from 0 to {MAX_RECORDS:,}.")


def _of_wildcards(rule: RequestRule) -> Iterator[RowFault]:
    *parts, last = rule.path.strip("/").split("/")
    for what, most, count in (
        ("**", MAX_WILDCARDS, parts.count("**")),
        ("?", MAX_OPTIONAL_PARTS, sum(part.endswith("?") for part in [*parts, last])),
    ):
        if count > most:
            message = f"The path {rule.path!r} has {count} parts with {what}: use at most {most}"
            yield RowFault("path", f"{message}." if what == "?" else f"{message} before its end.")


def _of_templates(rule: RequestRule) -> Iterator[RowFault]:
    named = [found[1] for found in PLACEHOLDER.finditer(rule.path) if found[1] not in NOT_CAPTURED]
    known = list(dict.fromkeys([*named, "verb", "action_suffix"]))
    for key in ("method", "module", "version"):
        template = getattr(rule, key)
        if template == f"{{{key}}}" and key != "method":
            continue  # the default; empty where the path has none
        words = [found[1] for found in PLACEHOLDER.finditer(template)]
        unknown = next((word for word in words if word not in known), None)
        if unknown is not None:
            usable = ", ".join(f"{{{word}}}" for word in known)
            yield RowFault(
                key, f"{key} is {template!r}: there is no {{{unknown}}} in this row; use {usable}."
            )
        elif {"{", "}"} & set(PLACEHOLDER.sub("", template)):
            yield RowFault(key, f"{key} is {template!r}: braces stand around a name alone.")


def _of_price(rule: PriceRule) -> Iterator[RowFault]:
    maximum, steps = rule.max, rule.steps
    if (rule.credits is None) == (steps is None):
        yield RowFault("credits", "A price needs either credits or steps, and not both.")
    figures = {"credits": rule.credits, "max": maximum, "failed": rule.failed}
    for key, value in [*figures.items(), *(("steps", credits) for _, credits in steps or [])]:
        if value is not None and not 0 <= value <= MAX_CREDITS:
            yield RowFault(key, f"Credits are whole numbers from 0 to {MAX_CREDITS:,}.")
        elif value is not None and maximum is not None and value > maximum:
            yield RowFault("max", f"max is {maximum:,}, but the price reaches {value:,} by its {key}.")
    if rule.per_records is not None and rule.per_records < 1:
        yield RowFault("per_records", f"per_records is {rule.per_records}: use 1 or more.")
    if steps is not None:
        yield from _of_steps(steps, rule)
    for status in [rule.status] if isinstance(rule.status, int) else rule.status or []:
        if not 100 <= status <= 599:
            yield RowFault("status", f"status is {status}: use an HTTP status from 100 to 599.")
    if rule.since and rule.until and rule.until < rule.since:
        yield RowFault("until", f"The price ends on {rule.until}, before it begins on {rule.since}.")


def _of_steps(steps: Sequence[tuple[int, int]], rule: PriceRule) -> Iterator[RowFault]:
    if rule.per_records is not None:
        yield RowFault("per_records", "A price has either steps or per_records, and not both.")
    if not steps or steps[0][0] < 1 or any(one >= two for (one, _), (two, _) in pairwise(steps)):
        yield RowFault(
            "steps", "Each of the steps needs more records than the one before, the first at least 1."
        )
    if any(one > two for (_, one), (_, two) in pairwise(steps)):
        yield RowFault("steps", "The steps get cheaper: more records can't cost less.")


def _of_plan(plan: PlanRule) -> Iterator[RowFault]:
    figures = {"base": plan.base, "per_license": plan.per_license, "min": plan.min, "max": plan.max}
    for key, value in figures.items():
        if value is not None and value < 0:
            yield RowFault(key, f"{key} is {value:,}: use a whole number, 0 or more.")
    if plan.max is not None and plan.min > plan.max:
        yield RowFault("min", f"min is {plan.min:,}, more than max, which is {plan.max:,}.")


def _of_plans(plan: PlanRule, earlier: Sequence[PlanRule]) -> Iterator[RowFault]:
    """
    Yields the errors of plans with the same name. A plan applies from the day after the previous one of its name ended.
    """
    names = {plan.name, *plan.aliases}
    for other in earlier:
        shared = sorted(names & {other.name, *other.aliases})
        if shared and (plan.until or date.max) == (other.until or date.max):
            when = f"until {plan.until}" if plan.until else "now"
            yield RowFault("name", f"Two plans are called {shared[0]!r} and both are in force {when}.")
