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
    """What a key lets its bearer do; `organization` None: send events for every organisation, read nothing."""

    organization: Organization | None
    scope: str


class Viewer(Struct, frozen=True):
    """A person who is signed in, and the one organisation that they look at."""

    email: str
    role: str
    organization: Organization
