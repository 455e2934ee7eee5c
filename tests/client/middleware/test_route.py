"""Version, module and method of a call, from the template of its route."""

import pytest

from meterboard.client.middleware.route import full_template, names
from meterboard.schedule.builtin import builtin_schedule

LIKE_THE_SCHEDULE = [
    ("GET", "/crm/v8/Leads", "/crm/v8/Leads"),
    ("GET", "/crm/v8/Leads/{id}", "/crm/v8/Leads/123"),
    ("HEAD", "/crm/v8/Leads/{id:int}", "/crm/v8/Leads/123"),
    ("POST", "/crm/v8/Leads/<int:id>/actions/convert", "/crm/v8/Leads/123/actions/convert"),
    ("PUT", "^crm/v2.1/Leads/(?P<id>[0-9]+)/notes$", "/crm/v2.1/Leads/123/notes"),
    ("PATCH", "/api/invoices/{id}", "/api/invoices/123"),
    ("DELETE", "/invoices/{id}/lines/{line}", "/invoices/123/lines/456"),
]


@pytest.mark.parametrize(("verb", "template", "path"), LIKE_THE_SCHEDULE)
def test_a_route_is_named_as_the_schedule_names_its_path(verb: str, template: str, path: str) -> None:
    found = builtin_schedule("one-per-call").classify(verb, path)

    assert tuple(name or "" for name in names(verb, template)) == (found.version, found.module, found.method)


@pytest.mark.parametrize(
    ("verb", "template", "expected"),
    [
        ("GET", "/", (None, None, "get")),
        ("GET", "/{anything}", (None, None, "get")),
        ("GET", "/v8", ("v8", None, "get")),
        ("OPTIONS", "/crm/v8/Leads", ("v8", "Leads", "options")),
        ("POST", "/api/rest/files", (None, "files", "create")),
    ],
)
def test_what_a_template_does_not_say_is_none(
    verb: str, template: str, expected: tuple[str | None, str | None, str]
) -> None:
    assert names(verb, template) == expected


@pytest.mark.parametrize(
    ("template", "path", "parameters", "expected"),
    [
        ("/Leads/{id}", "/crm/v8/Leads/3", {"id": 3}, "/crm/v8/Leads/{id}"),
        ("/Leads/{id}", "/Leads/3", {"id": 3}, "/Leads/{id}"),
        ("/Leads/{id}", "/orgs/17/Leads/3", {"org": 17, "id": 3}, "/orgs/{}/Leads/{id}"),
        ("/files/{p:path}", "/v1/files/a/b/c", {"p": "a/b/c"}, "/v1/files/{p:path}"),
        ("/", "/crm/v8/Leads", {}, "/crm/v8/Leads"),
        ("/Leads/", "/v8/Leads/", {}, "/v8/Leads"),
    ],
)
def test_a_route_does_not_know_what_it_is_mounted_under(
    template: str, path: str, parameters: dict[str, object], expected: str
) -> None:
    assert full_template(template, path, parameters) == expected
