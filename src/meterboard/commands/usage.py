"""`meterboard export` and `verify`: statistics out, and the proof that they are right."""

import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlencode

import click

from meterboard.api.statistics.responses import write_in_full
from meterboard.commands.base import data_option, open_accounts
from meterboard.commands.host.running import open_services, passing_key
from meterboard.domain.dimensions import parse_dimensions
from meterboard.domain.period import EPOCH
from meterboard.importers.delivery import ask_server, download
from meterboard.network.running_server import address_of_running
from meterboard.service.export import FileFormat
from meterboard.service.verify import Verification
from meterboard.settings import read_settings


@click.command("export")
@click.argument("organization", metavar="ORG")
@click.option(
    "--period", default="last_30_days", show_default=True, help="As in the API: today, 2026-11-03 …"
)
@click.option("--columns", help="Dimensions with commas between. [default: all of the installation]")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: standard output]")
@data_option
def export(
    organization: str, period: str, columns: str | None, form: FileFormat, output: Path | None, data: Path
) -> None:
    """Write the usage of ORG: calls, credits and integration tasks of each combination that occurred."""
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
    address = address_of_running(data)
    if address:
        asked = urlencode({"period": period, "columns": ",".join(chosen), "format": form})
        with passing_key(data, organization, "export", "read") as secret:
            download(address, f"/v1/statistics/table?{asked}", secret, output)
        return
    with open_services(data) as services:
        services.refresh.now()
        file = services.exports.open(organization.id)
        with services.statistics.read(organization) as reading:
            asked_for = reading.period(period)
            write_in_full(
                lambda limit, offset: reading.table(
                    asked_for,
                    {},
                    columns=chosen,
                    page=offset // limit + 1,
                    page_size=limit,
                    in_full=True,
                ),
                file,
                form=form,
                with_estimates=reading.has_estimates(asked_for, {}),
            )
        copyfileobj(file.content, output)
        services.exports.close(file)


@click.command()
@data_option
def verify(data: Path) -> None:
    """Recompute every organisation's statistics from the events; exit status 1 if anything differs."""
    wrong = 0
    for checked in _verifications(data):
        wrong += checked.difference
        click.echo(
            f"{checked.organization}: {checked.events:,} events, difference {checked.difference:,}, "
            f"checked at {checked.checked_at:%H:%M %z}, {_as_of(checked)}"
        )
    if wrong:
        raise click.ClickException(
            "The statistics differ from the events. Please report it with the lines above."
        )


def _as_of(checked: Verification) -> str:
    if checked.as_of.year == EPOCH.year:
        return "before the first refresh of the statistics"
    return f"statistics as of {checked.as_of:%H:%M %z}"


def _verifications(data: Path) -> Iterator[Verification]:
    with open_accounts(data) as accounts:
        organizations = accounts.organizations.all()
    address = address_of_running(data)
    if address:
        for organization in organizations:
            with passing_key(data, organization, "verify", "read") as secret:
                yield ask_server(address, secret)
        return
    with open_services(data) as services:
        for organization in organizations:
            yield services.verify.check(organization)
