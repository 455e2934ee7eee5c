"""POST /v1/events, over HTTP."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import zstandard

from tests.server import Server, command_here


def receipt(accepted: int, duplicates: int = 0) -> dict[str, object]:
    return {"accepted": accepted, "duplicates": duplicates, "rejected": []}


def used(server: Server) -> int:
    return int(server.get("/v1/credits").json()["used"])


def test_one_event_an_array_and_lines_are_accepted(server: Server) -> None:
    before = used(server)

    assert server.post(json={"user": "maria"}).json() == receipt(1)
    assert server.post(json=[{"credits": 5}, {}]).json() == receipt(2)
    lines = server.post(
        content=b'{"user":"a"}\n{"user":"b"}\n', headers={"Content-Type": "application/x-ndjson"}
    )
    assert lines.json() == receipt(2)
    assert lines.status_code == 202
    assert used(server) == before + 1 + 5 + 1 + 1 + 1  # 9


def test_an_id_counts_once_whatever_is_retried(server: Server) -> None:
    event = {"id": "retried", "credits": 3}
    before = used(server)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.post(json=[event, event]).json(), range(40)))

    assert sum(answer["accepted"] for answer in answers) == 1
    assert sum(answer["duplicates"] for answer in answers) == 79
    assert used(server) == before + 3


def test_valid_events_count_even_when_others_are_refused(server: Server) -> None:
    before = used(server)

    answer = server.post(json=[{"user": "a"}, {"usr": "b"}, {"ip": "300.1.1.1"}, {"user": "c"}])

    assert answer.status_code == 202
    assert [(refused["index"], refused["code"]) for refused in answer.json()["rejected"]] == [
        (1, "unknown_field"),
        (2, "invalid_value"),
    ]
    assert 'ip is "300.1.1.1"' in answer.json()["rejected"][1]["message"]
    assert used(server) == before + 2


def test_an_event_may_be_30_days_old_and_5_minutes_ahead(server: Server) -> None:
    now = datetime.now(UTC)
    ages = [
        timedelta(days=30, minutes=1),
        timedelta(days=29, hours=23),
        timedelta(minutes=-4),
        timedelta(minutes=-6),
    ]

    answer = server.post(json=[{"time": (now - age).isoformat()} for age in ages]).json()

    assert answer["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [(0, "too_old"), (3, "in_future")]
    assert all((now - ages[r["index"]]).isoformat()[:16] in r["message"] for r in answer["rejected"])


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_may_be_compressed(server: Server, encoding: str) -> None:
    body = json.dumps([{"user": "maria"}] * 100).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)

    answer = server.post(content=packed, headers={"Content-Encoding": encoding})

    assert answer.json() == receipt(100)


BOMB = b" " * 200_000_000


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"", {}, 400, id="empty"),
        pytest.param(b"<xml/>", {}, 400, id="not JSON"),
        pytest.param(b"[" * 100_000, {}, 400, id="nested"),
        pytest.param(b"\xff\xfe{}", {}, 400, id="not UTF-8"),
        pytest.param(b"{}", {"Content-Encoding": "gzip"}, 400, id="not gzip"),
        pytest.param(gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}, 400, id="gzip cut off"),
        pytest.param(b"{}", {"Content-Encoding": "zstd"}, 400, id="not zstd"),
        pytest.param(b"{}", {"Content-Encoding": "br"}, 400, id="unknown encoding"),
        pytest.param(b" " * 10_000_001, {}, 413, id="over 10 MB"),
        pytest.param(gzip.compress(BOMB), {"Content-Encoding": "gzip"}, 413, id="gzip bomb"),
        pytest.param(zstandard.compress(BOMB), {"Content-Encoding": "zstd"}, 413, id="zstd bomb"),
        pytest.param(json.dumps([{}] * 10_001).encode(), {}, 413, id="10,001 events"),
    ],
)
def test_a_body_that_can_t_be_taken_gets_a_problem(
    server: Server, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = server.post(content=body, headers=headers)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    problem = answer.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert len(problem["detail"]) > 30


def test_ten_thousand_events_fit_in_one_request(server: Server) -> None:
    assert server.post(json=[{}] * 10_000).json() == receipt(10_000)


@pytest.mark.parametrize(
    ("header", "status"), [(None, 401), ("Bearer mb_wrong", 401), ("Basic abc", 401), ("Bearer", 401)]
)
def test_without_a_key_nothing_is_taken(server: Server, header: str | None, status: int) -> None:
    answer = server.post(json={}, headers={"Authorization": header or ""})

    assert status == answer.status_code
    assert "WWW-Authenticate" in answer.headers


def test_a_reading_key_may_not_send_nor_a_sending_key_read(server: Server) -> None:
    reading, sending = (
        command_here("key", "create", "acme", "--scope", scope, data=server.data).stdout.strip()
        for scope in ("read", "ingest")
    )

    assert server.post(json={}, headers={"Authorization": f"Bearer {reading}"}).status_code == 403
    other = Server(server.data)
    other.url, other.key = server.url, sending
    assert other.get("/v1/credits").status_code == 403
    assert other.post(json={}).status_code == 202


def test_another_organisation_is_refused_without_saying_whether_it_exists(server: Server) -> None:
    answer = server.post(json=[{"organization": "globex"}, {"organization": "acme"}]).json()

    assert answer["accepted"] == 1
    assert answer["rejected"][0]["code"] == "wrong_organization"
    assert "'acme'" in answer["rejected"][0]["message"] or '"acme"' in answer["rejected"][0]["message"]


def test_a_provider_s_key_sends_for_every_organisation_and_reads_nothing(server: Server) -> None:
    provider = Server(server.data)
    provider.url, provider.key = (
        server.url,
        command_here("key", "create", "*", data=server.data).stdout.strip(),
    )
    before = used(server)

    answer = provider.post(json=[{"organization": "acme"}, {}, {"organization": "nobody"}]).json()

    assert answer["accepted"] == 1
    assert [refused["code"] for refused in answer["rejected"]] == ["missing_field", "unknown_organization"]
    assert used(server) == before + 1
    assert provider.get("/v1/credits").status_code == 403


def test_a_request_is_classified_and_its_ids_are_not_kept(server: Server) -> None:
    path = "/crm/v8/Widgets/4711/parts/99?token=secret"
    server.post(json={"request": {"method": "POST", "path": path}})

    answer = server.get("/v1/statistics/table?columns=module,method,version&module=Widgets")

    (row,) = answer.json()["rows"]
    assert (row["module"], row["method"], row["version"]) == ("Widgets", "parts.create", "v8")
    assert "4711" not in answer.text
    assert "secret" not in answer.text


def test_what_is_given_explicitly_wins(server: Server) -> None:
    request = {"method": "GET", "path": "/v8/Leads/1"}
    server.post(json={"request": request, "module": "Mine", "credits": 0, "user": "explicit"})

    (row,) = server.get("/v1/statistics/table?columns=module,method&user=explicit").json()["rows"]

    assert (row["module"], row["method"], row["credits"]) == ("Mine", "get", 0)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_body_that_is_cut_off_counts_nothing(server: Server, encoding: str, keep: float) -> None:
    body = b"\n".join(b'{"id": "cut %d"}' % number for number in range(3_000))
    whole = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    part = whole[: int(len(whole) * keep)]
    answer = server.post(
        content=part, headers={"Content-Encoding": encoding, "Content-Type": "application/x-ndjson"}
    )

    assert answer.status_code == 400
    assert "cut off" in answer.json()["detail"]


def test_many_empty_members_are_expanded_at_once(server: Server) -> None:
    body = gzip.compress(b"") * 50_000 + gzip.compress(b"[]")
    answer = server.post(content=body, headers={"Content-Encoding": "gzip"})

    assert answer.json() == {"accepted": 0, "duplicates": 0, "rejected": []}
    assert answer.elapsed.total_seconds() < 10


def test_half_a_surrogate_pair_in_a_name_costs_no_other(server: Server) -> None:
    answer = server.post(
        content=b'[{"user": "pair"}, {"\\ud800": 1}, {"request": {"\\udfff": 1}}, {"user": "pair"}]'
    ).json()

    assert answer["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == [
        (1, "unknown_field"),
        (2, "unknown_field"),
    ]


def test_a_byte_order_mark_is_passed_over(server: Server) -> None:
    assert server.post(content=b"\xef\xbb\xbf[{}]").json()["accepted"] == 1


def test_many_small_compressed_requests_are_taken_at_once(server: Server) -> None:
    body = gzip.compress(b"[{}, {}]")

    def send(_: int) -> int:
        return server.post(content=body, headers={"Content-Encoding": "gzip"}).status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(send, range(200))) == {202}
