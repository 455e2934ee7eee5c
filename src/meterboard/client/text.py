"""Makes text that an API's callers control acceptable to Meterboard: truncates it, and replaces invalid characters."""

import re

MAX_TEXT = 10_000
"""Characters of a field, including a path."""
MAX_VERB = 32
"""Characters of an HTTP method."""
_continuation = re.compile("%[89AB][0-9A-F]", re.IGNORECASE)
"""A percent escape of a byte that continues a character in UTF-8."""


def clean_text(text: str) -> str:
    """Returns a text without NUL characters, and with U+FFFD for unpaired surrogates: Meterboard accepts neither."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def truncate_text(text: str) -> str:
    """Returns a text without invalid characters, truncated to `MAX_TEXT`."""
    return clean_text(text)[:MAX_TEXT]


def truncate_path(path: str) -> str:
    """
    Returns a path without invalid characters, truncated to `MAX_TEXT`.

    A path that is too long first loses the values of its query parameters, then the names that don't fit, then its end:
    the path says what was called, and prices depend on names alone.
    """
    path = clean_text(path)
    if len(path) <= MAX_TEXT:
        return path
    path, _, query = path.partition("?")
    if len(path) >= MAX_TEXT:
        return _truncate_encoded(path)
    parts, room, separator = [path], MAX_TEXT - len(path), "?"
    for name in dict.fromkeys(parameter.partition("=")[0] for parameter in query.split("&")):
        if len(name) < room:
            parts.append(separator + name)
            room -= 1 + len(name)
            separator = "&"
    return "".join(parts)


def _truncate_encoded(path: str) -> str:
    """Returns the beginning of a long path, without a part of a percent-encoded character at its end."""
    end = MAX_TEXT
    escape = path.rfind("%", end - 2, end)
    if escape >= 0:
        end = escape
    for _ in range(3):  # a character has at most one byte and three that continue it
        if not _continuation.match(path, end) or path[end - 3] != "%":
            break
        end -= 3
    return path[:end]
