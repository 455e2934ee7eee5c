"""Expanding compressed bodies within bounds, whatever is in them."""

import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from meterboard.errors import TooLarge, UnreadableBody

ZSTD_WINDOW = 2**24
STEP_BYTES = 512
"""Of a compressed body, expanded at once: 16 MB at worst."""


def expand(body: bytes, encoding: str, most: int) -> bytes:
    """
    A compressed body as it was before, of `most` bytes at most.

    Raises: UnreadableBody: not compressed that way, or cut off. TooLarge: longer than a body may be.
    """
    match encoding:
        case "gzip" | "x-gzip":
            return _expanded(body, encoding, most, lambda: zlib.decompressobj(wbits=31))
        case "zstd":
            return _expanded(
                body,
                encoding,
                most,
                zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj,
            )
    raise UnreadableBody(f"Content-Encoding is {encoding!r}: use gzip, zstd or none.")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _expanded(body: bytes, encoding: str, most: int, start: Callable[[], _Decompressor]) -> bytes:
    """One stream after the other, each to its end, in steps that can't expand to much at once."""
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
    except (zlib.error, zstandard.ZstdError) as error:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: {error}.") from error
    if stream is not None:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: it is cut off.")
    return b"".join(pieces)


def too_large(most: int) -> TooLarge:
    """The error of a body that is longer than `most` bytes."""
    return TooLarge(
        f"The body is longer than {most:,} bytes, expanded or not. Send the events in smaller batches."
    )
