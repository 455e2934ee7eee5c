"""How many records a call carried, from copies of its bodies. The bodies themselves are never held up for it."""

from collections.abc import Sequence

import msgspec

from meterboard.errors import Refused
from meterboard.formats.compression import expand

MOST_BYTES = 4_000_000
"""Of a body that is looked into, expanded or not. A longer one has its records uncounted."""
MOST_TOGETHER = 64_000_000
"""Bytes of all copies at a time."""
BRIEF_BYTES = 100_000
"""Looked into at once; more, or what has to be expanded first, in a thread."""
ENCODINGS = ("identity", "gzip", "x-gzip", "zstd")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


class Copies:
    """All that are held; `size` is their bytes."""

    def __init__(self) -> None:
        self.size = 0


class Copy:
    """A copy of a body that is looked into when the call is over; given up when it grows too long."""

    def __init__(self, together: Copies, content_type: str, encoding: str) -> None:
        kind = content_type.partition(";")[0].strip().lower()
        self._encoding = encoding.strip().lower() or "identity"
        self._together = together
        self._bytes = bytearray()  # not a list of pieces: a caller may send single bytes
        self._size = 0
        self._wanted = (kind == "application/json" or kind.endswith("+json")) and self._encoding in ENCODINGS

    @property
    def takes_long(self) -> bool:
        """Is it so much work to look into it that other calls would notice?"""
        return self._size > BRIEF_BYTES or (self._size > 0 and self._encoding != "identity")

    def add(self, chunk: bytes) -> None:
        """One more piece of the body has passed."""
        if not self._wanted:
            return
        self._size += len(chunk)
        self._together.size += len(chunk)
        self._bytes += chunk
        if self._size > MOST_BYTES or self._together.size > MOST_TOGETHER:
            self.give_up()

    def give_up(self) -> None:
        """Its bytes are not needed any more."""
        self._together.size -= self._size
        self._size = 0
        self._bytes = bytearray()
        self._wanted = False

    def records(self, path: Sequence[str]) -> int | None:
        """Entries of the array at `path`, else of the body if it is an array; None: there is none, or it was given up."""
        if not self._wanted or not self._size:
            return None
        body = bytes(self._bytes)
        if self._encoding != "identity":
            try:
                body = expand(body, self._encoding, MOST_BYTES)
            except Refused:
                return None
        return count_in(body, path)


def count_in(body: bytes, path: Sequence[str]) -> int | None:
    """Entries of the array at `path` of a JSON object, or of the body if it is an array; None: neither."""
    found = msgspec.Raw(body)
    try:
        if body.lstrip()[:1] == b"{":
            for name in path:
                found = _object.decode(found)[name]
        return len(_array.decode(found))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None
