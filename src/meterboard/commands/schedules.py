"""`meterboard schedule`: built-in and own credit schedules."""

from pathlib import Path

import click

from meterboard.clock import SystemClock
from meterboard.commands.errors import OneLineErrors
from meterboard.commands.host.accounts import open_accounts
from meterboard.commands.options import data_option
from meterboard.domain.period import micros
from meterboard.errors import FileError, InvalidParameter
from meterboard.importers.zoho_apis import schedule_of_apis
from meterboard.schedule.builtin import builtin_schedule, builtin_text, is_file_name
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule
from meterboard.schedule.price import PricedCall
from meterboard.schedule.reason import NO_PRICE, describe_conditions, format_bounds

ZOHO = "zoho-crm"


@click.group(cls=OneLineErrors)
def schedule() -> None:
    """Manage credit schedules, the price lists of calls."""


@schedule.command("explain")
@click.argument("request")
@click.option("--schedule", "name", default=ZOHO, show_default=True, help="A schedule's name, or a file.")
@click.option("--records", type=click.IntRange(min=0), help="Number of records in the call.")
@click.option("--status", type=click.IntRange(100, 599), help="HTTP status of the call.")
def explain(request: str, name: str, records: int | None, status: int | None) -> None:
    """Show how REQUEST is classified and priced: "POST /crm/v8/Leads" --records 25."""
    http, _, path = request.strip().partition(" ")
    if not path.strip():
        raise InvalidParameter(
            "request", f'The request is {request!r}: write "METHOD PATH", such as "GET /crm/v8/Leads".'
        )
    chosen = _chosen(name)
    version, module, method, certain = chosen.classify(http, path.strip())
    query = path.partition("?")[2]
    records = certain if records is None else records
    call = PricedCall(version, module, method, records, status, query, micros(SystemClock().now()))
    rule, price = chosen.rule(call), chosen.price(call)
    click.echo(f"version  {version or '(unknown)'}")
    click.echo(f"module   {module or '(unknown)'}")
    click.echo(f"method   {method or '(unknown)'}")
    click.echo(f"rule     {describe_conditions(rule) if rule else NO_PRICE}")
    click.echo(f"formula  {rule.describe() if rule else 'nothing'}")
    click.echo(f"credits  {price.credits:,}{format_bounds(price)}")
    if rule and rule.source:
        click.echo(f"source   {rule.source}")
    if rule and rule.note:
        click.echo(f"note     {rule.note}")


@schedule.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def check(file: Path) -> None:
    """Validate the schedule in FILE; errors name the line."""
    found = read_schedule(_read(file))
    click.echo(f"{file} is a credit schedule: {found.name}, {found.requests} rules, {found.prices} prices.")


@schedule.command("use")
@click.argument("organization", metavar="ORG")
@click.argument("name", metavar="NAME|FILE")
@data_option
def use(organization: str, name: str, data: Path) -> None:
    """Price the calls of ORG by a built-in schedule, or by the one in FILE, from now on."""
    own = _read(Path(name)) if is_file_name(name) else None
    chosen = _chosen(name)
    with open_accounts(data) as accounts:
        accounts.organizations.use_schedule(accounts.organizations.named(organization), chosen.name, own)
    click.echo(
        f"From now on calls of {organization} are priced by {chosen.name}. Earlier ones keep their price."
    )


@schedule.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print a built-in schedule, as a template for your own."""
    click.echo(builtin_text(name), nl=False)


@schedule.group("import", cls=OneLineErrors)
def import_group() -> None:
    """Convert a provider's price list to a schedule."""


@import_group.command("zoho-apis")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--org", "organization", help="Use it for this organisation from now on.")
@data_option
def import_zoho_apis(file: Path, organization: str | None, data: Path) -> None:
    """
    Convert FILE, the response of GET /crm/v8/__apis, which has an account's real prices.

    Prints the schedule, or uses it with --org.
    """
    text = schedule_of_apis(_read(file), builtin_text(ZOHO))
    found = read_schedule(text)
    if organization is None:
        click.echo(text, nl=False)
        return
    with open_accounts(data) as accounts:
        accounts.organizations.use_schedule(accounts.organizations.named(organization), found.name, text)
    click.echo(
        f"From now on calls of {organization} are priced by {found.name}, {found.prices} prices. "
        "Earlier ones keep their price."
    )


def _chosen(name: str) -> CreditSchedule:
    return read_schedule(_read(Path(name))) if is_file_name(name) else builtin_schedule(name)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"The file {file} is not text in UTF-8.") from error
    except OSError as error:
        raise FileError(f"The file {file} can't be opened: {error.strerror or error}.") from error
