"""The data folder: its files are for their owner only, and usable by the user that runs Meterboard."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from meterboard.errors import DataFolderError

if sys.platform != "win32":  # whose users have no numbers
    import pwd

UMASK = 0o077
"""Files that Meterboard creates can't be accessed by the group and by others."""
OWN = ("accounts.sqlite*", "usage.duckdb*", "server.json*", ".migrating", "proxy.secret", "proxy-spool")
"""Files that Meterboard creates in a data folder. The folder and meterboard.toml belong to the administrator."""


def prepare_folder(data: Path) -> None:
    """
    Creates the data folder if it doesn't exist, and removes access to its files for the group and for others.

    Raises: DataFolderError: the folder can't be created or written to, or a file in it can't be read and written.
    """
    if "?" in str(data.absolute()):
        raise DataFolderError(
            f"The data folder {data} has a question mark in its path, after which DuckDB reads options. "
            "Choose another with --data."
        )
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(data)
        with NamedTemporaryFile(dir=data, prefix=".writable-") as probe:  # its own name: others may look too
            probe.write(b"Meterboard can write here.")
            probe.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        whose = not_usable(data, data) if isinstance(error, PermissionError) and data.is_dir() else ""
        raise DataFolderError(
            whose or f"The data folder {data} can't be written to: {reason}. Choose another with --data."
        ) from error


def not_usable(path: Path, data: Path) -> str:
    """Returns a message for a file that this user can't read and write: who owns it, and what to do."""
    if sys.platform == "win32":
        return f"{path} can't be read and written. Choose another folder with --data."
    me = _user(os.geteuid())
    return (
        f"{path} belongs to the user {_user(path.stat().st_uid)}, and {me} can't read and write it. "
        f"Give the folder to the user that runs Meterboard: chown -R {me} {data}"
    )


def _make_private(data: Path) -> None:
    for path in _own(data):
        try:
            mode = path.stat().st_mode
            if not os.access(path, os.R_OK | os.W_OK):
                raise DataFolderError(not_usable(path, data))
            if mode & UMASK and sys.platform != "win32":
                path.chmod(mode & 0o7777 & ~UMASK)
        except (FileNotFoundError, PermissionError):
            continue  # deleted meanwhile by another process; or another user's, who alone may change its mode


def _own(data: Path) -> Iterator[Path]:
    for pattern in OWN:
        for path in data.glob(pattern):
            yield path
            if path.is_dir():
                yield from path.rglob("*")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
