"""The application that a user agent names. Imports and OpenTelemetry spans read it here, so both name it alike."""

import re
from functools import lru_cache

MAX_USER_AGENT = 1_000
"""Characters of a user agent that are read, so that hostile ones can't fill the cache."""

_AFTER_COMPATIBLE = re.compile(r"compatible; (?!MSIE|Windows|Linux|X11)([A-Za-z][\w .!-]*)")
_PRODUCT = re.compile(r"[^\s/;,()]+(?: (?!v\d)[^\W\d_][^\s/;,()]*)*")


def application_of(user_agent: str) -> str | None:
    """
    Returns the name of the calling product: `curl` of `curl/8.1`, `Chef Client` of `Chef Client/10.18.2 (ruby-1.9.3)`.

    The name is the words before the first `/ ; , (` or version. Where a program presents itself as a browser, it is the
    name after `compatible; `: `Googlebot` of `Mozilla/5.0 (compatible; Googlebot/2.1; …)`. A browser is `Mozilla`, which
    every browser sends. None: the user agent names no product.
    """
    return _application_of(user_agent[:MAX_USER_AGENT])


@lru_cache(maxsize=4_096)
def _application_of(user_agent: str) -> str | None:
    text = user_agent.replace("\0", "").strip()
    if text == "-":  # logs and gateways write it for an absent user agent
        return None
    compatible = _AFTER_COMPATIBLE.search(text)
    if compatible:
        return compatible[1].strip()
    found = _PRODUCT.search(text)
    return found[0].strip() if found else None
