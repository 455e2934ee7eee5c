"""The application that a user agent names. Imports and OpenTelemetry spans read it here, so both name it alike."""

import re
from functools import lru_cache

MAX_USER_AGENT = 1_000
"""Characters of a user agent that are read, so that hostile ones can't fill the cache."""

_BEHIND_BROWSER = re.compile(r"compatible; (?!MSIE|Windows|Linux|X11)([A-Za-z][\w .!-]*)")
_PRODUCT = re.compile(r"[^\s/;,()]+(?: (?!v\d)[^\W\d_][^\s/;,()]*)*")


def application_of(user_agent: str) -> str | None:
    """
    Returns the product that calls: `curl` of `curl/8.1`, `Chef Client` of `Chef Client/10.18.2 (ruby-1.9.3)`.

    It is the words in front of the first `/ ; , (` or version. A program that presents itself as a browser is what it
    says behind `compatible; `: `Googlebot` of `Mozilla/5.0 (compatible; Googlebot/2.1; …)`. A browser is `Mozilla`,
    all that every browser says of itself. None: the user agent names nothing.
    """
    return _application_of(user_agent[:MAX_USER_AGENT])


@lru_cache(maxsize=4_096)
def _application_of(user_agent: str) -> str | None:
    text = user_agent.replace("\0", "").strip()
    if text == "-":  # what logs and gateways write for nothing
        return None
    behind = _BEHIND_BROWSER.search(text)
    if behind:
        return behind[1].strip()
    found = _PRODUCT.search(text)
    return found[0].strip() if found else None
