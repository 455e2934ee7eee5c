"""Who makes a call, without keeping what proves it: a token is hashed with a secret of this installation alone."""

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
    The secret of a data folder, made when there is none.

    Without it no one can find out which token a fingerprint is of, and two installations give a token two fingerprints.
    Raises: DataFolderError: it can't be read or written.
    """
    file = data / SECRET_FILE
    try:
        if not file.exists():
            with NamedTemporaryFile(dir=data, prefix=f".{SECRET_FILE}-") as new:  # for its owner's eyes alone
                new.write(secrets.token_bytes(SECRET_BYTES))
                new.flush()
                with suppress(FileExistsError):  # whole or not at all, and whoever was first wins
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
    """Names the application of a call by its headers."""

    def __init__(
        self, secret: bytes, *, always: str | None = None, header: str | None = None, names: Mapping[str, str]
    ) -> None:
        """
        `always` is the name of every caller. Else it is what the `header` says, if anything; else that which `names`
        gives the fingerprint of the token; else the fingerprint.
        """
        self._secret = secret
        self._always = always
        self._header = header.lower() if header else None
        self._names = names

    def named(self, headers: Mapping[str, str]) -> str | None:
        """The name; None for a call that shows no token. Names of headers are lower case."""
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
        """What is shown of a token: the same for the same token, whatever the scheme in front of it."""
        digest = hmac.new(self._secret, token.encode("latin-1", "replace"), "sha256")
        return f"token-{digest.hexdigest()[:DIGITS]}"


class OwnDimensions:
    """Says what a call has of the dimensions that the installation has of its own."""

    def __init__(self, values: Mapping[str, str], headers: Mapping[str, str]) -> None:
        """`values` are the same for every call; `headers` name the ones that win over them, where a call has them."""
        self._values = values
        self._headers = {name: header.lower() for name, header in headers.items()}

    def named(self, headers: Mapping[str, str]) -> dict[str, str | None] | None:
        """Returns the values by name. Names of headers are lower case."""
        said = {
            name: header_text(headers[header].encode("latin-1"))
            for name, header in self._headers.items()
            if headers.get(header)
        }
        return {**self._values, **said} or None
