"""A position in a list of events, newest first, that stays the same when events are added or deleted."""

import re
from typing import NamedTuple

from meterboard.errors import InvalidParameter

_TEXT = re.compile(r"([on])(\d{1,17})\.(\d{1,9})", re.ASCII)


class Cursor(NamedTuple):
    """
    The position after the first `passed` events at `time` (microseconds since 1970 UTC).

    Events of the same time are in the order of their receipt, so that a later one doesn't change the position.
    `newer`: the cursor asks for the events before this position in the list instead of those after it.
    """

    time: int
    passed: int
    newer: bool = False

    def text(self) -> str:
        """Returns the cursor as it is written in an address."""
        return f"{'n' if self.newer else 'o'}{self.time}.{self.passed}"


def parse_cursor(text: str) -> Cursor:
    """Returns the cursor that `text` stands for. Raises: InvalidParameter: `text` is not a cursor."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidParameter(
            "cursor",
            f"cursor is {text!r}: use the value of next or previous in a response, or omit it for the newest events.",
        )
    return Cursor(int(found[2]), int(found[3]), found[1] == "n")
