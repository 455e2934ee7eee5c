"""
Rejects regular expressions of a schedule that could take long on a path that a client made up.

Python's engine tries every way in which an expression may match. An expression is rejected if there can be more ways
than the square of a text's length, so that the time for one part of a path is bounded whatever its content.
"""

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

# The only description of an expression that there is. Releases of mypy disagree on whether these modules have types.
codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

MAX_OPEN_REPEATS = 2
"""Repeats in one expression whose ends depend on each other: a part of 128 characters takes 8,128 tries at most."""
MAX_CHOICES = 6
"""
Choices in one expression, such as a part that may be missing: each doubles the tries, so 64 times as many at most.
"""

_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_LOOKAROUNDS = (codes.ASSERT, codes.ASSERT_NOT)
_CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}
SyntaxNode = tuple[Any, Any]


class _Ways(NamedTuple):
    """How many ways to match there are: at most `length ** repeats * 2 ** choices` for a text of some length."""

    repeats: int
    choices: int

    def __mul__(self, times: object) -> "_Ways":
        assert isinstance(times, int)
        return _Ways(self.repeats * times, self.choices * times)


ONE_WAY = _Ways(0, 0)


class _TooSlow(Exception):
    pass


def why_refused(pattern: str) -> str:
    """Returns why an expression of one part of a path can't be used; empty where it can."""
    nodes = list(parser.parse(pattern))
    if _consumes_slash(nodes):
        return r"it can match a slash, which ends a part: name the characters of a part, such as [\w.-]"
    try:
        ways = _ways(nodes)
    except _TooSlow as error:
        return str(error)
    if ways.repeats > MAX_OPEN_REPEATS:
        return f"{ways.repeats} of its repeats can share the same characters: use at most {MAX_OPEN_REPEATS}"
    if ways.choices > MAX_CHOICES:
        return f"it has {ways.choices} choices in a row: use at most {MAX_CHOICES}"
    return ""


def _ways(nodes: Sequence[SyntaxNode]) -> _Ways:
    """Returns the ways of a sequence. Raises: _TooSlow: there is no such bound."""
    repeats, choices, aside = 0, 0, ONE_WAY
    for place, (code, value) in enumerate(nodes):
        found = ONE_WAY
        if code in _REPEATS:
            found = _of_repeat(value, nodes[place + 1 : place + 2])
        elif code is codes.BRANCH:
            each = [_ways(branch) for branch in value[1]]
            found = _Ways(max(way.repeats for way in each), max(way.choices for way in each))
            found = _Ways(found.repeats, found.choices + (len(each) - 1).bit_length())
        elif code is codes.SUBPATTERN:
            found = _ways(value[-1])
        elif code is codes.ATOMIC_GROUP:
            found = _ways(value)
        elif code in _LOOKAROUNDS:  # once it fits, no other way is tried
            aside = max(aside, _ways(value[1]))
        elif code in (codes.GROUPREF, codes.GROUPREF_EXISTS):
            raise _TooSlow("it refers to a group")
        repeats, choices = repeats + found.repeats, choices + found.choices
    return max(_Ways(repeats, choices), aside)


def _of_repeat(value: tuple[int, int, Sequence[SyntaxNode]], following: Sequence[SyntaxNode]) -> _Ways:
    least, most, body = value[0], value[1], list(value[2])
    inner = _ways(body)
    if least == most:
        return inner * int(most)
    if most == 1:
        return _Ways(inner.repeats, inner.choices + 1)
    if inner != ONE_WAY and not _is_delimited(body):
        raise _TooSlow("a repeat in a repeat can fit in too many ways: begin or end each round with a sign")
    return ONE_WAY if _ends_at(following, body) else _Ways(1, 0)


def _is_delimited(body: list[SyntaxNode]) -> bool:
    """
    Returns whether a character marks where each round of a repeat begins or ends, and there is one way to match the
    rest.
    """
    while len(body) == 1 and body[0][0] is codes.SUBPATTERN:
        body = list(body[0][1][-1])
    for mark, rest in ((body[0], body[1:]), (body[-1], body[:-1])):
        if _is_sign(mark) and not _may_match(rest, chr(mark[1])):
            return _ways([*rest, mark]) == ONE_WAY
    return False


def _ends_at(following: Sequence[SyntaxNode], body: Sequence[SyntaxNode]) -> bool:
    """Returns whether a repeat ends at the single character after it."""
    return bool(following) and _is_sign(following[0]) and not _may_match(body, chr(following[0][1]))


def _is_sign(node: SyntaxNode) -> bool:
    """Returns whether it is one character, and not a letter, which may stand for its capital."""
    return node[0] is codes.LITERAL and not chr(node[1]).isalpha()


def _consumes_slash(nodes: Iterable[SyntaxNode]) -> bool:
    return _may_match(((code, value) for code, value in nodes if code not in _LOOKAROUNDS), "/")


def _may_match(nodes: Iterable[SyntaxNode], character: str) -> bool:
    """Returns whether any of these nodes may match a character."""
    return any(_takes(code, value, character) for code, value in nodes)


def _takes(code: Any, value: Any, character: str) -> bool:
    if code is codes.LITERAL:
        return bool(chr(value) == character)
    if code is codes.NOT_LITERAL:
        return bool(chr(value) != character)
    if code is codes.IN:
        return _in_set(value, character)
    if code in _REPEATS:
        return _may_match(value[2], character)
    if code is codes.BRANCH:
        return any(_may_match(nodes, character) for nodes in value[1])
    if code is codes.SUBPATTERN:
        return _may_match(value[-1], character)
    if code is codes.ATOMIC_GROUP:
        return _may_match(value, character)
    return code is codes.ANY  # an anchor or a look around takes none


def _in_set(items: Sequence[SyntaxNode], character: str) -> bool:
    negated = items[0][0] is codes.NEGATE
    return negated != any(_is_item(code, value, character) for code, value in items[negated:])


def _is_item(code: Any, value: Any, character: str) -> bool:
    if code is codes.LITERAL:
        return bool(chr(value) == character)
    if code is codes.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    return re.fullmatch(_CATEGORIES[value], character) is not None
