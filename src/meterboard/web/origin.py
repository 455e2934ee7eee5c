"""The origin that browsers use: whether it is HTTPS, and whether a request comes from this site."""

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

PUBLIC_URL = "public_url"
"""The name of the setting in the application's state; the value is empty when it is not set."""

Connection = ASGIConnection[Any, Any, Any, Any]


def is_secure(request: Connection) -> bool:
    """Returns whether browsers reach this site by HTTPS only, so that cookies are `Secure`."""
    return _public_url(request).startswith("https://")


def is_own(request: Connection, url: str) -> bool:
    """
    Returns whether the value of an Origin or Referer header is a URL of this site.

    It is when its host is that of the request, or its origin is `public_url`: a reverse proxy may change Host.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    public = _public_url(request)
    if public and f"{parts.scheme}://{parts.netloc}" == public:
        return True
    return bool(parts.netloc) and parts.netloc == request.headers.get("host")


def _public_url(request: Connection) -> str:
    return str(request.app.state[PUBLIC_URL])
