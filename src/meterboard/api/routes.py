"""The API's routes."""

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
    provide_params,
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
    """Returns all routes of the API except `POST /v1/events` and `/v1/traces`, which are EventsApp and TracesApp."""
    statistics = Router(
        "/v1/statistics",
        route_handlers=[summary, breakdown, series, table, flows, integration_tasks, related, values],
        dependencies={"params": Provide(provide_params)},
        tags=["Statistics"],
    )
    calls = Router(
        "/v1", route_handlers=[events], dependencies={"params": Provide(provide_params)}, tags=["Events"]
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
