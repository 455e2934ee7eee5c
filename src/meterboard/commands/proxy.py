"""`meterboard proxy`: counting the calls to an API that is somebody else's."""

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
from meterboard.proxy.identity import Applications, OwnDimensions, fingerprint_secret
from meterboard.proxy.run import run_proxy
from meterboard.proxy.upstream import Upstream

SPOOL = "proxy-spool"
"""The folder in the data folder that keeps events while Meterboard is away; in it, one for each receiver."""
CLOSE_SECONDS = 5.0
EXAMPLES = {
    "--name": "token-3f2a90c1b7de=Backup",
    "--dimension": "environment=production",
    "--dimension-header": "environment=X-Environment",
}


def _pairs(_: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Returns what stands on both sides of =. Raises: SettingError: there is nothing on one of them."""
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
    """Returns what an option says of dimensions. Raises: SettingError: no dimension can have such a name."""
    found = _pairs(context, option, texts)
    try:
        for name in found:
            check_dimension(name)
    except InvalidEvent as error:
        raise SettingError(f"{option.opts[0]} can't be used: {error}") from error
    return found


@click.command()
@click.option("--upstream", required=True, metavar="URL", help="The API: https://www.zohoapis.com")
@click.option("--org", "organization", metavar="ORG", help="Whose calls they are.")
@click.option(
    "--server", metavar="URL", help="A Meterboard elsewhere.  [default: the one of the data folder]"
)
@click.option(
    "--key", envvar="METERBOARD_KEY", show_envvar=True, help="With --server: a key that may send events."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=int, default=8080, show_default=True, help="Port to listen on; 0 takes a free one."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds to wait."
)
@click.option("--application", metavar="NAME", help="The application of every call.")
@click.option("--application-header", metavar="HEADER", help="A header that names the application.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="FINGERPRINT=NAME",
    callback=_pairs,
    help="The name of a fingerprint.",
)
@click.option("--user-header", metavar="HEADER", help="A header that names the user.")
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_dimensions,
    help="A dimension of every call: environment=production",
)
@click.option(
    "--dimension-header",
    "dimension_headers",
    multiple=True,
    metavar="NAME=HEADER",
    callback=_dimensions,
    help="A header that names a dimension: environment=X-Environment",
)
@click.option(
    "--records", default="data", show_default=True, metavar="PATH", help="The array in bodies to count."
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
    Pass calls on to an API and count each.

    Callers use the proxy's address in place of the API's. Tokens are neither stored nor logged.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    port = free_port(host, port)

    def make() -> ProxyApp:
        api = Upstream(upstream, timeout=timeout)
        return ProxyApp(api, meter, applications, own, records=records, user_header=user_header)

    Upstream(upstream, timeout=timeout)  # what is wrong with it is told before anything begins
    with _meter(data, organization, server, key) as meter:
        own = OwnDimensions(dimensions, dimension_headers)
        secret = fingerprint_secret(data)
        applications = Applications(secret, always=application, header=application_header, names=names)
        said = f"Calls to {http_address(host, port)} go on to {upstream} and are counted at {meter.url}."
        run_proxy(make, host=address_of(host), port=port, ready=lambda: click.echo(said))


@contextmanager
def _meter(data: Path, name: str | None, server: str | None, key: str | None) -> Iterator[Meter]:
    """What counts: at another server with its key, else at the data folder's own, whether it runs or not yet."""
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
        raise SettingError(
            "Whose calls are they? Name the organisation with --org, or a server with --server."
        )
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
