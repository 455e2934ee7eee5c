"""`meterboard import`: calls from files."""

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from meterboard.commands.host.accounts import open_accounts
from meterboard.commands.host.following import deliver_while_following
from meterboard.commands.host.host import open_host
from meterboard.commands.options import data_option
from meterboard.domain.dimensions import parse_dimensions, parse_sources
from meterboard.importers.following import Following
from meterboard.importers.formats.named import NAMES
from meterboard.importers.formats.times import read_zone
from meterboard.importers.imports import Import, import_files
from meterboard.importers.reading.fields import FIELDS, read_mapping
from meterboard.importers.sources import STANDARD_INPUT
from meterboard.importers.tally import Tally
from meterboard.settings import Settings, read_settings


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
    help=f"Map a field to a variable, a column or a JSON member (client.ip). Fields: {', '.join(FIELDS)}, "
    "and the dimensions of the settings.",
)
@click.option(
    "--time-zone",
    "zone",
    metavar="ZONE",
    help="The time zone of times without an offset, as in HAProxy logs: Europe/Berlin.  "
    "[default: this machine's]",
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write unparseable lines to this file.",
)
@click.option(
    "--source",
    metavar="NAME",
    help="Name of the log that the lines are from, for standard input and parts of a log.  [default: the file]",
)
@click.option("--follow", is_flag=True, help="Keep reading as FILE grows, across rotation, until Ctrl-C.")
@data_option
def import_calls(
    organization: str,
    files: tuple[str, ...],
    form: str | None,
    fields: tuple[str, ...],
    zone: str | None,
    rejects: Path | None,
    source: str | None,
    follow: bool,
    data: Path,
) -> None:
    """
    Import calls from access logs, CSV, NDJSON or Parquet; plain, gzip or zstd.

    FILE may be a pattern such as 'access.log*', or - for standard input. Idempotent: calls that were
    imported before are duplicates. May run beside the server.
    """
    mapping, own = _mapping(read_settings(data), fields)
    if follow and (len(files) > 1 or files[0] == STANDARD_INPUT):
        raise click.UsageError("--follow takes one file. Run the command once for each.")
    if follow and source is not None:
        raise click.UsageError("--follow recognises its file automatically: leave out --source.")
    following = Following(files[0]) if follow else None
    with ExitStack() as stack:
        accounts = stack.enter_context(open_accounts(data))
        owner = accounts.organizations.named(organization)
        if following is not None:
            delivery = stack.enter_context(deliver_while_following(data, owner, following))
            signal.signal(signal.SIGINT, lambda *_: following.stop())
            signal.signal(signal.SIGTERM, lambda *_: following.stop())
        else:
            host = stack.enter_context(open_host(data, "import"))
            delivery = stack.enter_context(host.bulk_import(owner))
        rejected = stack.enter_context(rejects.open("wb")) if rejects else None
        request = Import(files, form, mapping, rejected, read_zone(zone), source, own=own)
        tally = import_files(request, accounts.import_files.of(owner.id), delivery, sys.stderr, following)
    click.echo(tally.describe())
    if tally.is_unreadable:
        raise click.ClickException(_advice(tally, form))


def _mapping(settings: Settings, fields: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """
    Returns where fields are, by the settings and by the options, which win; and the names of own dimensions.

    Raises: InvalidParameter: an option is invalid.
    """
    dimensions = parse_dimensions(settings.dimensions)
    usual = parse_sources("dimension_fields", settings.dimension_fields, dimensions)
    options = [*(f"{name}={source}" for name, source in usual.items()), *fields]
    return read_mapping(options, dimensions), dimensions.own_names


def _advice(tally: Tally, form: str | None) -> str:
    if form is not None:
        return "No line could be parsed. Use another --format."
    guessed = ", ".join(tally.formats)
    return (
        f"No line could be parsed: the format was guessed as {guessed}. Choose one with --format: "
        f"one of {', '.join(NAMES)}, or the server's own in quotes."
    )
