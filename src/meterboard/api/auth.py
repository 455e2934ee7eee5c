"""Authentication of requests: the key in the Authorization header, else the dashboard's session."""

from typing import Any

from litestar.connection import ASGIConnection

from meterboard.domain.access import SESSION_COOKIE, ApiKey
from meterboard.domain.organization import Organization
from meterboard.errors import Forbidden, Unauthenticated
from meterboard.service.access import Access

HOW_TO = "Send the header Authorization: Bearer KEY; create a key with: meterboard key create ORG"


async def provide_key(request: ASGIConnection[Any, Any, Any, Any], access: Access) -> ApiKey:
    """Returns the caller's key. A session is like a key that may read. Raises: Unauthenticated."""
    header = request.headers.get("authorization")
    if header is not None:
        return await key_of(header, access)
    session = request.cookies.get(SESSION_COOKIE)
    if session is None:
        raise Unauthenticated(f"Authentication required. {HOW_TO}")
    return ApiKey((await access.viewer(session)).organization, "read")


async def key_of(header: str | None, access: Access) -> ApiKey:
    """Returns the key of an Authorization header. Raises: Unauthenticated: the header is missing or the key unknown."""
    if header is None:
        raise Unauthenticated(f"Authentication required. {HOW_TO}")
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated(f"The Authorization header is not of the form Bearer KEY. {HOW_TO}")
    return await access.key(secret.strip())


async def provide_organization(key: ApiKey) -> Organization:
    """Returns the one organisation that the caller may read. Every route that reads depends on it. Raises: Forbidden."""
    if key.scope == "ingest":
        raise Forbidden("This key may only send events. Use a key of scope read or all.")
    if key.organization is None:
        raise Forbidden("A provider-wide key may only send events. Use a key of the organisation.")
    return key.organization
