"""Rows as CSV and Parquet, for those who take the numbers along."""

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

Value = str | int | float | datetime | None
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet run a cell, by OWASP's rule against CSV injection; the last four are full-width forms."""
TYPES = {str: "varchar", int: "bigint", float: "double", bool: "boolean", datetime: "timestamptz"}


def to_csv(columns: Mapping[str, type], rows: Sequence[Sequence[Value]]) -> bytes:
    """UTF-8 with a heading; times in RFC 3339; an empty field is null."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_as_text(value) for value in row])
    return text.getvalue().encode()


def _as_text(value: Value) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return without_formula(value)
    return value.isoformat() if isinstance(value, datetime) else value


def without_formula(text: str) -> str:
    """Returns a text that no spreadsheet takes for a formula: with ' in front if it begins like one."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def to_parquet(columns: Mapping[str, type], rows: Sequence[Sequence[Value]]) -> bytes:
    """Typed columns; times as moments, without a zone of their own."""
    with TemporaryDirectory(prefix="meterboard-") as folder, duckdb.connect() as connection:
        fields = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
        connection.execute(f"create table answer ({fields})").fetchall()
        appender = connection.appender("answer")
        appender.append_rows(rows)
        appender.flush()
        file = Path(folder) / "answer.parquet"
        connection.execute("copy answer to $file (format parquet)", {"file": str(file)}).fetchall()
        return file.read_bytes()
