"""What every command shares: errors of one line, the data folder, the accounts in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from meterboard.errors import DataFolderError, MeterboardError
from meterboard.services import Accounts

DEFAULT_DATA = "meterboard-data"
TRACEBACK = "METERBOARD_TRACEBACK"
"""The variable of the environment that shows where a command failed."""


class OneLineErrors(click.Group):
    """A group whose commands fail with one line."""

    def invoke(self, context: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(context)
        except MeterboardError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends quietly with status 1 when nothing reads standard output any more
        except Exception as error:
            if TRACEBACK in os.environ:
                raise
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise click.ClickException(
                f"Meterboard failed, which it should not: {what}. Set {TRACEBACK}=1 to see where, and please report it."
            ) from error


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, readable=False),  # we say whose it is
    default=DEFAULT_DATA,
    envvar="METERBOARD_DATA",
    show_default=True,
    show_envvar=True,
    help="The folder that holds everything.",
)


@contextmanager
def open_accounts(data: Path, *, make: bool = False) -> Iterator[Accounts]:
    """
    The control plane of a data folder, beside the server if one runs; `make` it if there is none yet.

    Raises: DataFolderError: there is none, or it can't be used.
    """
    if not make and not Accounts.are_in(data):
        raise no_meterboard(data)
    accounts = Accounts(data)
    try:
        yield accounts
    finally:
        accounts.close()


def no_meterboard(data: Path) -> DataFolderError:
    """The error of a command in a folder that holds no Meterboard."""
    return DataFolderError(
        f"There is no Meterboard in the folder {data}. Name the right one with --data, or begin with: "
        "meterboard org create NAME"
    )


def is_name(schedule: str) -> bool:
    """Is it the name of a schedule that comes with Meterboard, not a file?"""
    return "/" not in schedule and not schedule.endswith(".toml")
