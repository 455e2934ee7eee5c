"""
Rows for DuckDB as Apache Arrow columns in memory, which it reads four times as fast as Python's tuples.

See arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html for the interface.
"""

from array import array
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import nanoarrow as na
from nanoarrow.c_array import c_array_from_buffers
from nanoarrow.c_array_stream import CArrayStream

from meterboard.domain.query import DimensionName
from meterboard.usage.batch import EventBatch

EVENT = {
    "organization": ("i", na.int32()),
    "received_at": ("q", na.int64()),
    "time": ("q", na.int64()),
    "id_low": ("Q", na.uint64()),
    "id_high": ("I", na.uint32()),
    "combination": ("q", na.int64()),
    "credits": ("i", na.int32()),
    "charged": ("i", na.int32()),
    "estimated": ("b", na.int8()),
    "records": ("i", na.int32()),
    "reason": ("i", na.int32()),
}
"""The columns of the table `event`, with their types in Python's `array` and in Arrow."""
_CODE, _TEXT = ("i", na.int32()), ("s", na.string())
CALL = {
    **dict.fromkeys(("kind", "caller", "origin"), _CODE),
    **{name: EVENT[name] for name in ("time", "id_low", "id_high")},
}
"""The values of a call itself, and the codes of the others."""
_KIND_TEXTS = ("function", "module", "method", "version", "status")
_KIND_NUMBERS = ("organization", "credits", "charged", "estimated", "records", "reason")
KIND = {
    **dict.fromkeys(("kind", "first_equal"), _CODE),
    **dict.fromkeys(_KIND_TEXTS, _TEXT),
    **{name: EVENT[name] for name in _KIND_NUMBERS},
}
"""What was called and what it cost; `first_equal` is the index of the first kind with the same dimensions."""
CALLER = {"caller": _CODE, "first_equal": _CODE, "application": _TEXT, "user": _TEXT}
"""The callers; columns of own dimensions are added."""
ORIGIN = {"origin": _CODE, "first_equal": _CODE, "ip": _TEXT}


class Rows:
    """Columns of equal length, in the order of their types. DuckDB may read them more than once."""

    def __init__(
        self, columns: Mapping[str, Iterable[Any]], types: Mapping[str, tuple[str, na.Schema]] = EVENT
    ) -> None:
        """
        Builds the columns. Raises: KeyError: a column is missing. OverflowError: a number does not fit its column.
        """
        buffers = {name: _buffers(code, columns[name]) for name, (code, _) in types.items()}
        length = len(next(iter(buffers.values()))[0])  # the first column is of numbers
        children = [
            c_array_from_buffers(kind, length, [None, *buffers[name]]) for name, (_, kind) in types.items()
        ]
        schema = na.struct({name: kind for name, (_, kind) in types.items()})
        self._array = c_array_from_buffers(schema, length, [None], children=children)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = CArrayStream.from_c_arrays([self._array], self._array.schema, move=False)
        return stream.__arrow_c_stream__(requested_schema)


def kind_rows(kinds: EventBatch, reasons: Iterable[int]) -> Rows:
    """Returns the kinds of an encoded batch with the numbers of their reasons."""
    combinations = kinds.combinations
    columns: dict[str, Iterable[Any]] = {
        **{
            name: [getattr(values, name) for values in combinations]
            for name in (*_KIND_TEXTS, "organization")
        },
        **{name: getattr(kinds, name) for name in ("credits", "charged", "estimated", "records")},
        "reason": reasons,
    }
    return Rows({"kind": range(len(kinds)), "first_equal": _first_equal(combinations), **columns}, KIND)


def caller_rows(callers: Sequence[tuple[str, ...]], own: Sequence[DimensionName]) -> Rows:
    """Returns the callers of an encoded batch with their values of own dimensions."""
    types = CALLER | dict.fromkeys(own, _TEXT)
    columns = (range(len(callers)), _first_equal(callers), *zip(*callers, strict=True))
    return Rows(dict(zip(types, columns, strict=True)), types)


def origin_rows(origins: Sequence[str]) -> Rows:
    """Returns the origins of an encoded batch."""
    columns = {"origin": range(len(origins)), "first_equal": _first_equal(origins), "ip": origins}
    return Rows(columns, ORIGIN)


def _first_equal(values: Sequence[Hashable]) -> list[int]:
    """Returns for each value the index of the first equal one."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(value, index) for index, value in enumerate(values)]


def _buffers(code: str, column: Iterable[Any]) -> Sequence[Any]:
    if code == "s":
        texts = list(column)
        text = "".join(texts)
        data = text.encode()
        lengths = map(len, texts) if len(data) == len(text) else (len(each.encode()) for each in texts)
        return [array("i", accumulate(lengths, initial=0)), data]
    return [column if isinstance(column, array) and column.typecode == code else array(code, column)]
