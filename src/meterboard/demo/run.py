"""`meterboard demo`: fills a data folder with the demo's company and keeps it calling."""

import asyncio
import webbrowser
from datetime import timedelta
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from meterboard import __version__
from meterboard.demo.company import ALLOWANCE, ORGANIZATION, TIME_ZONE, history, trickle
from meterboard.domain.access import ApiKey
from meterboard.domain.organization import Organization
from meterboard.errors import NotFound
from meterboard.importers.delivery import to_meter
from meterboard.network.running_server import free_port, sign_in_address
from meterboard.server import serve
from meterboard.services import Services
from meterboard.settings import read_settings

OWNER = "maria.silva@acme.example"
SLACK = timedelta(minutes=10)
"""The oldest events of the demo are this much younger than the retention, so that none ages out while it loads."""
EXPECTED_EVENTS = 300_000


def run_demo(data: Path, *, port: int | None, seed: int, browser: bool, kept: bool) -> None:
    """
    Loads the sample data, serves, and adds calls until interrupted. An existing demo continues from its last call.
    """
    overrides: dict[str, object] = {} if port is None else {"port": port}
    settings = read_settings(data, overrides=overrides)
    port = free_port(settings.host, settings.port)
    services = Services(data, settings)
    try:
        acme = _company(services)
        _load(services, acme, seed)
        link = services.accounts.people.add(acme, OWNER, role="owner")

        def ready(address: str) -> None:
            kept_where = (
                f"The data is in {data}."
                if kept
                else "The data is deleted at the end; keep it with --data DIR."
            )
            click.echo(
                f"Meterboard {__version__} with sample data of {ORGANIZATION}. {kept_where} Press Ctrl-C to stop."
            )
            where = sign_in_address(settings.public_url or address, link)
            click.echo(where)
            if browser:
                webbrowser.open(where)

        serve(
            services,
            data,
            host=settings.host,
            port=port,
            ready=ready,
            meanwhile=lambda: _keep_calling(services, acme, seed),
        )
    finally:
        services.close()


def _company(services: Services) -> Organization:
    try:
        return services.accounts.organizations.named(ORGANIZATION)
    except NotFound:
        return services.accounts.organizations.create(
            ORGANIZATION, allowance=ALLOWANCE, time_zone=TIME_ZONE, schedule="one-per-call"
        )


def _load(services: Services, acme: Organization, seed: int) -> None:
    until = services.clock.now()
    since = until - timedelta(days=services.settings.retention_days) + SLACK
    deliver = to_meter(services.ingest, ApiKey(acme, "ingest"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("30 days of usage", total=EXPECTED_EVENTS)
        for events in history(seed=seed, since=since, until=until):
            deliver(events)
            progress.advance(task, len(events))
        progress.update(task, total=progress.tasks[0].completed)
    services.refresh.now()


async def _keep_calling(services: Services, acme: Organization, seed: int) -> None:
    deliver = to_meter(services.ingest, ApiKey(acme, "ingest"))
    last = services.clock.now()
    while True:
        await asyncio.sleep(1)
        now = services.clock.now()
        events = [event for batch in history(seed=seed, since=last, until=now) for event in batch]
        await asyncio.to_thread(deliver, [*events, *trickle(seed=seed, at=now)])
        last = now
