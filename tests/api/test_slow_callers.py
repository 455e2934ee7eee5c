"""Answers are sent as they are received; what is not received holds little, and not for long."""

import asyncio
from typing import Any, cast

import pytest
from litestar.types import Message

from meterboard.api import slow_callers as sending
from meterboard.api.slow_callers import PIECE_BYTES, Unsent, body_in_time
from meterboard.errors import TooSlow
from tests.service.test_reads import run
from tests.waiting import eventually_in_loop

BODY = bytes(range(256)) * 400


def body(content: bytes, *, more: bool = False) -> Message:
    return cast(Message, {"type": "http.response.body", "body": content, "more_body": more})


@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, len(BODY)])
@pytest.mark.parametrize("more", [False, True])
def test_an_answer_is_sent_whole_in_small_pieces(length: int, more: bool) -> None:
    unsent, sent = Unsent(), list[Any]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> None:
        await unsent.in_time(send)(body(BODY[:length], more=more))

    run(main())
    assert b"".join(piece["body"] for piece in sent) == BODY[:length]
    assert max(len(piece["body"]) for piece in sent) <= PIECE_BYTES
    assert [piece["more_body"] for piece in sent] == [True] * (len(sent) - 1) + [more]
    assert unsent.size == 0


def test_callers_who_receive_nothing_are_given_up_when_they_hold_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "MAX_UNSENT_BYTES", 3 * len(BODY))
    monkeypatch.setattr(sending, "HURRY_SECONDS", 0)
    unsent = Unsent()

    async def never(_: Message) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        senders = [asyncio.ensure_future(unsent.in_time(never)(body(BODY))) for _ in range(8)]
        await eventually_in_loop(lambda: sum(sender.done() for sender in senders) == 5)
        assert [sender.done() for sender in senders] == [True] * 5 + [False] * 3
        assert all(sender.cancelled() for sender in senders[:5])
        assert unsent.size == 3 * len(BODY)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        assert unsent.size == 0

    run(main())


def test_a_caller_who_receives_a_piece_too_late_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 0)

    async def never(_: Message) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Unsent().in_time(never)(body(b"words", more=True))

    run(main())


def test_a_body_has_to_be_complete_in_time_and_only_the_body() -> None:
    messages: asyncio.Queue[Any] = asyncio.Queue()

    async def main() -> None:
        messages.put_nowait({"type": "http.request", "body": b"a", "more_body": True})
        receive = body_in_time(messages.get, 0.02)
        await receive()
        with pytest.raises(TooSlow):
            await receive()

        messages.put_nowait({"type": "http.request", "body": b"a", "more_body": False})
        receive = body_in_time(messages.get, 0.02)
        await receive()
        end = asyncio.ensure_future(receive())
        done, _ = await asyncio.wait([end], timeout=0.1)
        assert not done
        end.cancel()

    run(main())
