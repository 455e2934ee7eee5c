"""GET /v1/…: answers, formats and refusals over HTTP. The numbers themselves are in tests/flows."""

import csv
import io
import re
from datetime import datetime

import httpx
import pyarrow.parquet
import pytest

from tests.server import Server, command_here

EVENTS = [
    {"application": "Sync", "user": "maria", "ip": "::ffff:10.0.0.1", "module": "Leads", "credits": 2},
    {"application": "Sync", "user": "maria", "ip": "10.0.0.1", "module": "Leads"},
    {"application": "Desk", "user": "arjun", "ip": "2001:DB8::1", "module": "Deals", "status": 429},
    {"function": "Assign", "module": "Leads", "credits": 4},
    {"function": "Assign", "module": "Deals"},
    {},
]
QUESTIONS = {
    "summary": "summary?",
    "breakdown": "breakdown?by=user&",
    "series": "series?",
    "table": "table?columns=user,ip,application&",
    "flows": "flows?columns=application,user&limit=1&",
    "integration-tasks": "integration-tasks?",
}


@pytest.fixture(scope="module", autouse=True)
def filled(server: Server) -> None:
    assert server.post(json=EVENTS).json()["accepted"] == 6


def ask(server: Server, question: str) -> dict:  # type: ignore[type-arg]
    answer = server.get(f"/v1/statistics/{question}")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_credits_says_what_is_left_of_the_window(server: Server) -> None:
    credits = server.get("/v1/credits").json()

    assert tuple(credits[name] for name in ("organization", "allowance", "used", "unused", "calls")) == (
        "acme",
        1000,
        10,
        990,
        6,
    )
    window = {name: datetime.fromisoformat(moment) for name, moment in credits["window"].items()}
    assert (window["end"] - window["start"]).total_seconds() == 86_400
    assert credits["window"]["end"].endswith("+05:30")


def test_summary_has_used_and_unused_credits_of_the_period(server: Server) -> None:
    summary = ask(server, "summary")

    assert tuple(
        summary[name] for name in ("calls", "credits_used", "credits_allowed", "credits_unused")
    ) == (6, 10, 1000, 990)
    assert (summary["average_calls_per_day"], summary["average_over_days"]) == (6.0, 1)
    assert (summary["period"]["name"], summary["period"]["time_zone"]) == ("last_24_hours", "Asia/Kolkata")
    assert ask(server, "summary?period=last_30_days")["credits_allowed"] == 30 * 1000


def test_callers_are_applications_and_functions_together(server: Server) -> None:
    callers = ask(server, "breakdown?by=caller")

    assert [(row["name"], row["kind"], row["calls"], row["credits"]) for row in callers["rows"]] == [
        ("Assign", "function", 2, 5),
        ("Sync", "application", 2, 3),
        ("(unknown)", "application", 1, 1),
        ("Desk", "application", 1, 1),
    ]
    assert callers["rows"][0]["share"] == pytest.approx(2 / 6)
    assert callers["total"] == {"calls": 6, "credits": 10}


def test_others_are_what_the_limit_cut_off(server: Server) -> None:
    cut = ask(server, "breakdown?by=caller&limit=1&offset=1")

    assert [row["name"] for row in cut["rows"]] == ["Sync"]
    assert cut["others"] == {"names": 3, "calls": 4, "credits": 7}


def test_one_address_has_one_spelling(server: Server) -> None:
    rows = {row["name"]: row["calls"] for row in ask(server, "breakdown?by=ip")["rows"]}

    assert rows == {"10.0.0.1": 2, "2001:db8::1": 1, "(unknown)": 3}
    assert ask(server, "summary?ip=2001:DB8:0::1")["calls"] == 1


def test_filters_repeat_and_an_empty_one_is_unknown(server: Server) -> None:
    assert ask(server, "summary?user=maria&user=arjun")["calls"] == 3
    assert ask(server, "summary?user=")["calls"] == 3
    assert ask(server, "summary?user=(unknown)")["calls"] == 3
    assert ask(server, "summary?user=maria&module=Deals")["calls"] == 0
    assert ask(server, "summary?status=429")["calls"] == 1


def test_the_table_is_sorted_and_paged(server: Server) -> None:
    question = "table?columns=module,user&sort=-credits,user"
    whole = ask(server, question)["rows"]
    pages = [ask(server, f"{question}&page_size=2&page={page}") for page in (1, 2, 3)]

    assert whole == [row for page in pages for row in page["rows"]]
    assert [page["total_rows"] for page in pages] == [5] * 3
    assert [row["credits"] for row in whole] == [4, 3, 1, 1, 1]
    assert [row["integration_tasks"] for row in whole] == [1, 0, 0, 1, 0]
    assert list(whole[0]) == ["module", "user", "calls", "credits", "integration_tasks"]


def test_integration_tasks_are_per_function_and_module(server: Server) -> None:
    tasks = ask(server, "integration-tasks?module=Leads")

    last_use = tasks["rows"][0].pop("last_use")
    assert tasks["rows"] == [{"function": "Assign", "module": "Leads", "tasks": 1, "credits": 4}]
    assert datetime.fromisoformat(last_use).minute % 15 == 0
    assert ask(server, "integration-tasks?function=Assign")["total"] == {"tasks": 2, "credits": 5}


@pytest.mark.parametrize("name", QUESTIONS)
def test_csv_and_parquet_say_what_json_says(server: Server, name: str) -> None:
    question = QUESTIONS[name]
    answer = ask(server, question)
    rows = answer.get("rows") or answer.get("points") or answer.get("paths") or [answer]

    text = server.get(f"/v1/statistics/{question}format=csv")
    table = pyarrow.parquet.read_table(
        io.BytesIO(server.get(f"/v1/statistics/{question}format=parquet").content)
    )

    listed = list(csv.DictReader(io.StringIO(text.text)))
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(rows) == len(listed) == table.num_rows
    number = "calls" if name != "integration-tasks" else "tasks"
    assert [row[number] for row in rows] == [int(row[number]) for row in listed] == table[number].to_pylist()


COLUMNS = "application, function, module, method, version, ip, user, status"
PERIODS = (
    "use last_24_hours, today, yesterday, last_30_days, a date such as 2026-11-03, a range such as "
    "2026-11-03..2026-11-09, or one of local times such as 2026-11-03T10:00..2026-11-03T14:00."
)
LARGEST = "with a - before it for the largest first."


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("summary?period=sometimes", f"period is 'sometimes': {PERIODS}"),
        (
            "summary?period=2026-11-09..2026-11-03",
            "period is '2026-11-09..2026-11-03': it ends before it starts. Swap the two dates.",
        ),
        (
            "summary?period=2026-11-03T10:07..2026-11-03T11:00",
            "period is '2026-11-03T10:07..2026-11-03T11:00': its times are not multiples of 15 minutes "
            "(00, 15, 30, 45). Use local times such as 2026-11-03T10:00..2026-11-03T14:00.",
        ),
        (
            "summary?period=2026-11-03T11:00..2026-11-03T10:00",
            "period is '2026-11-03T11:00..2026-11-03T10:00': it ends before it starts. Swap the two times.",
        ),
        ("summary?ip=nowhere", "ip is 'nowhere': use an IPv4 or IPv6 address."),
        ("summary?format=xml", "format is 'xml': expected one of json, csv, parquet."),
        ("summary?compare=tomorrow", "compare is 'tomorrow': expected previous."),
        ("breakdown?by=user&compare=", "compare is '': expected previous."),
        ("breakdown?by=user&compare=null", "compare is 'null': expected previous."),
        ("breakdown", f"by is missing: expected one of {COLUMNS}, caller."),
        ("breakdown?by=colour", f"by is 'colour': expected one of {COLUMNS}, caller."),
        ("breakdown?by=user&limit=0", "limit is '0': expected a whole number from 1 to 10,000."),
        ("breakdown?by=user&limit=null", "limit is 'null': expected a whole number from 1 to 10,000."),
        (
            "breakdown?by=user&limit=99999999999999999999",
            "limit is '99999999999999999999': expected a whole number from 1 to 10,000.",
        ),
        ("breakdown?by=user&offset=-1", "offset is '-1': expected a whole number from 0 to 1,000,000,000."),
        (
            "breakdown?by=user&sort=module",
            f"sort is 'module': there is no column 'module'. Use name, calls, credits, integration_tasks, {LARGEST}",
        ),
        ("series?by=colour", f"by is 'colour': expected one of {COLUMNS}, caller."),
        ("series?by=NULL", f"by is 'NULL': expected one of {COLUMNS}, caller."),
        ("series?by=user&limit=0", "limit is '0': expected a whole number from 1 to 50."),
        ("series?by=user&limit=51", "limit is '51': expected a whole number from 1 to 50."),
        ("flows?limit=51", "limit is '51': expected a whole number from 1 to 50."),
        ("flows?columns=user", "columns is 'user': choose two or three."),
        (
            "flows?columns=user,ip,module,method",
            "columns is 'user,ip,module,method': choose two or three.",
        ),
        (
            "table?columns=user,user",
            f"columns is 'user,user': use some of {COLUMNS}, comma-separated, each once.",
        ),
        ("table?columns=", f"columns is '': use some of {COLUMNS}, comma-separated, each once."),
        (
            "table?sort=-module",
            "sort is '-module': there is no column 'module'. "
            f"Use user, ip, application, calls, credits, integration_tasks, {LARGEST}",
        ),
        ("table?page=0", "page is '0': expected a whole number from 1 to 1,000,000,000."),
        ("table?page_size=many", "page_size is 'many': expected a whole number from 1 to 10,000."),
        ("table?rows=round", "rows is 'round': expected one of flat, grouped."),
        ("related?limit=0", "limit is '0': expected a whole number from 1 to 10,000."),
        (
            "related?columns=caller",
            f"columns is 'caller': use some of {COLUMNS}, comma-separated, each once.",
        ),
        ("values", f"column is missing: expected one of {COLUMNS}."),
        ("values?column=sort", f"column is 'sort': expected one of {COLUMNS}."),
        ("values?column=user&limit=x", "limit is 'x': expected a whole number from 1 to 10,000."),
        ("../events?limit=10001", "limit is '10001': expected a whole number from 1 to 10,000."),
        (
            "../events?cursor=",
            "cursor is '': use the value of next or previous in a response, or omit it for the newest events.",
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_is_right(
    server: Server, question: str, sentence: str
) -> None:
    answer = server.get(f"/v1/statistics/{question}")

    assert (answer.status_code, answer.json()["detail"]) == (400, sentence)
    assert answer.json()["parameter"] == sentence.split()[0]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("summary?aplication=Sync", "aplication"),
        ("series?compare=previous", "compare"),
        ("related?pin=a", "pin"),
    ],
)
def test_an_unknown_parameter_is_refused(server: Server, question: str, name: str) -> None:
    answer = server.get(f"/v1/statistics/{question}")

    assert (answer.status_code, answer.json()["parameter"]) == (400, name)
    assert answer.json()["detail"].startswith(
        f"There is no parameter '{name}' here. Use period, format, application,"
    )


def test_another_organisation_s_key_sees_nothing_of_this_one(server: Server) -> None:
    assert command_here("org", "create", "globex", data=server.data).returncode == 0
    other = Server(server.data)
    other.url, other.key = (
        server.url,
        command_here("key", "create", "globex", data=server.data).stdout.strip(),
    )

    for question in QUESTIONS.values():
        text = other.get(f"/v1/statistics/{question}").text
        assert not any(name in text for name in ("maria", "Sync", "Assign", "10.0.0.1"))
    assert ask(other, "summary")["calls"] == 0
    credits = other.get("/v1/credits").json()
    assert (credits["used"], credits["allowance"], credits["unused"]) == (0, None, None)


def test_verify_proves_the_numbers(server: Server) -> None:
    assert tuple(server.get("/v1/verify").json()[name] for name in ("events", "difference")) == (6, 0)

    checked = command_here("verify", data=server.data)

    assert checked.returncode == 0, checked.stderr
    clock = r"\d\d:\d\d \+0530"  # each organisation's own zone is told
    assert re.search(
        f"acme: 6 events, difference 0, checked at {clock}, statistics as of {clock}", checked.stdout
    )


def test_what_is_not_there_is_a_problem_too(server: Server) -> None:
    for verb, path, status in (("GET", "/v1/nothing", 404), ("DELETE", "/v1/events", 405)):
        answer = httpx.request(verb, f"{server.url}{path}", headers=server.headers())
        assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])


@pytest.mark.parametrize("period", ["2099-01-01", "2099-01-01..2099-01-09", "today"])
@pytest.mark.parametrize("name", ["summary", "series", "table", "breakdown?by=user", "integration-tasks"])
def test_a_period_that_has_not_begun_is_empty(server: Server, name: str, period: str) -> None:
    sign = "&" if "?" in name else "?"
    answer = server.get(f"/v1/statistics/{name}{sign}period={period}")

    assert answer.status_code == 200
    if name == "series" and period != "today":
        assert answer.json()["points"] == []


def test_what_is_left_is_left_for_everybody(server: Server) -> None:
    whole = server.get("/v1/statistics/summary").json()
    one = server.get("/v1/statistics/summary?module=Leads").json()

    assert one["credits_used"] < whole["credits_used"]
    assert one["credits_unused"] == whole["credits_unused"]


def test_a_filter_with_an_exclamation_mark_keeps_values_out(server: Server) -> None:
    assert ask(server, "summary?user!=maria")["calls"] == 4
    assert ask(server, "summary?user!=maria&user!=")["calls"] == 1
    assert ask(server, "summary?user!=maria&module=Deals")["calls"] == 2


# -- Comparing, taking apart, connecting; the numbers themselves are in tests/flows ---------------------------------------


def test_a_summary_has_the_period_before_only_when_asked_to_compare(server: Server) -> None:
    assert "previous" not in ask(server, "summary")
    previous = ask(server, "summary?compare=previous")["previous"]

    assert (previous["complete"], previous["calls"], previous["credits_used"]) == (True, 0, 0)
    start, end = (datetime.fromisoformat(previous["period"][edge]) for edge in ("start", "end"))
    assert (end - start).total_seconds() == 86_400
    assert ask(server, f"summary?period={previous['period']['name']}".replace("+", "%2B"))["calls"] == 0


def test_a_period_before_that_is_no_longer_kept_is_null(server: Server) -> None:
    previous = ask(server, "summary?compare=previous&period=last_30_days")["previous"]

    assert (previous["complete"], previous["calls"], previous["credits_used"]) == (False, None, None)
    rows = ask(server, "breakdown?by=user&compare=previous&period=last_30_days")
    assert rows["previous"]["complete"] is False
    assert not [row for row in rows["rows"] if "previous" in row]


def test_a_breakdown_has_each_name_s_usage_before_only_when_asked(server: Server) -> None:
    assert not [row for row in ask(server, "breakdown?by=caller")["rows"] if "previous" in row]
    compared = ask(server, "breakdown?by=caller&compare=previous&limit=2")

    assert [row["previous"] for row in compared["rows"]] == [{"calls": 0, "credits": 0}] * 2
    text = server.get("/v1/statistics/breakdown?by=caller&compare=previous&format=csv").text
    assert text.splitlines()[0] == "name,kind,calls,credits,share,previous_calls,previous_credits"


def test_a_series_is_taken_apart_only_when_asked(server: Server) -> None:
    assert set(ask(server, "series")["points"][0]) == {"start", "calls", "credits"}
    series = ask(server, "series?by=caller&limit=2")
    sums = [
        sum(part["calls"] for point in series["points"] for part in point["parts"] if part["name"] == name)
        for name in ("Assign", "Sync")
    ]

    assert sums == [2, 2]
    assert sum(point["others"]["calls"] for point in series["points"]) == 2
    assert [part["kind"] for part in series["points"][0]["parts"]] == ["function", "application"]


def test_a_series_taken_apart_is_a_file_of_a_row_for_each_step_and_name(server: Server) -> None:
    text = server.get("/v1/statistics/series?by=module&limit=1&format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))

    assert {row["name"] for row in rows} == {"Leads", "(others)"}
    assert sum(int(row["calls"]) for row in rows) == 6


def test_flows_are_what_names_have_in_common(server: Server) -> None:
    flows = ask(server, "flows?columns=application,user&limit=1")

    assert [(column["by"], column["names"], column["others"]) for column in flows["columns"]] == [
        ("application", ["(unknown)"], 2),
        ("user", ["(unknown)"], 2),
    ]
    assert [(path["names"], path["calls"]) for path in flows["paths"]] == [
        (["(unknown)", "(unknown)"], 3),
        ([None, None], 3),
    ]
    assert flows["total"] == {"calls": 6, "credits": 10}


def test_related_values_are_those_of_the_filtered_usage(server: Server) -> None:
    answer = ask(server, "related?user=maria&columns=module,application")
    table = ask(server, "table?user=maria&columns=module,application")["rows"]

    assert [column["column"] for column in answer["columns"]] == ["module", "application"]
    for column in answer["columns"]:
        assert {row["name"] for row in column["rows"]} == {row[column["column"]] for row in table}
        assert column["value_count"] == len(column["rows"])
    assert answer["total"]["calls"] == sum(row["calls"] for row in table)
    file = server.get("/v1/statistics/related?user=maria&columns=module&format=csv").text
    assert file.startswith("column,name,calls,credits\r\nmodule,Leads,")


def test_values_are_found_by_a_text_within_them(server: Server) -> None:
    assert [row["name"] for row in ask(server, "values?column=user&search=AR")["rows"]] == ["maria", "arjun"]
    assert ask(server, "values?column=user&search=%25")["value_count"] == 0
    assert ask(server, "values?column=user&user=maria&limit=1")["value_count"] > 1


@pytest.mark.parametrize(
    "question", ["values", "values?column=sort", "related?columns=caller", "related?pin=a"]
)
def test_wrong_questions_about_values_are_refused(server: Server, question: str) -> None:
    response = server.get(f"/v1/statistics/{question}")

    assert response.status_code == 400
    assert response.json()["detail"]


YEARS = (1, 1970, 1971, 2026, 9990, 9999)
MOST_DAYS = 33
"""The retention of 30 days, the day before it that may not be deleted yet, and both ends' parts of a day."""


def test_a_period_of_any_years_is_answered_as_far_as_usage_is_kept(server: Server) -> None:
    everything = ask(server, "summary?period=last_30_days")["calls"]
    today = f"{datetime.fromisoformat(ask(server, 'summary?')['as_of']):%Y-%m-%d}"
    periods = [f"{first:04}-01-01..{last:04}-12-31" for first in YEARS for last in YEARS if first <= last]
    periods += [f"{year:04}-01-01" for year in YEARS]
    periods += [f"{year:04}-01-01T00:00..{today}T00:00" for year in YEARS]
    with httpx.Client(headers=server.headers(), base_url=server.url, verify=False, timeout=30) as web:
        for period in periods:
            asked = {"period": period, "compare": "previous"}
            summary = web.get("/v1/statistics/summary", params=asked)
            series = web.get("/v1/statistics/series", params={"period": period, "by": "user"})
            assert summary.status_code == series.status_code
            assert series.status_code in (200, 400), period
            if series.status_code == 200:
                assert len(series.json()["points"]) <= MOST_DAYS, period
                assert summary.json()["period"]["name"] == period
        for period in (f"1971-01-01..{today}", "1971-01-01..9990-12-31"):
            summary = web.get("/v1/statistics/summary", params={"period": period, "compare": "previous"})
            assert summary.json()["calls"] == everything
            assert summary.json()["average_over_days"] <= MOST_DAYS
            assert summary.json()["previous"]["complete"] is False
            breakdown = web.get(
                "/v1/statistics/breakdown", params={"period": period, "by": "user", "compare": "previous"}
            )
            assert breakdown.json()["total"]["calls"] == everything
