"""`meterboard proxy`: counts the calls to any API."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from meterboard.client import Meter
from meterboard.client.event import InvalidEvent, check_dimension
from meterboard.client.transport import Transport
from meterboard.commands.host.accounts import open_accounts
from meterboard.commands.host.keys import temporary_keys
from meterboard.commands.host.transport import FolderTransport
from meterboard.commands.options import data_option
from meterboard.data_folder import prepare_folder
from meterboard.errors import SettingError
from meterboard.network.running_server import address_of, free_port, http_address
from meterboard.proxy.app import ProxyApp
from meterboard.proxy.fingerprints import Applications, OwnDimensions, fingerprint_secret
from meterboard.proxy.run import run_proxy
from meterboard.proxy.upstream import Upstream

SPOOL = "proxy-spool"
"""The folder in the data folder that keeps events while the server is away, with one folder for each receiver."""
CLOSE_SECONDS = 5.0
EXAMPLES = {
    "--alias": "token-3f2a90c1b7de=Backup",
    "--dimension": "environment=production",
    "--dimension-header": "environment=X-Environment",
}


def _pairs(_: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Returns names and values on both sides of =. Raises: SettingError: one of them is missing."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name and value):
            raise SettingError(
                f"{option.opts[0]} is {text!r}: use {option.metavar}, such as {EXAMPLES[option.opts[0]]}."
            )
        found[name] = value
    return found


def _dimensions(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Returns the dimensions that an option names. Raises: SettingError: the name of a dimension is invalid."""
    found = _pairs(context, option, texts)
    try:
        for name in found:
            check_dimension(name)
    except InvalidEvent as error:
        raise SettingError(f"{option.opts[0]} can't be used: {error}") from error
    return found


@click.command()
@click.option("--upstream", required=True, metavar="URL", help="The API: https://www.zohoapis.com")
@click.option("--org", "organization", metavar="ORG", help="Organisation to charge.")
@click.option(
    "--server", metavar="URL", help="Send to another server.  [default: the one of the data folder]"
)
@click.option(
    "--key", envvar="METERBOARD_KEY", show_envvar=True, help="With --server: a key that may send events."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=int, default=8080, show_default=True, help="Port to listen on; 0 takes a free one."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the API.",
)
@click.option("--application", metavar="NAME", help="Application of all calls.")
@click.option("--application-header", metavar="HEADER", help="Header with the application.")
@click.option(
    "--alias",
    "names",
    multiple=True,
    metavar="FINGERPRINT=NAME",
    callback=_pairs,
    help="Name the application of a fingerprint.",
)
@click.option("--user-header", metavar="HEADER", help="Header with the user.")
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_dimensions,
    help="Dimension of all calls: environment=production",
)
@click.option(
    "--dimension-header",
    "dimension_headers",
    multiple=True,
    metavar="NAME=HEADER",
    callback=_dimensions,
    help="Header with a dimension: environment=X-Environment",
)
@click.option(
    "--records",
    default="data",
    show_default=True,
    metavar="PATH",
    help="Array in the bodies whose members are records.",
)
@data_option
def proxy(
    upstream: str,
    organization: str | None,
    server: str | None,
    key: str | None,
    host: str,
    port: int,
    timeout: float,
    application: str | None,
    application_header: str | None,
    names: dict[str, str],
    user_header: str | None,
    dimensions: dict[str, str],
    dimension_headers: dict[str, str],
    records: str,
    data: Path,
) -> None:
    """
    Forward calls to an API and count each.

    Callers use the proxy's address instead of the API's. Tokens are neither stored nor logged.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    port = free_port(host, port)

    def make() -> ProxyApp:
        api = Upstream(upstream, timeout=timeout)
        return ProxyApp(api, meter, applications, own, records=records, user_header=user_header)

    Upstream(upstream, timeout=timeout)  # so that a wrong address fails before anything is opened
    with _meter(data, organization, server, key) as meter:
        own = OwnDimensions(dimensions, dimension_headers)
        secret = fingerprint_secret(data)
        applications = Applications(secret, always=application, header=application_header, names=names)
        address = http_address(host, port)
        message = f"Listening on {address}: forwards to {upstream}, sends usage to {meter.url}."
        run_proxy(make, host=address_of(host), port=port, ready=lambda: click.echo(message))


@contextmanager
def _meter(data: Path, name: str | None, server: str | None, key: str | None) -> Iterator[Meter]:
    """Yields the meter: of another server with its key, else of the data folder, whether its server runs yet or not."""
    if server is not None:
        if not key:
            raise SettingError("--server needs the key of an organisation there: give it as METERBOARD_KEY.")
        prepare_folder(data)
        try:
            elsewhere = Meter(server, key, spool=data / SPOOL / "elsewhere")
        except ValueError as error:
            raise SettingError(f"The server can't be used: {error}") from error
        with _closing(elsewhere) as meter:
            yield meter
        return
    if name is None:
        raise SettingError("Name the organisation to charge with --org, or another server with --server.")
    with open_accounts(data) as accounts:
        organization = accounts.organizations.named(name)
    spool = data / SPOOL / str(organization.id)
    with (
        temporary_keys(data, "proxy") as keys,
        _closing(FolderMeter(data, keys.secret(organization, "ingest"), spool=spool)) as meter,
    ):
        yield meter


class FolderMeter(Meter):
    """Sends to the server that holds a data folder, whenever one runs and wherever it listens."""

    def __init__(self, data: Path, key: str, *, spool: Path) -> None:
        self._data = data
        super().__init__("http://127.0.0.1", key, spool=spool)  # an address that is never used
        self.url = f"the Meterboard of {data}"

    def _transport(self) -> Transport:
        return FolderTransport(self._data, self.key, self.timeout)


@contextmanager
def _closing(meter: Meter) -> Iterator[Meter]:
    try:
        yield meter
    finally:
        meter.close(CLOSE_SECONDS)
