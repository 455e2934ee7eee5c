"""Converts rows of CSV and Parquet to lines, each a JSON object, which are read like any others."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from meterboard.errors import FileError
from meterboard.importers.reading.fields import quoted
from meterboard.importers.reading.lines import CHUNK, ByteReader, Lines, readable, records, split_into_pieces

ROWS = 50_000
"""How many rows of a Parquet file are in memory at once."""
ROWS_AT_ONCE = 2_048
"""How many rows are fetched at once. The length of row groups is nearly always a multiple of it."""
MAX_OPEN_BYTES = 2 * CHUNK
"""The bytes within which a quote has to end."""
_DELIMITERS = ",;\t|"


def parquet_lines(file: str) -> Iterator[Lines]:
    """
    Yields the rows of a Parquet file.

    Raises: FileError: it is not one, or is damaged; the rows of the row groups before the damage are yielded first.
    """
    connection = _connect()
    first, rows = 1, list[bytes]()
    damage: duckdb.Error | None = None
    try:
        # DuckDB discards its buffer when it finds damage, so the buffer is as small as possible.
        connection.execute("set streaming_buffer_size = '1KB'")
        connection.execute(f"select to_json(line) from read_parquet({quoted(file)}) as line")
        while more := connection.fetchmany(ROWS_AT_ONCE):
            rows += [text.encode() for (text,) in more]
            if len(rows) >= ROWS:
                yield records(first, rows)
                first, rows = first + len(rows), []
    except duckdb.Error as error:
        damage = error
    finally:
        connection.close()
    if rows:
        yield records(first, rows)
    if damage is not None:
        what = str(damage).split("\n", 1)[0]
        raise FileError(f"The file {file} can't be read as Parquet: {what}") from damage


def csv_lines(stream: ByteReader, *, size: int = CHUNK) -> Iterator[Lines]:
    """
    Yields the records of CSV with a header. The delimiter is that of `,`, `;`, tab and `|` which the header has most
    of.

    A record that does not fit the header stays as it was written, so that it is unreadable.
    """
    connection = _connect()
    names: list[str] = []
    delimiter, first, rest = ",", 1, b""
    with TemporaryDirectory(prefix="meterboard-import-") as folder:
        file = Path(folder) / "chunk.csv"
        while piece := stream.read(size):
            rest += piece
            # An unclosed quote must not make the rest of the file one record.
            end = _end_of_record(rest) or (rest.rfind(b"\n") + 1 if len(rest) > MAX_OPEN_BYTES else 0)
            whole, rest = rest[:end], rest[end:]
            if not end:
                continue
            if not names:
                header, whole = _header(whole)
                delimiter = max(_DELIMITERS, key=header.count)
                names, first = _names(header, delimiter), 2
            texts = _records(connection, file, whole, names, delimiter)
            if texts:
                yield records(first, texts)
            first += len(texts)
        if rest.strip() and not names:
            yield split_into_pieces(1, readable(rest).rstrip(b"\n"))
        elif rest.strip():
            yield records(first, _records(connection, file, rest, names, delimiter))
    connection.close()


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})


def _header(data: bytes) -> tuple[str, bytes]:
    line, _, rest = data.partition(b"\n")
    return line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").rstrip("\r"), rest


def _names(header: str, delimiter: str) -> list[str]:
    """Returns the names of the columns, made unique: DuckDB ignores case."""
    clean = header.replace("\r", " ").replace("\0", " ")
    try:
        found = next(csv.reader([clean], delimiter=delimiter), [])
    except csv.Error:
        found = clean.split(delimiter)
    names: dict[str, str] = {}
    for number, name in enumerate(found or [""], 1):
        key = name.strip() or f"column {number}"
        names[key.lower() if key.lower() not in names else f"{key.lower()} {number}"] = key
    return [key if key.lower() != name.lower() else name for key, name in names.items()]


def _end_of_record(data: bytes) -> int:
    """Returns the position after the last line end outside quotes; 0: there is none."""
    end = data.rfind(b"\n") + 1
    enclosed = data.count(b'"', 0, end) % 2
    while end and enclosed:
        before = data.rfind(b"\n", 0, end - 1) + 1
        enclosed = (enclosed + data.count(b'"', before, end)) % 2
        end = before
    return end


def _records(
    connection: duckdb.DuckDBPyConnection, file: Path, data: bytes, names: Sequence[str], delimiter: str
) -> list[bytes]:
    if not data.strip():
        return []
    file.write_bytes(readable(data))
    columns = "{" + ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names) + "}"
    try:
        rows = connection.execute(
            f"select to_json(line) from read_csv({quoted(str(file))}, columns = {columns}, header = false, "
            f"auto_detect = false, delim = {quoted(delimiter)}, quote = '\"', escape = '\"', store_rejects = true, "
            "max_line_size = 20000000) as line"
        ).fetchall()
    except duckdb.Error:  # such as an unclosed quote: the lines stay as written, so that they are unreadable
        return readable(data).rstrip(b"\n").split(b"\n")
    texts = [text.encode() for (text,) in rows]
    wrong = connection.execute("select distinct line, csv_line from reject_errors order by line").fetchall()
    for line, text in wrong:
        texts.insert(line - 1, (text or "").encode())
    if wrong:
        connection.execute("drop table reject_errors").fetchall()
        connection.execute("drop table reject_scans").fetchall()
    return texts
