"""An answer of the statistics as JSON, CSV or Parquet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal

import msgspec
from litestar import Response
from litestar.response import Stream

from meterboard.domain.organization import Organization
from meterboard.domain.query import DimensionName
from meterboard.service.export import ExportFile, Exports, FileFormat, to_bytes, write_in_full
from meterboard.service.table_data import Answer, Paged

Format = Literal["json", "csv", "parquet"]
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = {"csv": "text/csv", "parquet": PARQUET}
PIECE_BYTES = 256 * 1024
"""What of a file is in memory while it is sent."""


def respond(
    answer: Answer, *, format: Format, name: str, own: Sequence[DimensionName] = ()
) -> Response[bytes]:
    """`name` is the downloaded file's, without its ending; `own` are the own dimensions that events are listed with."""
    if format == "json":
        return Response(msgspec.json.encode(answer), media_type="application/json")
    content = to_bytes(answer, format, own)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"'}
    return Response(content, media_type=MEDIA_TYPES[format], headers=headers)


def respond_in_full(
    ask: Callable[[int, int], Paged],
    *,
    format: FileFormat,
    name: str,
    organization: Organization,
    exports: Exports,
    with_estimates: bool = False,
) -> Response[Any]:
    """
    `respond` for an answer of any length: its pages, which `ask` answers, are written to a file, and that is sent.

    Raises: Overloaded: too many such files are being sent.
    """
    file = exports.open(organization.id)
    try:
        size = write_in_full(ask, file, format=format, with_estimates=with_estimates)
    except BaseException:
        exports.close(file)
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"', "Content-Length": str(size)}
    return Stream(_pieces(file, exports), media_type=MEDIA_TYPES[format], headers=headers)


async def _pieces(file: ExportFile, exports: Exports) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(file.content.read, PIECE_BYTES):
            yield piece
    finally:
        exports.close(file)
