"""`meterboard serve`: the API and the dashboard."""

from pathlib import Path

import click

from meterboard.address import free_port, sign_in_address
from meterboard.commands.base import data_option
from meterboard.commands.running import open_services
from meterboard.server import serve as run_server
from meterboard.services import Services
from meterboard.settings import Settings, read_settings


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@data_option
def serve(host: str | None, port: int | None, data: Path) -> None:
    """Answer the API and show the dashboard."""
    settings = _settings(data, host, port)
    port = free_port(settings.host, settings.port)
    with open_services(data, settings) as services:
        services.refresh.now()
        services.retention.enforce()
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
