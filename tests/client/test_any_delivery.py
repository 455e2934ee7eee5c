"""However the same events are split, ordered and repeated on their way, they give the same statistics."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.client.event import Stamper, encode_fields
from tests.server import Server

numbers = count()
names = st.sampled_from([None, "a", "b", "ä"])
events = st.lists(
    st.fixed_dictionaries(
        {
            "minutes_ago": st.integers(0, 60 * 24 * 20),
            "user": names,
            "module": names,
            "method": names,
            "function": names,
            "status": st.sampled_from([None, 200, 404, 429]),
            "credits": st.sampled_from([None, 0, 1, 7]),
        }
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=20)
@given(events, st.data())
def test_any_split_order_and_repetition_gives_the_same_statistics(
    meterboard: Server, events: list[dict[str, Any]], data: st.DataObject
) -> None:
    example = f"delivery {next(numbers)}"
    now = datetime.now(UTC)
    once = lines(f"{example} once", events, now)
    again = lines(f"{example} again", events, now)
    repeated = data.draw(st.permutations(again + data.draw(st.lists(st.sampled_from(again), max_size=20))))

    with httpx.Client(base_url=meterboard.url, headers=meterboard.headers()) as client:
        assert post(client, once) == len(events)
        accepted = 0
        while repeated:
            size = data.draw(st.integers(1, len(repeated)), label="size")
            accepted += post(client, repeated[:size])
            repeated = repeated[size:]

        assert accepted == len(events)
        assert statistics(client, f"{example} again") == statistics(client, f"{example} once")


def lines(application: str, events: list[dict[str, Any]], now: datetime) -> list[bytes]:
    """The events as the client writes them, each with its id and time."""
    stamper = Stamper()
    written = []
    for event in events:
        fields = {name: value for name, value in event.items() if name != "minutes_ago"}
        time = now - timedelta(minutes=event["minutes_ago"])
        written.append(
            stamper.stamp_partly(
                encode_fields(fields | {"application": application, "time": time}), time=False
            )
        )
    return written


def post(client: httpx.Client, some: list[bytes]) -> int:
    """How many of them were new."""
    answer = client.post("/v1/events", content=b"[" + b",".join(some) + b"]").raise_for_status().json()
    assert answer["rejected"] == []
    assert answer["accepted"] + answer["duplicates"] == len(some)
    return int(answer["accepted"])


def statistics(client: httpx.Client, application: str) -> list[Any]:
    """What every panel says of an application, in 30 days."""
    asked = {"application": application, "period": "last_30_days"}

    def ask(path: str, **more: str) -> Any:
        return client.get(f"/v1/statistics/{path}", params=asked | more).raise_for_status().json()

    summary = ask("summary")
    return [
        (summary["calls"], summary["credits_used"]),
        ask("breakdown", by="function")["rows"],
        ask("series")["points"],
        ask("table", columns="user,module,method,function,status", sort="user,module,method,function,status")[
            "rows"
        ],
    ]
