"""
Makes a credit schedule from Zoho CRM's own price list, the response of `GET /crm/v8/__apis`.

It has the least and the most credits of a call for each path and HTTP method. Between these, the formulas of the
built-in schedule are used if they have the same bounds; otherwise the price is an estimate.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

import msgspec
from msgspec import Struct

from meterboard.domain.event import MAX_CREDITS
from meterboard.errors import InvalidParameter
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule
from meterboard.schedule.price import PriceRule, price_by

PRICES = "\nprice = [\n"
ANY_MODULE = "Anything"
"""The placeholder for `{{module}}` while a path is classified."""
SOURCE = "__apis"
FORMULA = ("query", "since", "until", "credits", "per_records", "steps", "max", "failed", "estimated")


class _Operation(Struct):
    method: str
    min_credits: int
    max_credits: int


class _Path(Struct):
    path: str
    operation_types: list[_Operation]


class _Answer(Struct, rename={"apis": "__apis"}):
    apis: list[_Path]


class _Calls(NamedTuple):
    """The calls that one row prices; `module` is `ANY_MODULE` for all modules without a row of their own."""

    version: str
    module: str
    method: str


class _Bounds(NamedTuple):
    least: int
    most: int


_Listed = Mapping[_Calls, Mapping[str, _Bounds]]
"""The bounds of each path, whatever its module and ids, of the calls that one row prices."""


def schedule_of_apis(answer: str, builtin: str) -> str:
    """
    Returns the text of a schedule with the response's prices before those of `builtin`, the text of the built-in
    schedule.

    They are prices of the versions in the response's paths; other versions keep the built-in ones.

    Raises: InvalidParameter: it is not such a response, or has an invalid path or invalid credits.
    """
    try:
        paths = msgspec.json.decode(answer, type=_Answer).apis
    except msgspec.DecodeError as error:
        raise InvalidParameter("file", f"This is not a response of GET /crm/v8/__apis: {error}.") from error
    schedule = read_schedule(builtin)
    listed = _listed(paths, schedule)
    # A module's own price goes before that of every module.
    ordered = sorted(listed, key=lambda calls: (calls.module == ANY_MODULE, calls))
    rows = [row for calls in ordered for row in _rows(calls, _bounds(calls, listed), schedule)]
    name = builtin.replace('name = "zoho-crm"', 'name = "zoho-crm-imported"', 1)
    return name.replace(PRICES, PRICES + "\n".join([*_refused(builtin), *rows]) + "\n", 1)


def _refused(builtin: str) -> Iterable[str]:
    """Returns the built-in rows on refused calls, which come first."""
    return [line for line in builtin.splitlines() if line.lstrip().startswith("{ status = ")]


def _listed(paths: Iterable[_Path], schedule: CreditSchedule) -> _Listed:
    listed: defaultdict[_Calls, dict[str, _Bounds]] = defaultdict(dict)
    for each in paths:
        example = re.sub(r"\{\{\w*\}\}", "1", each.path.replace("{{module}}", ANY_MODULE))
        for operation in each.operation_types:
            calls = _Calls(*schedule.classify(operation.method, example)[:3])
            if not calls.version:
                raise InvalidParameter(
                    "file", f"{each.path!r} is not a Zoho CRM path: remove it from the file."
                )
            shape = "/".join(ANY_MODULE if part == calls.module else part for part in example.split("/"))
            bounds = _checked(operation, each.path)
            listed[calls][shape] = _around([bounds, listed[calls].get(shape, bounds)])
    return listed


def _checked(operation: _Operation, path: str) -> _Bounds:
    bounds = _Bounds(operation.min_credits, operation.max_credits)
    if not 0 <= bounds.least <= bounds.most <= MAX_CREDITS:
        raise InvalidParameter(
            "file",
            f"{operation.method} {path} has min_credits {bounds.least:,} and max_credits {bounds.most:,}: "
            f"min_credits can't be above max_credits, and both are from 0 to {MAX_CREDITS:,}.",
        )
    return bounds


def _bounds(calls: _Calls, listed: _Listed) -> _Bounds:
    """Returns the bounds of all paths that a row prices, including those that are listed for every module only."""
    of_every_module = listed.get(calls._replace(module=ANY_MODULE), {}) if calls.module else {}
    return _around({**of_every_module, **listed[calls]}.values())


def _around(all_bounds: Iterable[_Bounds]) -> _Bounds:
    least, most = zip(*all_bounds, strict=True)
    return _Bounds(min(least), max(most))


def _rows(calls: _Calls, bounds: _Bounds, schedule: CreditSchedule) -> Iterable[str]:
    conditions: dict[str, object] = {"version": calls.version, "method": calls.method}
    if calls.module not in ("", ANY_MODULE):
        conditions["module"] = calls.module
    if bounds.least == bounds.most:
        return [_row(conditions | {"credits": bounds.least, "source": SOURCE})]
    builtin = _without_outcome(schedule.rules(*calls))
    if builtin and _around(map(_bounds_of, builtin)) == bounds:
        return [_row(conditions | _taken_over(rule)) for rule in builtin]
    return [
        _row(conditions | {"credits": bounds.least, "max": bounds.most, "estimated": True, "source": SOURCE})
    ]


def _bounds_of(rule: PriceRule) -> _Bounds:
    price = price_by(rule, None, None)
    return _Bounds(price.least, MAX_CREDITS if price.most is None else price.most)


def _without_outcome(rules: Iterable[PriceRule]) -> list[PriceRule]:
    """Returns the rows that apply whatever the status of a call, up to the first without other conditions."""
    found: list[PriceRule] = []
    for rule in rules:
        if rule.status is None:
            found.append(rule)
            if not (rule.query or rule.since or rule.until):
                break
    return found


def _taken_over(rule: PriceRule) -> dict[str, object]:
    formula = {name: getattr(rule, name) for name in FORMULA if getattr(rule, name) not in (None, False)}
    details = {"source": f"{SOURCE}; formula: {rule.source}"} | ({"note": rule.note} if rule.note else {})
    return formula | details


def _row(values: Mapping[str, object]) -> str:
    return f"  {{ {', '.join(f'{name} = {_toml(value)}' for name, value in values.items())} }},"


def _toml(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
