"""Expands compressed bodies within limits, whatever their content."""

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from meterboard.errors import TooLarge, UnreadableBody

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 24}
"""The logarithm of the largest window of zstd: 16 MB."""
STEP_BYTES = 512
"""
How much of a compressed body is expanded at once: to 16 MB at worst. A step is also copied at the end of each stream,
of which there may be one in every 13 bytes, so a whole body can't be passed to a stream with its own limit.
"""


def expand(body: bytes, encoding: str, most: int) -> bytes:
    """
    Returns the expanded body, of at most `most` bytes.

    Raises: UnreadableBody: not compressed that way, or truncated. TooLarge: longer than the limit.
    """
    match encoding:
        case "gzip" | "x-gzip":
            return _expanded(body, encoding, most, lambda: zlib.decompressobj(wbits=31))
        case "zstd":
            return _expanded(body, encoding, most, lambda: zstd.ZstdDecompressor(options=ZSTD_WINDOW))
    raise UnreadableBody(f"Content-Encoding is {encoding!r}: use gzip, zstd or none.")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _expanded(body: bytes, encoding: str, most: int, start: Callable[[], _Decompressor]) -> bytes:
    """Returns all streams of a body expanded, in steps that can't expand to too much at once."""
    pieces: list[bytes] = []
    size = 0
    stream: _Decompressor | None = None
    try:
        for position in range(0, len(body), STEP_BYTES):
            step = body[position : position + STEP_BYTES]
            while step:
                stream = stream or start()
                piece = stream.decompress(step)
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise too_large(most)
                step = b""
                if stream.eof:
                    step, stream = stream.unused_data, None
    except (zlib.error, zstd.ZstdError) as error:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: {error}.") from error
    if stream is not None:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: it is cut off.")
    return b"".join(pieces)


def too_large(most: int) -> TooLarge:
    """Returns the error of a body that is longer than `most` bytes."""
    return TooLarge(
        f"The body is longer than {most:,} bytes, expanded or not. Send the events in smaller batches."
    )
