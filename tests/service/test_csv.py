"""Rows as CSV."""

import csv
from io import StringIO

import pytest

from meterboard.service.export import to_csv

COLUMNS: dict[str, type] = {"name": str, "calls": int, "share": float}


def cells(name: str) -> list[str]:
    """A row as a reader of CSV gets it."""
    _, row = csv.reader(StringIO(to_csv(COLUMNS, [[name, -1, -0.5]]).decode(), newline=""))
    return row


@pytest.mark.parametrize(
    "name",
    ["=HYPERLINK(1)", "+cmd|calc", "-1+1", "-", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"],
)  # fmt: skip
def test_a_text_that_begins_like_a_formula_is_none(name: str) -> None:
    assert cells(name) == [f"'{name}", "-1", "-0.5"]


@pytest.mark.parametrize("name", ["", "a=b", " =1", "maria@acme.example", "'=1", "a,b\n=1"])
def test_other_texts_and_numbers_stay_as_they_are(name: str) -> None:
    assert cells(name) == [name, "-1", "-0.5"]
