"""
A credit schedule of Zoho CRM's own price list: the answer of `GET /crm/v8/__apis`.

It says for each path and HTTP method the least and the most credits of a call. What lies between is priced by the
formulas that come with Meterboard where those have the same bounds; else it is an estimate.
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
"""Stands for `{{module}}` while a path is classified."""
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
    """What one row prices; `module` is `ANY_MODULE` where it prices every module that has no row of its own."""

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
    The text of a schedule with the answer's prices in front of those of `builtin`, the text of the built-in schedule.

    They are prices of the versions in the answer's paths; other versions keep the built-in ones.

    Raises: InvalidParameter: it is not such an answer, or has a path or credits that can't be.
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
    """The built-in rows on refused calls, which go before everything."""
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
    """Those of all paths that a row prices, also the paths that are listed for every module alone."""
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
    """The rows that calls are priced by whatever their status, up to the one that prices all that are left."""
    found: list[PriceRule] = []
    for rule in rules:
        if rule.status is None:
            found.append(rule)
            if not (rule.query or rule.since or rule.until):
                break
    return found


def _taken_over(rule: PriceRule) -> dict[str, object]:
    formula = {name: getattr(rule, name) for name in FORMULA if getattr(rule, name) not in (None, False)}
    said = {"source": f"{SOURCE}; formula: {rule.source}"} | ({"note": rule.note} if rule.note else {})
    return formula | said


def _row(values: Mapping[str, object]) -> str:
    return f"  {{ {', '.join(f'{name} = {_toml(value)}' for name, value in values.items())} }},"


def _toml(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
