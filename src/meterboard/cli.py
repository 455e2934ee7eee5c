"""The command line. Each failure is one line that says what is wrong and what to do, and exit status 1."""

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from meterboard import __version__
from meterboard.app import Services
from meterboard.commands.base import OneLineErrors, data_option
from meterboard.commands.running import open_services
from meterboard.server import free_port, sign_in_address
from meterboard.server import serve as run_server
from meterboard.settings import Settings, read_settings

ELSEWHERE = {
    "org": "organizations.org",
    "key": "organizations.key",
    "user": "organizations.user",
    "schedule": "schedules.schedule",
    "import": "imports.import_calls",
    "export": "usage.export",
    "verify": "usage.verify",
    "proxy": "proxy.proxy",
    "doctor": "doctor.doctor",
}
"""The commands that are in modules of their own, and where."""


class Commands(OneLineErrors):
    """Imports a command when it is named: a server would hold 5 MB of what files, proxy and demo are read and run with."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*self.commands, *ELSEWHERE])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in ELSEWHERE and name not in self.commands:
            module, _, command = ELSEWHERE[name].partition(".")
            self.add_command(getattr(import_module(f"meterboard.commands.{module}"), command))
        return super().get_command(context, name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
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


@main.command()
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="METERBOARD_DATA",
    show_envvar=True,
    help="Keep the demo in this folder.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same company.")
@click.option("--no-browser", is_flag=True, help="Only print the address that signs in.")
def demo(port: int | None, data: Path | None, seed: int, no_browser: bool) -> None:
    """Thirty days of a believable company's usage, then the dashboard, with calls still coming in."""
    from meterboard.showcase import run_demo  # see Commands

    with TemporaryDirectory(prefix="meterboard-demo-") as folder:
        run_demo(data or Path(folder), port=port, seed=seed, browser=not no_browser, kept=data is not None)


if __name__ == "__main__":
    sys.exit(main())
