"""
A cache of what was worked out for one request, for all requests of its shape: paths that differ in their ids alone.

An API's clients name a record by an id that hardly any other call names, so that nearly every path is new, and nearly
no shape is.
"""

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

T = TypeVar("T")
SHORTEST, LONGEST = 6, 32
"""Parts of a path that are decimal numbers of so many digits are ids, whatever the digits."""
MAX_CACHED_PATH = 200
"""Characters of a path that is remembered. Longer ones are rare, and would take the room of many."""
MAX_CACHED_BYTES = 16_000_000
"""Of all paths and shapes that one object remembers, over all callers and HTTP methods."""
ENTRY_BYTES = 600
"""What an entry takes beside its path: the dictionaries and strings of an answer, rounded up."""
_FOLDED = bytes.maketrans(b"123456789", b"000000000")

_Plain = dict[str, T]
_Folded = dict[bytes, tuple[int, int, dict[str, T]]]


class Shapes(Generic[T]):
    """
    Remembers answers by shape. Safe to share between threads: at worst an answer is worked out twice.

    Plain dictionaries, emptied when they are full: every event looks here, and a cache that orders its entries by use
    needs a lock and ten times as long.
    """

    def __init__(
        self,
        work_out: Callable[[str, str], T],
        *,
        ids_are_alike: bool,
        methods: Collection[str],
        max_bytes: int = MAX_CACHED_BYTES,
    ) -> None:
        """
        `work_out` answers for an HTTP method and a path; the same for paths that differ in their ids alone.

        Only answers for `methods` are remembered: callers can make up any number of others.
        """
        self._work_out = work_out
        self._folded = _FOLDED if ids_are_alike else None
        self._bytes, self._max_bytes = 0, max_bytes
        # By HTTP method: the answers for paths without ids; for each shape of the others, where its digits matter, and
        # the answers by what stands there.
        self._plain: dict[str, _Plain[T]] = {method: {} for method in methods}
        self._shapes: dict[str, _Folded[T]] = {method: {} for method in methods}

    def answer(self, http: str, path: str) -> T:
        """The answer for a request, whose query string is not looked at."""
        bare = path.partition("?")[0] if "?" in path else path
        try:
            plain = self._plain[http]
            if bare in plain:
                return plain[bare]
            start, end, known = self._shapes[http][bare.encode().translate(self._folded)]
            return known[bare[start:end]]
        except (KeyError, UnicodeEncodeError):
            return self._learn(http, bare)

    def _learn(self, http: str, bare: str) -> T:
        answer = self._work_out(http, bare)
        if http not in self._plain or len(bare) > MAX_CACHED_PATH:
            return answer
        if not any(map(is_id, bare.split("/"))):
            self._make_room(bare)
            self._plain[http][bare] = answer
        elif bare.isprintable():
            self._make_room(bare)
            shape = bare.encode().translate(self._folded)
            start, end, known = self._shapes[http].setdefault(shape, (*_where_digits_matter(bare), {}))
            known[bare[start:end]] = answer
        return answer

    def _make_room(self, bare: str) -> None:
        """Count an entry; forget all others where there is no room for it."""
        size = ENTRY_BYTES + 8 * len(
            bare
        )  # a character takes four bytes at most; a shape and its part are both kept
        if self._bytes + size > self._max_bytes:
            for method in self._plain:
                self._plain[method].clear()
                self._shapes[method].clear()
            self._bytes = 0
        self._bytes += size


def _where_digits_matter(bare: str) -> tuple[int, int]:
    """From the first part of a path with digits that are no id, to the end of the last."""
    start, end, place = len(bare), 0, 0
    for part in bare.split("/"):
        if any("0" <= character <= "9" for character in part) and not is_id(part):
            start, end = min(start, place), place + len(part)
        place += len(part) + 1
    return start, end


def is_id(part: str) -> bool:
    """Is a part of a path an id whose digits do not matter?"""
    return part.isascii() and part.isdecimal() and SHORTEST <= len(part) <= LONGEST
