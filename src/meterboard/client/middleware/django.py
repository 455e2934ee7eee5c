"""Counting the calls of a Django project, under WSGI and ASGI."""

from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.middleware.call import Calls, Options, Recorder
from meterboard.client.middleware.wsgi import ip_of

Handler = Callable[[HttpRequest], Any]


def meter_middleware(meter: Recorder, **options: Unpack[Options]) -> Callable[[Handler], Handler]:
    """
    A middleware for `MIDDLEWARE` in the settings, by its own name in a module of the project. Put it first.

    The callables among the options get Django's HttpRequest. Raises: TypeError, ValueError: an option that can't be right.
    """
    calls = Calls(meter, options)

    def middleware(get_response: Handler) -> Handler:
        if iscoroutinefunction(get_response):
            return _asynchronous(calls, get_response)
        return _synchronous(calls, get_response)

    made: Callable[[Handler], Handler] = sync_and_async_middleware(middleware)
    return made


def _synchronous(calls: Calls, get_response: Handler) -> Handler:
    def handle(request: HttpRequest) -> HttpResponse:
        if request.path in calls.skip:
            return get_response(request)
        allowance = calls.guard.now() if calls.guard else None
        if allowance is not None and allowance.refused:
            return _refuse(calls, request, allowance)
        return _answered(calls, request, get_response(request), allowance)

    return handle


def _asynchronous(calls: Calls, get_response: Callable[[HttpRequest], Awaitable[Any]]) -> Handler:
    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path in calls.skip:
            return await get_response(request)
        allowance = calls.guard.now() if calls.guard else None
        if allowance is not None and allowance.refused:
            return _refuse(calls, request, allowance)
        return _answered(calls, request, await get_response(request), allowance)

    return handle


def _answered(calls: Calls, request: HttpRequest, answer: Any, allowance: Allowance | None) -> Any:
    # Django makes answers of exceptions before they get here, so there is an answer to every call.
    match = request.resolver_match
    template = None if match is None else f"/{match.route}"
    calls.record(
        request, request.method, request.path, template, answer.status_code, ip_of(request.META, calls)
    )
    if allowance is not None:
        for name, value in allowance.headers:
            answer[name] = value
    return answer


def _refuse(calls: Calls, request: HttpRequest, allowance: Allowance) -> HttpResponse:
    calls.record_refused(request, request.method, request.path, ip_of(request.META, calls))
    answer = HttpResponse(allowance.body, status=429, content_type=PROBLEM)
    for name, value in allowance.headers:
        answer[name] = value
    return answer
