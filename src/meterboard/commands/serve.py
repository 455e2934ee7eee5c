"""`meterboard serve`: the API and the dashboard."""

import sys
from pathlib import Path

import click

from meterboard.commands.host.local import open_services
from meterboard.commands.options import data_option
from meterboard.network.running_server import free_port, sign_in_address
from meterboard.server import serve as run_server
from meterboard.services import Services
from meterboard.settings import Settings, read_settings


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--print-sign-in-link",
    is_flag=True,
    help="Print a sign-in link for the first owner, even where it may be logged.  [default: on a terminal only]",
)
@data_option
def serve(host: str | None, port: int | None, print_sign_in_link: bool, data: Path) -> None:
    """Start the server: the API and the dashboard."""
    with_link = print_sign_in_link or sys.stdout.isatty()
    settings = _settings(data, host, port)
    port = free_port(settings.host, settings.port)
    with open_services(data, settings) as services:
        services.refresh.now()
        services.retention.enforce()
        run_server(
            services,
            data,
            host=settings.host,
            port=port,
            ready=lambda url: _print_address(services, url, with_link=with_link),
        )


def _print_address(services: Services, address: str, *, with_link: bool) -> None:
    click.echo(f"Listening on {address}")
    link = services.accounts.people.link_for_first_owner() if with_link else None
    if link:
        where = sign_in_address(services.settings.public_url or address, link)
        click.echo(f"Sign in once, within 24 hours: {where}")
    else:
        click.echo("For a sign-in link: meterboard user create ORG EMAIL --role owner")


def _settings(data: Path, host: str | None, port: int | None) -> Settings:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return read_settings(data, overrides=given)
