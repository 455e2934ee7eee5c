"""
The line on which each table, row and key of a TOML text begins. `tomllib` reads the values, but not their positions.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys, and numbers from 0 in a list: `("price", 3, "until")`."""


class _Token(NamedTuple):
    text: str
    line: int


_TOKEN = re.compile(
    r"""
      (?P<comment> \#[^\n]* )
    | \"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5}
    | "(?:\\.|[^"\\\n])*" | '[^'\n]*'
    | [\[\]{}=,.\n]
    | [^\s\[\]{}=,.\#"']+
    """,
    re.VERBOSE | re.DOTALL,
)


def lines_of(text: str) -> dict[Path, int]:
    """Returns the lines, from 1. `text` is TOML that `tomllib` can read; other texts give wrong lines or IndexError."""
    return _Reader(list(_tokens(text))).document()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """Returns the line of a place, or of the nearest place around it that has one; 1 if none has."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)


def _tokens(text: str) -> Iterator[_Token]:
    line, seen = 1, 0
    for found in _TOKEN.finditer(text):
        line += text.count("\n", seen, found.start())
        seen = found.start()
        if not found["comment"]:
            yield _Token(found[0], line)


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._lines: dict[Path, int] = {}
        self._rows: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        within: Path = ()
        while self._next < len(self._tokens):
            if self._peek() == "\n":
                self._next += 1
            elif self._peek() == "[":
                within = self._header()
            else:
                self._pair(within)
        return self._lines

    def _peek(self) -> str:
        return self._tokens[self._next].text if self._next < len(self._tokens) else "\n"

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _header(self) -> Path:
        """Reads `[table]`, or `[[list]]`, which begins another row."""
        line = self._take().line
        is_row = self._peek() == "["
        if is_row:
            self._take()
        *around, last = self._key("]")
        path: Path = ()
        for key in around:
            path = self._latest((*path, key))
        path = (*path, last)
        if is_row:
            self._take()
            self._lines.setdefault(path, line)
            self._rows[path] = self._rows.get(path, -1) + 1
            path = (*path, self._rows[path])
        self._lines[path] = line
        return path

    def _latest(self, path: Path) -> Path:
        return (*path, self._rows[path]) if path in self._rows else path

    def _key(self, end: str) -> list[str]:
        """Reads a key and returns its parts."""
        parts: list[str] = []
        while (text := self._take().text) != end:
            if text != ".":
                parts.append(next(iter(tomllib.loads(f"{text} = 0"))))
        return parts

    def _pair(self, within: Path) -> None:
        line = self._tokens[self._next].line
        path = within
        for key in self._key("="):
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._take().text
        if opening == "{":
            while self._beyond("}"):
                self._pair(path)
        elif opening == "[":
            number = 0
            while self._beyond("]"):
                self._lines[*path, number] = self._tokens[self._next].line
                self._value((*path, number))
                number += 1
        else:
            while self._peek() not in (",", "]", "}", "\n"):
                self._take()

    def _beyond(self, end: str) -> bool:
        """Returns whether anything follows before the end. Skips commas and, at last, the end."""
        while self._peek() in (",", "\n"):
            self._take()
        if self._peek() != end:
            return True
        self._take()
        return False
