"""
A cache of the results for requests, by shape: the shape is the same for paths that differ only in their ids.

Clients of an API use ids that hardly any other call has, so nearly every path is new, and nearly no shape is.
"""

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

T = TypeVar("T")
SHORTEST, LONGEST = 6, 32
"""The number of digits that make a decimal part of a path an id."""
MAX_CACHED_PATH = 200
"""The longest path that is cached. Longer ones are rare, and would take the space of many."""
MAX_CACHED_BYTES = 16_000_000
"""The size of the cache, over all callers and HTTP methods."""
ENTRY_BYTES = 600
"""The size of an entry without its path: the dictionaries and strings of a result, rounded up."""
_FOLDED = bytes.maketrans(b"123456789", b"000000000")

_Plain = dict[str, T]
_Folded = dict[bytes, tuple[int, int, dict[str, T]]]


class PathCache(Generic[T]):
    """
    Caches results by shape. Safe to share between threads: at worst a result is computed twice.

    Plain dictionaries, which are cleared when they are full: every event is looked up here, and an LRU cache needs a
    lock and ten times as long.
    """

    def __init__(
        self,
        compute: Callable[[str, str], T],
        *,
        ids_are_alike: bool,
        methods: Collection[str],
        max_bytes: int = MAX_CACHED_BYTES,
    ) -> None:
        """
        Creates a cache of `compute`, the function of an HTTP method and a path; its result is the same for paths that
        differ only in ids.

        Only results for `methods` are cached: clients can invent any number of others.
        """
        self._compute = compute
        self._folded = _FOLDED if ids_are_alike else None
        self._bytes, self._max_bytes = 0, max_bytes
        # By HTTP method: the results for paths without ids; for each shape of the others, the range in which digits
        # matter, and the results by the text in that range.
        self._plain: dict[str, _Plain[T]] = {method: {} for method in methods}
        self._shapes: dict[str, _Folded[T]] = {method: {} for method in methods}

    def get(self, http: str, path: str) -> T:
        """Returns the result for a request; its query string is ignored."""
        bare = path.partition("?")[0] if "?" in path else path
        try:
            plain = self._plain[http]
            if bare in plain:
                return plain[bare]
            start, end, known = self._shapes[http][bare.encode().translate(self._folded)]
            return known[bare[start:end]]
        except (KeyError, UnicodeEncodeError):
            return self._add(http, bare)

    def _add(self, http: str, bare: str) -> T:
        get = self._compute(http, bare)
        if http not in self._plain or len(bare) > MAX_CACHED_PATH:
            return get
        if not any(map(is_id, bare.split("/"))):
            self._make_room(bare)
            self._plain[http][bare] = get
        elif bare.isprintable():
            self._make_room(bare)
            shape = bare.encode().translate(self._folded)
            start, end, known = self._shapes[http].setdefault(shape, (*_where_digits_matter(bare), {}))
            known[bare[start:end]] = get
        return get

    def _make_room(self, bare: str) -> None:
        """Counts an entry; clears the cache if there is no room for it."""
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
    """Returns the range from the first part of a path with digits that is no id, to the end of the last."""
    start, end, place = len(bare), 0, 0
    for part in bare.split("/"):
        if any("0" <= character <= "9" for character in part) and not is_id(part):
            start, end = min(start, place), place + len(part)
        place += len(part) + 1
    return start, end


def is_id(part: str) -> bool:
    """Returns whether a part of a path is an id whose digits are irrelevant."""
    return part.isascii() and part.isdecimal() and SHORTEST <= len(part) <= LONGEST
