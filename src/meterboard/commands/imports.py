"""`meterboard import`: calls out of files."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from meterboard.address import address_of_running
from meterboard.commands.base import data_option, open_accounts
from meterboard.commands.running import open_services, passing_key
from meterboard.importers.delivery import Delivery, calls_to_meter, calls_to_server
from meterboard.importers.fields import FIELDS, read_mapping
from meterboard.importers.following import Following
from meterboard.importers.formats import NAMES
from meterboard.importers.imports import Import, import_files
from meterboard.importers.sources import STANDARD_INPUT
from meterboard.importers.times import read_zone


@click.command("import")
@click.argument("organization", metavar="ORG")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    help=f"One of {', '.join(NAMES)}; or a log_format of nginx, a LogFormat of Apache or a format of Envoy in quotes.  "
    "[default: guessed from each file]",
)
@click.option(
    "--field",
    "fields",
    metavar="NAME=SOURCE",
    multiple=True,
    help=f"Where a field is: a variable, a column or a JSON member (client.ip). Fields: {', '.join(FIELDS)}.",
)
@click.option(
    "--time-zone",
    "zone",
    metavar="ZONE",
    help="The time zone of times that say no offset, as in HAProxy's logs: Europe/Berlin.  "
    "[default: this machine's]",
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep lines that can't be read in this file.",
)
@click.option("--follow", is_flag=True, help="Go on as FILE grows, across rotation, until Ctrl-C.")
@data_option
def import_calls(
    organization: str,
    files: tuple[str, ...],
    form: str | None,
    fields: tuple[str, ...],
    zone: str | None,
    rejects: Path | None,
    follow: bool,
    data: Path,
) -> None:
    """
    Count the calls in access logs, CSV, NDJSON or Parquet; plain, gzip or zstd.

    FILE may be a pattern such as 'access.log*', or - for standard input. May be run again and while the server runs;
    counts nothing twice.
    """
    mapping = read_mapping(fields)
    if follow and (len(files) > 1 or files[0] == STANDARD_INPUT):
        raise click.UsageError("--follow takes one file. Run the command once for each.")
    following = Following(files[0]) if follow else None
    with _delivery(data, organization) as delivery, rejects.open("wb") if rejects else nullcontext() as kept:
        if following is not None:
            signal.signal(signal.SIGINT, lambda *_: following.stop())
            signal.signal(signal.SIGTERM, lambda *_: following.stop())
        tally = import_files(
            Import(files, form, mapping, kept, read_zone(zone)), delivery, sys.stderr, following
        )
    click.echo(tally.in_words())


@contextmanager
def _delivery(data: Path, name: str) -> Iterator[Delivery]:
    """To the running server when there is one, since one process alone can hold the usage store."""
    with open_accounts(data) as accounts:
        organization = accounts.organizations.named(name)
    address = address_of_running(data)
    if address:
        with passing_key(data, organization, "import", "ingest") as secret:
            yield calls_to_server(address, secret)
        return
    with open_services(data) as services:
        schedule = services.schedule(organization.schedule)
        yield calls_to_meter(services.ingest, services.refresh, organization, schedule)
        services.refresh.now()
