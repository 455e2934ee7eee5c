"""`meterboard doctor`: is everything in place for a server on this folder?"""

import shutil
from collections.abc import Callable
from pathlib import Path

import click
import duckdb

from meterboard import __version__
from meterboard.commands.base import data_option, no_meterboard, open_accounts
from meterboard.commands.host.running import open_services
from meterboard.data_folder import prepare_folder
from meterboard.errors import DataFolderError, FileError, MeterboardError
from meterboard.network.running_server import free_port, running_server
from meterboard.services import Accounts, Services
from meterboard.settings import read_settings
from meterboard.web.render import STATIC
from meterboard.wording import counted

ENOUGH_BYTES = 1_000_000_000
"""Free disk under which it is worth a word: the log of a busy minute and a checkpoint need tens of megabytes."""


@click.command()
@data_option
def doctor(data: Path) -> None:
    """Look the data folder over and say what is well and what is not; exit status 1 if anything is not."""
    checks: list[tuple[str, Callable[[Path], str]]] = [
        ("settings", _settings),
        ("folder", _folder),
        ("accounts", _accounts),
        ("usage", _usage),
        ("port", _port),
        ("pages", _pages),
    ]
    click.echo(f"Meterboard {__version__}, DuckDB {duckdb.__version__}, folder {data}")
    if not Accounts.are_in(data):
        raise no_meterboard(data)  # and nothing is made where there is none
    failed = 0
    for name, check in checks:
        try:
            click.echo(f"well      {name:<9} {check(data)}")
        except MeterboardError as error:
            failed += 1
            click.echo(f"NOT WELL  {name:<9} {' '.join(str(error).split())}")
    if failed:
        raise click.ClickException(f"{failed} of {len(checks)} checks found something to mend; see above.")


def _settings(data: Path) -> str:
    settings = read_settings(data)
    interval = int(settings.refresh_interval.total_seconds())
    return f"statistics every {interval} s, kept for {settings.retention_days} days, at {settings.host}:{settings.port}"


def _folder(data: Path) -> str:
    prepare_folder(data)
    free = shutil.disk_usage(data).free
    if free < ENOUGH_BYTES:
        raise DataFolderError(f"Only {free / 1e6:,.0f} MB of disk are free. Make room.")
    return f"can be written, {free / 1e9:,.1f} GB of disk are free"


def _accounts(data: Path) -> str:
    with open_accounts(data) as accounts:
        count = len(accounts.organizations.all())
    return counted(count, "organisation")


def _usage(data: Path) -> str:
    running = running_server(data)
    if running:
        return f"held by the server at {running.address}, process {running.pid}"
    if not Services.are_in(data):
        return "nothing was counted yet"
    with open_services(data) as services, services.store.snapshot() as snapshot:
        return f"opens; statistics as of {snapshot.watermark:%Y-%m-%d %H:%M} UTC"


def _port(data: Path) -> str:
    settings = read_settings(data)
    if running_server(data):
        return "in use by the server"
    return f"{free_port(settings.host, settings.port)} is free"


def _pages(_: Path) -> str:
    missing = [name for name in ("main.js", "charts.js", "meterboard.css") if not (STATIC / name).is_file()]
    if missing:
        raise FileError(f"{', '.join(missing)} of the pages are missing. Install Meterboard again.")
    return "script and style are there"
