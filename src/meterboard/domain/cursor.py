"""A place in a list of events, newest first, that stays where it is when others come or go."""

import re
from typing import NamedTuple

from meterboard.errors import InvalidParameter

_TEXT = re.compile(r"([on])(\d{1,17})\.(\d{1,9})", re.ASCII)


class Cursor(NamedTuple):
    """
    The place behind the first `passed` of the events at `time` (microseconds since 1970 UTC).

    Events of one time are in the order of their receipt, so that one that comes later moves none that was passed.
    `newer`: what comes before this place in the list is asked for, instead of what follows it.
    """

    time: int
    passed: int
    newer: bool = False

    def text(self) -> str:
        """As it stands in an address."""
        return f"{'n' if self.newer else 'o'}{self.time}.{self.passed}"


def parse_cursor(text: str) -> Cursor:
    """Raises: InvalidParameter: `text` is no cursor."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidParameter(
            "cursor",
            f"cursor is {text!r}: use what an answer has as next or previous, or leave it out for the newest.",
        )
    return Cursor(int(found[2]), int(found[3]), found[1] == "n")
