"""Compiles a rule's path to a regular expression, which matches a request's path with a slash after each part."""

import re
from collections.abc import Iterable, Sequence

PLACEHOLDER = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[\d,]+\})+))?\}")
_NAME = r"[A-Za-z_]\w*"
_NAMED = re.compile(r"\(\?P<\w+>")
_WORDS = re.compile(r"\w+(?:\|\w+)*")
_BEGINS_WITH_A_LETTER = re.compile(r"(?:\(\?:)*[A-Za-z_](?![?*{])")
_ANY_NUMBER = (r"\d+", "[0-9]+", r"[^/]*\d{3}[^/]*")
"""The forms of `id` that match every long decimal number."""


class PathPatterns:
    """Compiles the expressions of one schedule, and collects what distinguishes parts of a path in any of them."""

    def __init__(self, *, version: str, module: str, id: str, ignore: Sequence[str]) -> None:
        self._version, self._module, self._id = version, module, id
        self._ignore = ignore
        self._captured = [version]
        self._literals = set(ignore)
        self._classes = dict.fromkeys([version, id])
        self._spans_parts = False

    def of(self, path: str) -> re.Pattern[str]:
        """Returns the expression of a rule's path. Raises: re.error: a part of it is not an expression."""
        *segments, last = path.strip("/").split("/")
        following = [*segments[1:], last]
        pattern = "".join(map(self._part, segments, following))
        return re.compile(pattern + {"**": ".*", "{rest}": "(?P<rest>.*)"}.get(last, self._segment(last)))

    def _part(self, segment: str, following: str) -> str:
        if segment != "**":
            return self._segment(segment)
        # Up to the first part that equals the next one: the same word further on is a value.
        until = f"(?!{re.escape(following)}/)" if re.fullmatch(r"\w+", following) else ""
        return f"(?:{until}(?>[^/]+/))*?"

    def _segment(self, segment: str) -> str:
        bare = segment.removesuffix("?")
        pieces: list[str] = []
        end = 0
        for found in PLACEHOLDER.finditer(bare):
            pieces += [re.escape(bare[end : found.start()]), self._placeholder(found[1], found[2])]
            end = found.end()
        alternatives = [re.escape(word) for word in bare[end:].split("|")]
        pieces.append(f"(?:{'|'.join(alternatives)})" if len(alternatives) > 1 else alternatives[0])
        pattern = "".join(pieces)
        self._add_kind(bare, pattern)
        # Atomic: a part that matches in several ways is tried in one only, since all of them end at the slash.
        whole = f"(?>{pattern}/)"
        return f"(?:{whole})?" if segment != bare else whole

    def _placeholder(self, name: str, pattern: str | None) -> str:
        match name:
            case "key":
                return "[^/]+"
            case "id":
                return f"(?:{self._id})"
            case "version":
                return f"(?P<version>{self._version})"
            case "module":
                ignore = "".join(f"{re.escape(word)}/|" for word in self._ignore)
                return rf"(?!(?:{ignore}(?:{self._id}|{self._version})/))(?P<module>{self._module})"
            case _:
                if pattern:
                    self._captured.append(pattern)
                return f"(?P<{name}>{pattern or _NAME})"

    def _add_kind(self, bare: str, pattern: str) -> None:
        if bare.startswith("{module}"):
            pattern = self._module + re.escape(bare[len("{module}") :])
        chosen = re.fullmatch(r"\{\w+:(\w+(?:\|\w+)*)\}", bare)
        words = chosen[1] if chosen else bare
        if _WORDS.fullmatch(words):
            self._literals.update(words.split("|"))
        elif pattern != "[^/]+" and bare != "**":
            self._classes[_NAMED.sub("(?:", pattern)] = None
            self._spans_parts |= any(
                "/" in (found[2] or "").replace("[^/]", "") for found in PLACEHOLDER.finditer(bare)
            )

    def kinds(self) -> "Kinds | None":
        """
        Returns what distinguishes parts in the expressions compiled so far; None: one of them matches several parts
        at once.
        """
        return None if self._spans_parts else Kinds(self._literals, self._classes)

    def ids_are_alike(self, paths: Iterable[str]) -> bool:
        """
        Returns whether every long decimal part is an id that no rule captures, so that all of them have the same class.

        Returns True only where that is obvious from the form of the expressions.
        """
        alternatives = self._id.split("|")
        outermost = [
            one
            for place, one in enumerate(alternatives)
            if all(map(_compiles, ("|".join(alternatives[:place]), "|".join(alternatives[place + 1 :]))))
        ]
        fixed = any(character.isdecimal() for path in paths for character in PLACEHOLDER.sub("", path))
        letters = all(
            _BEGINS_WITH_A_LETTER.match(one) for captured in self._captured for one in captured.split("|")
        )
        return letters and not fixed and any(one in _ANY_NUMBER for one in outermost)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


class Kinds:
    """
    The kinds of the parts of a path.

    Rules match a path part by part, so paths whose parts have the same kinds match the same rules.
    """

    def __init__(self, literals: Iterable[str], patterns: Iterable[str]) -> None:
        self._literals = frozenset(literals)
        self._patterns = [re.compile(f"(?:{pattern})/") for pattern in patterns]

    def of(self, segment: str) -> str | tuple[bool, ...]:
        """
        Returns the kind of a part: a word of the rules is its own kind; other parts have the kind of the expressions
        they match.
        """
        if segment in self._literals:
            return segment
        with_slash = f"{segment}/"
        return tuple([pattern.fullmatch(with_slash) is not None for pattern in self._patterns])
