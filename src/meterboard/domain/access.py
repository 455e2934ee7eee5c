"""Who is asking, and what they may do."""

from datetime import timedelta
from typing import Literal, get_args

from msgspec import Struct

from meterboard.domain.organization import Organization

KeyScope = Literal["ingest", "read", "all"]
KEY_SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)
Role = Literal["owner", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)

SESSION_COOKIE = "meterboard_session"
SESSION_LIFE = timedelta(days=30)
"""How long a person stays signed in: the session, and the cookie that carries it."""


class ApiKey(Struct, frozen=True):
    """The permissions of a key. Where `organization` is None, it may send events for every organisation and read none."""

    organization: Organization | None
    scope: str


class Viewer(Struct, frozen=True):
    """A person who is signed in, and the one organisation that they may read."""

    email: str
    role: str
    organization: Organization
