"""
How many equal lines came before each line of a file, so that calls which are equal within one second each count.

Reading a log again, or the same lines from another file, finds the same numbers.
"""

from collections.abc import Sequence

REMEMBERED = 100_000
"""Different lines. The repetitions of a line are counted while at most this many others came since; see `Numbering`."""


class Numbering:
    """
    Numbers the lines of one file, in their order; how they are cut into portions does not matter.

    Equal lines carry the same second, so they stand close together. Two generations of counters hold at least the
    last REMEMBERED different lines and at most twice as many (about 20 MB). Beyond that, an equal line would take
    the first one's number and be held for the same call: one too few, never one too many.
    """

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._repeated: dict[int, int] = {}
        self._repeated_before: dict[int, int] = {}

    def repeated(self, digests: Sequence[int]) -> dict[int, int]:
        """Of the next lines, by their digests: the place of each that came before, and how often it did."""
        found: dict[int, int] = {}
        at = 0
        while at < len(digests):
            # As far as there is room for new ones; the one after that decides whether the generations change.
            end = at + max(1, self._remembered - len(self._repeated))
            self._count(digests[at:end], at, found)
            at = end
        return found

    def _count(self, digests: Sequence[int], at: int, found: dict[int, int]) -> None:
        repeated = self._repeated
        unique = dict.fromkeys(digests, 1)
        if (
            len(unique) == len(digests) <= self._remembered - len(repeated)
            and repeated.keys().isdisjoint(unique)
            and self._repeated_before.keys().isdisjoint(unique)
        ):
            repeated.update(unique)
            return
        for place, digest in enumerate(digests, at):
            before = self._before(digest)
            if before:
                found[place] = before

    def _before(self, digest: int) -> int:
        count = self._repeated.get(digest)
        if count is None:
            count = self._repeated_before.get(digest, 0)
            if len(self._repeated) >= self._remembered:
                self._repeated_before, self._repeated = self._repeated, {}
        self._repeated[digest] = count + 1
        return count
