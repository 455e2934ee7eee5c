"""The command line. Each failure is one line that says what is wrong and what to do, and exit status 1."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from meterboard import __version__
from meterboard.app import Services
from meterboard.commands.base import OneLineErrors, data_option, open_accounts
from meterboard.commands.organizations import key, org, user
from meterboard.commands.schedules import schedule
from meterboard.domain.access import ApiKey
from meterboard.importers.delivery import Deliver, ask_server, to_meter, to_server
from meterboard.importers.logs import import_logs
from meterboard.server import address_of_running, free_port, sign_in_address
from meterboard.server import serve as run_server
from meterboard.service.verify import Verification
from meterboard.settings import Settings, read_settings
from meterboard.showcase import run_demo


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Meterboard: where do the API credits go?"""


for group in (org, key, user, schedule):
    main.add_command(group)


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
    with open_accounts(data) as accounts:
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
    with open_accounts(data) as accounts:
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


if __name__ == "__main__":
    sys.exit(main())
