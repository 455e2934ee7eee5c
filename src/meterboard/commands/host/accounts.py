"""The control plane of a data folder, which commands open beside a running server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meterboard.errors import DataFolderError
from meterboard.services import Accounts


@contextmanager
def open_accounts(data: Path, *, create: bool = False) -> Iterator[Accounts]:
    """
    Opens the control plane of a data folder; with `create`, makes it if there is none.

    Raises: DataFolderError: there is none, or it can't be used.
    """
    if not create and not Accounts.exists(data):
        raise no_meterboard(data)
    accounts = Accounts(data)
    try:
        yield accounts
    finally:
        accounts.close()


def no_meterboard(data: Path) -> DataFolderError:
    """Returns the error of a command in a folder that holds no Meterboard."""
    return DataFolderError(
        f"There is no Meterboard in the folder {data}. Name the right one with --data, or begin with: "
        "meterboard org create NAME"
    )
