"""The API's table of addresses."""

from litestar import Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from meterboard.api.auth import provide_key, provide_organization
from meterboard.api.instance import instance
from meterboard.api.metrics import metrics
from meterboard.api.problems import on_error, on_http_exception
from meterboard.api.statistics.credits import credits, credits_returns
from meterboard.api.statistics.events import events
from meterboard.api.statistics.related import related, values
from meterboard.api.statistics.statistics import (
    breakdown,
    flows,
    integration_tasks,
    provide_asked,
    series,
    summary,
    table,
)
from meterboard.api.statistics.verify import verification

PROBLEMS: ExceptionHandlersMap = {
    HTTPException: on_http_exception,
    Exception: on_error,
}


def api() -> list[Router]:
    """Every address that answers in JSON, but for `POST /v1/events`, which is `meterboard.api.ingest.events.EventsApp`."""
    statistics = Router(
        "/v1/statistics",
        route_handlers=[summary, breakdown, series, table, flows, integration_tasks, related, values],
        dependencies={"asked": Provide(provide_asked)},
        tags=["Statistics"],
    )
    calls = Router(
        "/v1", route_handlers=[events], dependencies={"asked": Provide(provide_asked)}, tags=["Events"]
    )
    return [
        Router("/", route_handlers=[metrics, instance], exception_handlers=PROBLEMS),
        Router(
            "/",
            route_handlers=[credits, credits_returns, statistics, calls, verification],
            dependencies={"key": Provide(provide_key), "organization": Provide(provide_organization)},
            exception_handlers=PROBLEMS,
        ),
    ]
