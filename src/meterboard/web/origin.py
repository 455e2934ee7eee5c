"""The address that browsers use: whether it is HTTPS, and whether a request comes from a page of this site."""

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

PUBLIC_URL = "public_url"
"""The application's state under this name is the setting, empty when it is not set."""

Connection = ASGIConnection[Any, Any, Any, Any]


def is_secure(request: Connection) -> bool:
    """Do browsers reach this site by HTTPS only? Then cookies are `Secure`."""
    return _public_url(request).startswith("https://")


def is_own(request: Connection, url: str) -> bool:
    """
    Is an Origin or Referer header's value an address of this site?

    It is when it has the host that was asked, or is that of `public_url`: a reverse proxy may change Host.
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
