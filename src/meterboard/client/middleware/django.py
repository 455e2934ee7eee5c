"""Records the calls of a Django project, under WSGI and ASGI."""

from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.middleware.call import CallRecorder, Options, Recorder
from meterboard.client.middleware.wsgi import ip_of

Handler = Callable[[HttpRequest], Any]


def meter_middleware(meter: Recorder, **options: Unpack[Options]) -> Callable[[Handler], Handler]:
    """
    Returns a middleware. Assign it to a name in a module of the project, and put that name first in `MIDDLEWARE`.

    The callables among the options take Django's HttpRequest. Raises: TypeError, ValueError: an invalid option.
    """
    calls = CallRecorder(meter, options)

    def middleware(get_response: Handler) -> Handler:
        if iscoroutinefunction(get_response):
            return _asynchronous(calls, get_response)
        return _synchronous(calls, get_response)

    decorated: Callable[[Handler], Handler] = sync_and_async_middleware(middleware)
    return decorated


def _synchronous(calls: CallRecorder, get_response: Handler) -> Handler:
    def handle(request: HttpRequest) -> HttpResponse:
        if request.path in calls.skip_paths:
            return get_response(request)
        allowance = calls.guard.check() if calls.guard else None
        if allowance is not None and allowance.refused:
            return _refuse(calls, request, allowance)
        return _record(calls, request, get_response(request), allowance)

    return handle


def _asynchronous(calls: CallRecorder, get_response: Callable[[HttpRequest], Awaitable[Any]]) -> Handler:
    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path in calls.skip_paths:
            return await get_response(request)
        allowance = calls.guard.check() if calls.guard else None
        if allowance is not None and allowance.refused:
            return _refuse(calls, request, allowance)
        return _record(calls, request, await get_response(request), allowance)

    return handle


def _record(calls: CallRecorder, request: HttpRequest, response: Any, allowance: Allowance | None) -> Any:
    # Django turns exceptions into responses before this, so every call has one.
    match = request.resolver_match
    template = None if match is None else f"/{match.route}"
    calls.record(
        request, request.method, request.path, template, response.status_code, ip_of(request.META, calls)
    )
    if allowance is not None:
        for name, value in allowance.headers:
            response[name] = value
    return response


def _refuse(calls: CallRecorder, request: HttpRequest, allowance: Allowance) -> HttpResponse:
    calls.record_refused(request, request.method, request.path, ip_of(request.META, calls))
    response = HttpResponse(allowance.body, status=429, content_type=PROBLEM)
    for name, value in allowance.headers:
        response[name] = value
    return response
