"""
A credit schedule of Zoho CRM's own price list: the answer of `GET /crm/v8/__apis`.

It says for each path and HTTP method the least and the most credits of a call. What lies between is priced by the
formula that comes with Meterboard where that has the same bounds; else it is an estimate.
"""

import json
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from meterboard.domain.price import Call
from meterboard.domain.schedule import CreditSchedule, read_schedule
from meterboard.errors import InvalidParameter

PRICES = "\nprice = [\n"
ANY_MODULE = "Anything"


class _Operation(Struct):
    method: str
    min_credits: int
    max_credits: int


class _Path(Struct):
    path: str
    operation_types: list[_Operation]


class _Answer(Struct, rename={"apis": "__apis"}):
    apis: list[_Path]


def schedule_of_apis(answer: str, builtin: str) -> str:
    """
    The text of a schedule with the answer's prices in front of those of `builtin`, the text of the built-in schedule.

    Raises: InvalidParameter: it is not such an answer.
    """
    try:
        listed = msgspec.json.decode(answer, type=_Answer).apis
    except msgspec.DecodeError as error:
        raise InvalidParameter("file", f"This is no answer of GET /crm/v8/__apis: {error}.") from error
    schedule = read_schedule(builtin)
    rows: dict[str, None] = {}
    # A module's own price goes before that of every module.
    for path in sorted(listed, key=lambda path: "{{module}}" in path.path):
        rows |= dict.fromkeys(_rows(path, schedule))
    name = builtin.replace('name = "zoho-crm"', 'name = "zoho-crm-imported"', 1)
    return name.replace(PRICES, PRICES + "\n".join(_refused(builtin)) + "\n" + "\n".join(rows) + "\n", 1)


def _refused(builtin: str) -> Iterable[str]:
    """The built-in rows on refused calls, which go before everything."""
    return [line for line in builtin.splitlines() if line.lstrip().startswith("{ status = ")]


def _rows(listed: _Path, schedule: CreditSchedule) -> Iterable[str]:
    path = listed.path.replace("{{module}}", ANY_MODULE).replace("{{id}}", "1")
    for operation in listed.operation_types:
        version, module, method, _ = schedule.classify(operation.method, path)
        found = schedule.rule(Call(version, module, method))
        least, most = operation.min_credits, operation.max_credits
        row = {"method": method} | ({"module": module} if module not in ("", ANY_MODULE) else {})
        if least == most:
            yield _row(row | {"credits": least})
        elif found and found.most == most and found.per_records and found.credits == least:
            yield _row(row | {"credits": least, "per_records": found.per_records, "most": most})
        else:
            yield _row(row | {"credits": least, "most": most, "estimated": True})


def _row(values: dict[str, object]) -> str:
    said = ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    return f'  {{ {said}, source = "__apis" }},'
