"""The command line. Each failure is one line that says what is wrong and what to do, and exit status 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from meterboard import __version__
from meterboard.app import Accounts, Services, schedule_named
from meterboard.domain.access import KEY_SCOPES, ROLES, ApiKey, KeyScope, Role
from meterboard.errors import MeterboardError
from meterboard.importers.delivery import Deliver, ask_server, to_meter, to_server
from meterboard.importers.logs import import_logs
from meterboard.server import address_of_running, free_port, sign_in_address
from meterboard.server import serve as run_server
from meterboard.service.verify import Verification
from meterboard.settings import Settings, read_settings
from meterboard.showcase import run_demo

DEFAULT_DATA = "meterboard-data"


class OneLineErrors(click.Group):
    """A group whose commands fail with one line."""

    def invoke(self, context: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(context)
        except MeterboardError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


class Allowance(click.ParamType[int | None]):
    """A number of credits, or `unlimited`."""

    name = "N|unlimited"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int | None:
        """Raises: BadParameter: neither."""
        if value == "unlimited":
            return None
        return click.INT.convert(value, param, context)


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="METERBOARD_DATA",
    show_default=True,
    show_envvar=True,
    help="The folder that holds everything.",
)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Meterboard: where do the API credits go?"""


@main.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@data_option
def serve(host: str | None, port: int | None, data: Path) -> None:
    """Answer the API and show the dashboard."""
    settings = _settings(data, host, port)
    port = free_port(settings.host, settings.port)
    with _services(data, settings) as services:
        services.refresh.now()
        run_server(services, data, host=settings.host, port=port, ready=lambda url: _greet(services, url))


def _greet(services: Services, address: str) -> None:
    click.echo(f"Meterboard answers at {address}")
    link = services.accounts.people.link_for_first_owner()
    if link:
        click.echo(f"Sign in once with {sign_in_address(address, link)}")
    else:
        click.echo("Nobody can sign in yet. Add a person: meterboard user create ORG EMAIL --role owner")


def _settings(data: Path, host: str | None, port: int | None) -> Settings:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return read_settings(data, overrides=given)


@contextmanager
def _services(data: Path, settings: Settings) -> Iterator[Services]:
    services = Services(data, settings)
    try:
        yield services
    finally:
        services.close()


@contextmanager
def _accounts(data: Path) -> Iterator[Accounts]:
    accounts = Accounts(data)
    try:
        yield accounts
    finally:
        accounts.close()


@main.group(cls=OneLineErrors)
def org() -> None:
    """Organisations: those whose credits are spent."""


@org.command("create")
@click.argument("name")
@click.option("--allowance", type=Allowance(), help="Credits in any rolling 24 hours.  [default: unlimited]")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose days its statistics use.")
@click.option("--schedule", default="one-per-call", show_default=True, help="The price list of its calls.")
@data_option
def org_create(name: str, allowance: int | None, time_zone: str, schedule: str, data: Path) -> None:
    """Create an organisation NAME."""
    schedule_named(schedule)
    with _accounts(data) as accounts:
        accounts.organizations.create(name, allowance=allowance, time_zone=time_zone, schedule=schedule)
    click.echo(
        f"Created {name}: {_credits(allowance)} in 24 hours, days of {time_zone}, prices of {schedule}."
    )
    click.echo(f"Next, make a key for it: meterboard key create {_quoted(name)}")


@org.command("update")
@click.argument("name")
@click.option("--allowance", type=Allowance(), required=True, help="Credits in any rolling 24 hours.")
@data_option
def org_update(name: str, allowance: int | None, data: Path) -> None:
    """Change what organisation NAME may use from now on; what was allowed before stays in its history."""
    with _accounts(data) as accounts:
        accounts.organizations.set_allowance(accounts.organizations.named(name), allowance)
    click.echo(f"From now on {name} may use {_credits(allowance)} in 24 hours.")


def _credits(allowance: int | None) -> str:
    return "unlimited credits" if allowance is None else f"{allowance:,} credits"


@main.group(cls=OneLineErrors)
def key() -> None:
    """API keys."""


@key.command("create")
@click.argument("organization", metavar="ORG")
@click.option("--name", default="default", show_default=True, help="What the key is for.")
@click.option("--scope", type=click.Choice(KEY_SCOPES), default="all", show_default=True)
@data_option
def key_create(organization: str, name: str, scope: KeyScope, data: Path) -> None:
    """
    Make a key of ORG and print it, once, alone on standard output.

    ORG '*' makes a provider-wide key, which sends events for every organisation and reads nothing.
    """
    with _accounts(data) as accounts:
        owner = None if organization == "*" else accounts.organizations.named(organization)
        click.echo(accounts.keys.create(owner, name=name, scope="ingest" if owner is None else scope))


@main.group(cls=OneLineErrors)
def user() -> None:
    """People who may see an organisation's dashboard."""


@user.command("create")
@click.argument("organization", metavar="ORG")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@data_option
def user_create(organization: str, email: str, role: Role, data: Path) -> None:
    """Let EMAIL see the dashboard of ORG; prints a link that signs in once."""
    with _accounts(data) as accounts:
        link = accounts.people.add(accounts.organizations.named(organization), email, role=role)
    settings = read_settings(data)
    address = address_of_running(data) or f"http://{settings.host}:{settings.port}"
    click.echo(sign_in_address(address, link))


@main.command("import")
@click.argument("organization", metavar="ORG")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["combined"]), default="combined", show_default=True)
@data_option
def import_files(organization: str, files: tuple[str, ...], form: str, data: Path) -> None:
    """
    Count the calls in access logs of Apache or nginx (common and combined; .gz too; - is standard input).

    May be run again and while the server runs; counts nothing twice.
    """
    with _delivery(data, organization) as deliver:
        tally = import_logs(files, deliver, sys.stderr)
    click.echo(tally.in_words())


@contextmanager
def _delivery(data: Path, organization: str) -> Iterator[Deliver]:
    """To the running server when there is one, since one process alone can hold the usage store."""
    address = address_of_running(data)
    if address is None:
        with _services(data, _settings(data, None, None)) as services:
            owner = services.accounts.organizations.named(organization)
            yield to_meter(services.ingest, ApiKey(owner, "ingest"))
            services.refresh.now()
        return
    with _accounts(data) as accounts:
        owner = accounts.organizations.named(organization)
        secret = accounts.keys.create(owner, name="import", scope="ingest")
        try:
            yield to_server(address, secret)
        finally:
            accounts.keys.revoke(secret)


@main.command()
@data_option
def verify(data: Path) -> None:
    """Recompute every organisation's statistics from the events; exit status 1 if anything differs."""
    wrong = 0
    for checked in _verifications(data):
        wrong += checked.difference
        click.echo(
            f"{checked.organization}: {checked.events:,} events, difference {checked.difference:,}, "
            f"checked at {checked.checked_at:%H:%M}"
        )
    if wrong:
        raise click.ClickException(
            "The statistics differ from the events. Please report it with the lines above."
        )


def _verifications(data: Path) -> Iterator[Verification]:
    address = address_of_running(data)
    if address is None:
        with _services(data, _settings(data, None, None)) as services:
            for organization in services.accounts.organizations.all():
                yield services.verify.check(organization)
        return
    with _accounts(data) as accounts:
        for organization in accounts.organizations.all():
            secret = accounts.keys.create(organization, name="verify", scope="read")
            try:
                yield ask_server(address, secret)
            finally:
                accounts.keys.revoke(secret)


@main.command()
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Keep the demo in this folder."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same company.")
@click.option("--no-browser", is_flag=True, help="Only print the address that signs in.")
def demo(port: int | None, data: Path | None, seed: int, no_browser: bool) -> None:
    """Thirty days of a believable company's usage, then the dashboard, with calls still coming in."""
    with TemporaryDirectory(prefix="meterboard-demo-") as folder:
        run_demo(data or Path(folder), port=port, seed=seed, browser=not no_browser, kept=data is not None)


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


if __name__ == "__main__":
    sys.exit(main())
