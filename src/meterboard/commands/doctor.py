"""`meterboard doctor`: is everything in place for a server on this folder?"""

import shutil
from collections.abc import Callable
from pathlib import Path

import click
import duckdb

from meterboard import __version__
from meterboard.commands.host.accounts import no_meterboard, open_accounts
from meterboard.commands.host.host import open_host
from meterboard.commands.options import data_option
from meterboard.data_folder import prepare_folder
from meterboard.errors import DataFolderError, FileError, MeterboardError
from meterboard.services import Accounts
from meterboard.settings import read_settings
from meterboard.web.render import STATIC
from meterboard.wording import counted

ENOUGH_BYTES = 1_000_000_000
"""Free disk below which a check fails: the log of a busy minute and a checkpoint need tens of megabytes."""


@click.command()
@data_option
def doctor(data: Path) -> None:
    """Check the data folder, the accounts, the usage store, the port and the pages; exit status 1 if a check fails."""
    click.echo(f"Meterboard {__version__}, DuckDB {duckdb.__version__}, folder {data}")
    if not Accounts.exists(data):
        raise no_meterboard(data)  # and nothing is made where there is none
    with open_host(data, "doctor") as host:
        checks: list[tuple[str, Callable[[], str]]] = [
            ("settings", lambda: _settings(data)),
            ("folder", lambda: _folder(data)),
            ("accounts", lambda: _accounts(data)),
            ("usage", host.usage_status),
            ("port", host.port_status),
            ("pages", _pages),
        ]
        failed = sum(not _passes(name, check) for name, check in checks)
    if failed:
        raise click.ClickException(f"{failed} of {len(checks)} checks failed; see above.")


def _passes(name: str, check: Callable[[], str]) -> bool:
    """Prints a check's result; returns whether it passed."""
    try:
        click.echo(f"ok    {name:<9} {check()}")
    except MeterboardError as error:
        click.echo(f"FAIL  {name:<9} {' '.join(str(error).split())}")
        return False
    return True


def _settings(data: Path) -> str:
    settings = read_settings(data)
    interval = int(settings.refresh_interval.total_seconds())
    return f"statistics every {interval} s, kept for {settings.retention_days} days, at {settings.host}:{settings.port}"


def _folder(data: Path) -> str:
    prepare_folder(data)
    free = shutil.disk_usage(data).free
    if free < ENOUGH_BYTES:
        raise DataFolderError(f"Only {free / 1e6:,.0f} MB of disk are free. Free some disk space.")
    return f"writable, {free / 1e9:,.1f} GB of disk are free"


def _accounts(data: Path) -> str:
    with open_accounts(data) as accounts:
        count = len(accounts.organizations.all())
    return counted(count, "organisation")


def _pages() -> str:
    missing = [name for name in ("main.js", "charts.js", "meterboard.css") if not (STATIC / name).is_file()]
    if missing:
        raise FileError(f"{', '.join(missing)} of the pages are missing. Reinstall Meterboard.")
    return "script and style are installed"
