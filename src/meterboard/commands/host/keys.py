"""Keys that a command makes for its requests to the running server."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock, Thread

from meterboard.commands.host.accounts import open_accounts
from meterboard.domain.access import KeyScope
from meterboard.domain.organization import Organization
from meterboard.errors import Unauthenticated
from meterboard.services import Accounts

log = logging.getLogger("meterboard")

KEY_LIFETIME = timedelta(hours=24)
"""How long the keys of a command that was killed stay valid."""
RENEW_SECONDS = 3_600.0
"""How often a running command extends its keys."""


@contextmanager
def temporary_keys(
    data: Path, command: str, *, renew_seconds: float = RENEW_SECONDS
) -> Iterator["TemporaryKeys"]:
    """Yields the keys of a command, and revokes them at the end of the block."""
    keys = TemporaryKeys(data, command, renew_seconds)
    try:
        yield keys
    finally:
        keys.close()


class TemporaryKeys:
    """Keys that are created on first use, and expire within KEY_LIFETIME if the command is killed."""

    def __init__(self, data: Path, command: str, renew_seconds: float = RENEW_SECONDS) -> None:
        self._data = data
        self._command = command
        self._renew_seconds = renew_seconds
        self._resources = ExitStack()
        self._accounts: Accounts | None = None
        self._secrets: dict[tuple[int, KeyScope], str] = {}
        self._lock = Lock()

    def secret(self, organization: Organization, scope: KeyScope) -> str:
        """Returns the secret of an organisation's key."""
        with self._lock:
            accounts = self._accounts = self._accounts or self._open()
            held = self._secrets.get((organization.id, scope))
            if held is None:
                held = accounts.keys.create(
                    organization, name=self._command, scope=scope, lifetime=KEY_LIFETIME
                )
                self._secrets[organization.id, scope] = held
            return held

    def discard_if_revoked(self, secret: str) -> None:
        """Discards a key that is no longer valid, so that the next use creates another."""
        with self._lock:
            try:
                if self._accounts is not None:
                    self._accounts.keys.bearer(secret)
            except Unauthenticated:
                self._secrets = {owner: held for owner, held in self._secrets.items() if held != secret}

    def close(self) -> None:
        """Revokes the keys."""
        self._resources.close()

    def _open(self) -> Accounts:
        accounts = self._resources.enter_context(open_accounts(self._data))
        self._resources.callback(self._revoke, accounts)
        ended = Event()
        renewing = Thread(target=self._renew, args=(accounts, ended), daemon=True)
        self._resources.callback(renewing.join)
        self._resources.callback(ended.set)
        renewing.start()
        return accounts

    def _revoke(self, accounts: Accounts) -> None:
        for secret in self._secrets.values():
            accounts.keys.revoke(secret)
        self._secrets.clear()
        self._accounts = None

    def _renew(self, accounts: Accounts, ended: Event) -> None:
        while not ended.wait(self._renew_seconds):
            for secret in list(self._secrets.values()):
                try:
                    accounts.keys.extend(secret, KEY_LIFETIME)
                except Exception as error:  # noqa: BLE001  # a locked database, say: the next try may succeed
                    log.warning("A temporary key could not be extended: %s", type(error).__name__)
