"""Text that an API's callers control, as Meterboard accepts it: what is too long is cut, what no text can hold is left out."""

import re

MAX_TEXT = 10_000
"""Characters of a field, a path included."""
MAX_VERB = 32
"""Characters of an HTTP method."""
_continuation = re.compile("%[89AB][0-9A-F]", re.IGNORECASE)
"""A percent escape of a byte that continues a character in UTF-8."""


def cleaned(text: str) -> str:
    """Returns a text without NUL characters, and with U+FFFD in place of unpaired surrogates: Meterboard refuses both."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def short_text(text: str) -> str:
    """Returns a text that Meterboard accepts."""
    return cleaned(text)[:MAX_TEXT]


def short_path(path: str) -> str:
    """
    Returns a path that Meterboard accepts.

    One that is too long loses the values of its query parameters, then the names that don't fit, then its end: the path
    says what was called, and prices depend on names alone.
    """
    path = cleaned(path)
    if len(path) <= MAX_TEXT:
        return path
    path, _, query = path.partition("?")
    if len(path) >= MAX_TEXT:
        return _cut(path)
    kept, room, separator = [path], MAX_TEXT - len(path), "?"
    for name in dict.fromkeys(part.partition("=")[0] for part in query.split("&")):
        if len(name) < room:
            kept.append(separator + name)
            room -= 1 + len(name)
            separator = "&"
    return "".join(kept)


def _cut(path: str) -> str:
    """Returns the beginning of a long path. Escapes of one character are cut off together."""
    end = MAX_TEXT
    escape = path.rfind("%", end - 2, end)
    if escape >= 0:
        end = escape
    for _ in range(3):  # a character has one byte, and three that continue it, at most
        if not _continuation.match(path, end) or path[end - 3] != "%":
            break
        end -= 3
    return path[:end]
