"""
What was worked out for one request, at hand for all of its shape: paths that differ in their ids alone.

An API's clients name a record by an id that hardly any other call names, so that nearly every path is new, and nearly
no shape is.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Key = TypeVar("Key")
SHORTEST, LONGEST = 6, 32
"""Parts of a path that are decimal numbers of so many digits are ids, whatever the digits."""
MOST = 4_096
"""Shapes that are kept, and paths of a shape."""
_FOLDED = bytes.maketrans(b"123456789", b"000000000")


class Shapes(Generic[T]):
    """Remembers answers by shape. Safe to share between threads: at worst an answer is worked out twice."""

    def __init__(self, work_out: Callable[[str, str], T], *, ids_are_alike: bool) -> None:
        """`work_out` answers for an HTTP method and a path; the same for paths that differ in their ids alone."""
        self._work_out = work_out
        self._folded = _FOLDED if ids_are_alike else None
        # By HTTP method: the answers for paths without ids; for each shape of the others, where its digits matter, and
        # the answers by what stands there.
        self._plain: dict[str, dict[str, T]] = defaultdict(dict)
        self._shapes: dict[str, dict[bytes, tuple[int, int, dict[str, T]]]] = defaultdict(dict)

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
        if len(self._plain) > MOST:
            self._plain.clear()
            self._shapes.clear()
        if not any(map(is_id, bare.split("/"))):
            _room(self._plain[http])[bare] = answer
        elif bare.isprintable():
            shape = bare.encode().translate(self._folded)
            start, end, known = _room(self._shapes[http]).setdefault(shape, (*_where_digits_matter(bare), {}))
            _room(known)[bare[start:end]] = answer
        return answer


def _room(kept: dict[Key, T]) -> dict[Key, T]:
    """A full dictionary begins anew."""
    if len(kept) >= MOST:
        kept.clear()
    return kept


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
