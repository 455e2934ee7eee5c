"""What every command shares: errors of one line, the data folder, the accounts in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from meterboard.app import Accounts
from meterboard.errors import MeterboardError

DEFAULT_DATA = "meterboard-data"


class OneLineErrors(click.Group):
    """A group whose commands fail with one line."""

    def invoke(self, context: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(context)
        except MeterboardError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="METERBOARD_DATA",
    show_default=True,
    show_envvar=True,
    help="The folder that holds everything.",
)


@contextmanager
def open_accounts(data: Path) -> Iterator[Accounts]:
    """The control plane of a data folder, beside the server if one runs."""
    accounts = Accounts(data)
    try:
        yield accounts
    finally:
        accounts.close()


def quoted(name: str) -> str:
    """A name as a shell takes it."""
    return f'"{name}"' if " " in name else name
