"""Identifies the caller without storing its token, which is hashed with a secret of this installation."""

import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from meterboard.errors import DataFolderError
from meterboard.proxy.request import header_text

SECRET_FILE = "proxy.secret"  # noqa: S105  # its name
SECRET_BYTES = 32
DIGITS = 12
"""Of a fingerprint, hexadecimal: 48 bits tell thousands of tokens apart and are far too few to be a token."""
TOKEN_HEADER = "authorization"  # noqa: S105  # its name


def fingerprint_secret(data: Path) -> bytes:
    """
    Returns the secret of a data folder, which is created if there is none.

    Without it no one can find the token of a fingerprint, and two installations have different fingerprints of a token.
    Raises: DataFolderError: it can't be read or written.
    """
    file = data / SECRET_FILE
    try:
        if not file.exists():
            with NamedTemporaryFile(
                dir=data, prefix=f".{SECRET_FILE}-"
            ) as new:  # readable for its owner only
                new.write(secrets.token_bytes(SECRET_BYTES))
                new.flush()
                with suppress(FileExistsError):  # atomic: the first process wins
                    os.link(new.name, file)
        secret = file.read_bytes()
    except OSError as error:
        raise DataFolderError(f"{file} can't be used: {error.strerror or error}.") from error
    if len(secret) != SECRET_BYTES:
        raise DataFolderError(
            f"{file} is damaged: it has {len(secret)} bytes, not {SECRET_BYTES}. Delete it."
        )
    return secret


class Applications:
    """Determines the application of a call from its headers."""

    def __init__(
        self, secret: bytes, *, always: str | None = None, header: str | None = None, names: Mapping[str, str]
    ) -> None:
        """
        Configures the names. `always` is the name for all callers. Otherwise the `header` is used, if the call has
        it; then the name that `names` has for the fingerprint of the token; then the fingerprint.
        """
        self._secret = secret
        self._always = always
        self._header = header.lower() if header else None
        self._names = names

    def named(self, headers: Mapping[str, str]) -> str | None:
        """Returns the name; None for a call without a token. Names of headers are in lower case."""
        if self._always:
            return self._always
        if self._header and headers.get(self._header):
            return header_text(headers[self._header].encode("latin-1"))
        authorization = headers.get(TOKEN_HEADER, "").strip()
        if not authorization:
            return None
        scheme, _, token = authorization.partition(" ")
        found = self.fingerprint(token.strip() or scheme)
        return self._names.get(found, found)

    def fingerprint(self, token: str) -> str:
        """Returns the fingerprint of a token: the same for the same token, whatever its scheme."""
        digest = hmac.new(self._secret, token.encode("latin-1", "replace"), "sha256")
        return f"token-{digest.hexdigest()[:DIGITS]}"


class OwnDimensions:
    """Determines the own dimensions of a call."""

    def __init__(self, values: Mapping[str, str], headers: Mapping[str, str]) -> None:
        """
        Configures the values. `values` are the same for all calls; `headers` name the headers that take precedence.
        """
        self._values = values
        self._headers = {name: header.lower() for name, header in headers.items()}

    def named(self, headers: Mapping[str, str]) -> dict[str, str | None] | None:
        """Returns the values by name. Names of headers are lower case."""
        given = {
            name: header_text(headers[header].encode("latin-1"))
            for name, header in self._headers.items()
            if headers.get(header)
        }
        return {**self._values, **given} or None
