"""CloudEvents 1.0 over HTTP, in all three modes."""

import base64
import json
from typing import Any

import pytest

from tests.server import Server

ENVELOPE = {
    "specversion": "1.0",
    "type": "api.call",
    "source": "/gateway/1",
    "datacontenttype": "application/json",
}


def envelope(event_id: str, **data: Any) -> dict[str, Any]:
    return ENVELOPE | {"id": event_id, "data": data}


def send(server: Server, content: Any, content_type: str, **headers: str) -> dict[str, Any]:
    answer = server.post(
        content=json.dumps(content),
        headers={"Content-Type": content_type} | {k.replace("_", "-"): v for k, v in headers.items()},
    )
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_three_modes_are_one_event(server: Server) -> None:
    data = {"module": "Leads", "user": "ce"}
    structured = send(server, envelope("1", **data), "application/cloudevents+json; charset=utf-8")
    batched = send(
        server, [envelope("1", **data), envelope("2", **data)], "application/cloudevents-batch+json"
    )
    binary = send(
        server,
        data,
        "application/json",
        ce_specversion="1.0",
        ce_type="api.call",
        ce_source="/gateway/1",
        ce_id="1",
    )

    assert (structured["accepted"], structured["duplicates"]) == (1, 0)
    assert (batched["accepted"], batched["duplicates"]) == (1, 1)
    assert (binary["accepted"], binary["duplicates"]) == (0, 1)
    assert server.get("/v1/statistics/summary?user=ce").json()["calls"] == 2


def test_the_same_id_of_two_sources_is_two_events(server: Server) -> None:
    content_type = "application/cloudevents-batch+json"
    one, other = envelope("same"), envelope("same") | {"source": "/gateway/2"}

    assert send(server, [one, other, one], content_type)["accepted"] == 2


def test_the_event_s_own_id_and_time_win(server: Server) -> None:
    content_type = "application/cloudevents+json"
    old = envelope("x", id="own") | {"time": "2001-01-01T00:00:00Z"}
    assert send(server, old, content_type)["rejected"][0]["code"] == "too_old"
    assert send(server, envelope("y", id="own"), content_type)["accepted"] == 1
    assert server.post(json={"id": "own"}).json()["duplicates"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"specversion": "0.3"}, 'specversion is "0.3": expected 1.0'),
        ({"id": ""}, 'id is "": a CloudEvent needs it'),
        ({"source": None}, "source is null"),
        ({"data": "text"}, 'data is "text": expected a usage event'),
        ({"data": {"modul": "Leads"}}, "unknown field modul"),
        ({"data": {"status": 1}}, "status is 1: expected an HTTP status"),
    ],
)
def test_what_is_wrong_is_told_and_costs_no_other(server: Server, change: dict[str, Any], said: str) -> None:
    wrong = envelope("wrong", user="w") | change
    answer = send(server, [wrong, envelope(said)], "application/cloudevents-batch+json")

    assert said in answer["rejected"][0]["message"]
    assert answer["rejected"][0]["index"] == 0
    assert answer["accepted"] + answer["duplicates"] == 1


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents-batch+json"]
)
def test_a_body_that_is_none_is_unreadable(server: Server, content_type: str) -> None:
    for body in (b"", b"7", b"{", b"\xff"):
        assert server.post(content=body, headers={"Content-Type": content_type}).status_code == 400


def test_data_in_base64_is_read_as_sdks_send_bytes(server: Server) -> None:
    content_type = "application/cloudevents+json"
    data = base64.b64encode(b'{"user": "in base64"}').decode()
    sent = ENVELOPE | {"id": "base64", "data_base64": data}

    assert send(server, sent, content_type)["accepted"] == 1
    assert server.get("/v1/statistics/summary?user=in base64").json()["calls"] == 1
    for wrong in ("no base64", base64.b64encode(b"no JSON").decode(), 7):
        refused = send(server, sent | {"id": "wrong", "data_base64": wrong}, content_type)["rejected"]
        assert f"data is {json.dumps(wrong)}: expected a usage event" in refused[0]["message"]


@pytest.mark.parametrize("other", ["avro", "protobuf", "xml", "batch+avro"])
def test_another_format_of_cloudevents_is_refused_by_its_name(server: Server, other: str) -> None:
    content_type = f"application/cloudevents{'-' if other.startswith('batch') else '+'}{other}"
    answer = server.post(content=b"{}", headers={"Content-Type": content_type})

    assert answer.status_code == 400
    assert f"Content-Type is {content_type}: send CloudEvents as" in answer.json()["detail"]


def test_binary_mode_takes_headers_that_are_percent_encoded_and_extensions(server: Server) -> None:
    answer = send(
        server,
        {"user": "encoded"},
        "application/json",
        ce_specversion="1.0",
        ce_type="api.call",
        ce_source="/gateway/%E2%82%AC",
        ce_id="1",
        ce_time="2001-01-01T00:00:00Z",
        ce_traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert answer["rejected"][0]["code"] == "too_old"
    again = [envelope("1", user="encoded") | {"source": "/gateway/€"}] * 2
    assert send(server, again, "application/cloudevents-batch+json")["accepted"] == 1


def test_an_envelope_without_data_is_refused_alike_in_all_modes(server: Server) -> None:
    bare = ENVELOPE | {"id": "bare"}
    headers = {f"ce-{name}": value for name, value in bare.items() if name != "datacontenttype"}
    answers = [
        server.post(content=body, headers=sent)
        for body, sent in (
            (json.dumps(bare), {"Content-Type": "application/cloudevents+json"}),
            (json.dumps([bare]), {"Content-Type": "application/cloudevents-batch+json"}),
            (b"", headers),
            (b"null", headers | {"Content-Type": "application/json"}),
        )
    ]

    assert {answer.status_code for answer in answers} == {202}
    (told,) = {answer.text for answer in answers}
    assert "data is null: expected a usage event" in told
