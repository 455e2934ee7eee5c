"""Counts the records of a call in copies of its bodies. The bodies themselves are not delayed."""

from collections.abc import Sequence

import msgspec

from meterboard.errors import Refused
from meterboard.formats.compression import expand

MAX_BYTES = 4_000_000
"""The longest body whose records are counted, expanded or not."""
MAX_TOTAL_BYTES = 64_000_000
"""The bytes of all copies together."""
SMALL_BYTES = 100_000
"""A body up to this size is decoded in the event loop; a longer or compressed one in a thread."""
ENCODINGS = ("identity", "gzip", "x-gzip", "zstd")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


class BodyCopies:
    """All copies that are held; `size` is their total size in bytes."""

    def __init__(self) -> None:
        self.size = 0


class BodyCopy:
    """A copy of a body, which is decoded when the call is over. It is discarded when it becomes too long."""

    def __init__(self, copies: BodyCopies, content_type: str, encoding: str) -> None:
        kind = content_type.partition(";")[0].strip().lower()
        self._encoding = encoding.strip().lower() or "identity"
        self._copies = copies
        self._bytes = bytearray()  # not a list of pieces: a client may send single bytes
        self._size = 0
        self._is_counted = (
            kind == "application/json" or kind.endswith("+json")
        ) and self._encoding in ENCODINGS

    @property
    def takes_long(self) -> bool:
        """Returns whether decoding it would delay other calls."""
        return self._size > SMALL_BYTES or (self._size > 0 and self._encoding != "identity")

    def add(self, chunk: bytes) -> None:
        """Adds a piece of the body that was forwarded."""
        if not self._is_counted:
            return
        self._size += len(chunk)
        self._copies.size += len(chunk)
        self._bytes += chunk
        if self._size > MAX_BYTES or self._copies.size > MAX_TOTAL_BYTES:
            self.discard()

    def discard(self) -> None:
        """Releases the bytes, which are no longer needed."""
        self._copies.size -= self._size
        self._size = 0
        self._bytes = bytearray()
        self._is_counted = False

    def records(self, path: Sequence[str]) -> int | None:
        """
        Returns the number of entries of the array at `path`, or of the body if it is an array; None: neither, or it
        was discarded.
        """
        if not self._is_counted or not self._size:
            return None
        body = bytes(self._bytes)
        if self._encoding != "identity":
            try:
                body = expand(body, self._encoding, MAX_BYTES)
            except Refused:
                return None
        return count_in(body, path)


def count_in(body: bytes, path: Sequence[str]) -> int | None:
    """
    Returns the number of entries of the array at `path` of a JSON object, or of the body if it is an array; None:
    neither.
    """
    found = msgspec.Raw(body)
    try:
        if body.lstrip()[:1] == b"{":
            for name in path:
                found = _object.decode(found)[name]
        return len(_array.decode(found))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None
