"""`meterboard export` and `verify`: files of usage, and the check of the statistics."""

import sys
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO

import click

from meterboard.commands.host.accounts import open_accounts
from meterboard.commands.host.host import open_host
from meterboard.commands.options import data_option
from meterboard.domain.dimensions import parse_dimensions
from meterboard.domain.period import EPOCH
from meterboard.service.export import FileFormat
from meterboard.service.verify import Verification
from meterboard.settings import read_settings


@click.command("export")
@click.argument("organization", metavar="ORG")
@click.option(
    "--period", default="last_30_days", show_default=True, help="Period: today, 2026-11-03, last_30_days …"
)
@click.option("--columns", help="Comma-separated dimensions. [default: all of the installation]")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: standard output]")
@data_option
def export(
    organization: str, period: str, columns: str | None, form: FileFormat, output: Path | None, data: Path
) -> None:
    """Export the usage of ORG: calls, credits and integration tasks of each combination."""
    with TemporaryFile() as whole:  # so that nothing is written where it fails
        _export(data, organization, period, columns, form, whole)
        whole.seek(0)
        if output is None:
            copyfileobj(whole, sys.stdout.buffer)
            sys.stdout.flush()  # a closed pipe is reported here, not at the end of the process
        else:
            with output.open("wb") as file:
                copyfileobj(whole, file)


def _export(
    data: Path, name: str, period: str, columns: str | None, form: FileFormat, output: IO[bytes]
) -> None:
    dimensions = parse_dimensions(read_settings(data).dimensions)
    chosen = dimensions.names if columns is None else dimensions.parse_columns(columns)
    with open_accounts(data) as accounts:
        organization = accounts.organizations.named(name)
    with open_host(data, "export") as host:
        host.export(organization, period=period, columns=chosen, form=form, output=output)


@click.command()
@data_option
def verify(data: Path) -> None:
    """Recompute every organisation's statistics from the events; exit status 1 if anything differs."""
    with open_accounts(data) as accounts:
        organizations = accounts.organizations.all()
    difference = 0
    with open_host(data, "verify") as host:
        for organization in organizations:
            checked = host.verify(organization)
            difference += checked.difference
            click.echo(
                f"{checked.organization}: {checked.events:,} events, difference {checked.difference:,}, "
                f"checked at {checked.checked_at:%H:%M %z}, {_as_of(checked)}"
            )
    if difference:
        raise click.ClickException(
            "The statistics differ from the events. Please report it with the lines above."
        )


def _as_of(checked: Verification) -> str:
    if checked.as_of.year == EPOCH.year:
        return "before the first refresh of the statistics"
    return f"statistics as of {checked.as_of:%H:%M %z}"
