"""
Ids for lines that have none: the digest of a line and how many equal ones came before it.

Reading a log again, or the same lines from another file, finds the same ids; equal calls of one second each have one.
"""

from collections.abc import Sequence
from hashlib import blake2b

REMEMBERED = 100_000
"""Different lines. The repetitions of a line are counted while at most this many others came since; see `Numbering`."""


class Numbering:
    """
    Numbers the lines of one file, in their order; how they are cut into portions does not matter.

    Equal lines carry the same second, so they stand close together. Two generations of counters hold at least the
    last REMEMBERED different lines and at most twice as many (about 30 MB). Beyond that, an equal line would take
    the first one's number and be held for the same call: one too few, never one too many.
    """

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._repeated: dict[str, int] = {}
        self._repeated_before: dict[str, int] = {}

    def ids(self, texts: Sequence[bytes]) -> list[str]:
        """The next lines' ids."""
        digests = [blake2b(text, digest_size=16).hexdigest() for text in texts]
        ids: list[str] = []
        while len(ids) < len(digests):
            # As far as there is room for new ones; the one after that decides whether the generations change.
            room = max(1, self._remembered - len(self._repeated))
            ids += self._numbered(digests[len(ids) : len(ids) + room])
        return ids

    def _numbered(self, digests: Sequence[str]) -> list[str]:
        repeated = self._repeated
        unique = dict.fromkeys(digests, 1)
        if (
            len(unique) == len(digests) <= self._remembered - len(repeated)
            and repeated.keys().isdisjoint(unique)
            and self._repeated_before.keys().isdisjoint(unique)
        ):
            repeated.update(unique)
            return [f"log-{digest}-0" for digest in digests]
        return [f"log-{digest}-{self._count(digest)}" for digest in digests]

    def _count(self, digest: str) -> int:
        """How many equal ones came before."""
        count = self._repeated.get(digest)
        if count is None:
            count = self._repeated_before.get(digest, 0)
            if len(self._repeated) >= self._remembered:
                self._repeated_before, self._repeated = self._repeated, {}
        self._repeated[digest] = count + 1
        return count
