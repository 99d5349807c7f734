"""What an upstream's bytes mean for an answer, cut anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.chat.relay.answer_parser import USAGE, AnswerEnd, Intake
from tailrace.chat.relay.answer_stats import Facts, Tokens
from tailrace.chat.relay.relay_request import Order
from tailrace.log.attendance import Disconnect, DisconnectPolicy
from tailrace.model import DATA, ERROR, EndingCode, EndingKind
from tailrace.testing.chunks import DONE, chat_chunks, chunk, usage_chunk
from tailrace.wire.llm.apis import CHAT, MESSAGES, RESPONSES, Api

KEEP = DisconnectPolicy(Disconnect.KEEP, 60)


def intake(api: Api = CHAT, **order: Any) -> tuple[Intake, Facts]:
    facts = Facts(api.name, "m", 0.0)
    made = Intake(Order(api, KEEP, **order), 1 << 20, lambda data: data, facts)
    return made, facts


def fed(made: Intake, *pieces: bytes) -> tuple[list[tuple[str, bytes]], AnswerEnd | None]:
    """All events of these pieces, and the first ending."""
    events: list[tuple[str, bytes]] = []
    for piece in pieces:
        only = made.only(piece)
        if only is not None:
            events.append((DATA, only))
            continue
        batch, last, words = made.feed(piece)
        events += [*batch, *words]
        if last is not None:
            return events, last
    return events, None


def data_of(*blocks: bytes) -> list[tuple[str, bytes]]:
    return [(DATA, block.removeprefix(b"data: ").removesuffix(b"\n\n")) for block in blocks]


def test_an_answer_cut_anywhere_is_the_same_answer() -> None:
    *blocks, done = chat_chunks(["Gr", "ü", "ße"])
    whole = b"".join([*blocks, done])
    expected = (data_of(*blocks), AnswerEnd(EndingKind.COMPLETED))
    for cut in range(len(whole) + 1):
        assert fed(intake()[0], whole[:cut], whole[cut:]) == expected


def test_usage_that_we_asked_for_is_kept_and_not_shown() -> None:
    blocks = chat_chunks(["a", "b"], include_usage=True)
    made, facts = intake(hide_usage=True)
    events, last = fed(made, *blocks)
    shown = [each for each in events if each[0] == DATA]
    assert shown == data_of(*chat_chunks(["a", "b"])[:-1])
    assert [each[0] for each in events if each[0] != DATA] == [USAGE]
    assert last == AnswerEnd(EndingKind.COMPLETED)
    assert facts.tokens == Tokens(7, 2)


def test_usage_that_the_client_asked_for_is_its_own() -> None:
    *blocks, done = chat_chunks(["a"], include_usage=True)
    made, facts = intake()
    assert fed(made, *blocks, done) == (data_of(*blocks), AnswerEnd(EndingKind.COMPLETED))
    assert facts.tokens is not None


def test_the_first_event_is_noticed_behind_a_comment_too() -> None:
    """It was not: an answer could then be asked for again although there was text of it."""
    made, _ = intake()
    assert not made.begun
    fed(made, b": ping\n\n")
    assert not made.begun
    fed(made, chunk("a"))
    assert made.begun
    assert made.identity == "chatcmpl-test0000000000000000"


def test_malformed_chunks_leave_no_answer_whole() -> None:
    made, _ = intake()
    events, last = fed(made, chunk("a"), b"data: {oops\n\n", chunk("b"), DONE)
    assert [kind for kind, _ in events] == [DATA, ERROR, DATA]
    assert last is not None
    cut = AnswerEnd(EndingKind.CUT, "why")
    assert made.judged(last) == AnswerEnd(
        EndingKind.FAILED, "The upstream sent malformed chunks: 1."
    )
    assert made.judged(cut) == cut


@pytest.mark.parametrize(
    ("api", "block", "ending"),
    [
        (RESPONSES, b'{"type":"response.completed","response":{}}', EndingKind.COMPLETED),
        (RESPONSES, b'{"type":"response.incomplete","response":{}}', EndingKind.COMPLETED),
        (
            RESPONSES,
            b'{"type":"response.failed","response":{"error":{"message":"no"}}}',
            EndingKind.FAILED,
        ),
        (MESSAGES, b'{"type":"message_stop"}', EndingKind.COMPLETED),
        (MESSAGES, b'{"type":"error","error":{"type":"x","message":"no"}}', EndingKind.FAILED),
        (CHAT, b'{"error":{"message":"no"}}', EndingKind.FAILED),
    ],
)
def test_the_event_that_ends_an_answer_is_kept(api: Api, block: bytes, ending: EndingKind) -> None:
    made, _ = intake(api)
    events, last = fed(made, b"data: " + block + b"\n\n")
    assert events == [(DATA, block)]
    assert last is not None
    assert last[0] is ending
    if ending is EndingKind.FAILED:
        assert last[1:] == ("The upstream reported: no", EndingCode.REPORTED)


def test_what_was_counted_last_counts() -> None:
    made, facts = intake(MESSAGES)
    usage = b'{"input_tokens":5,"output_tokens":1}'
    fed(made, b'data: {"type":"message_start","message":{"usage":' + usage + b"}}\n\n")
    fed(made, b'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":9}}\n\n')
    assert facts.tokens == Tokens(5, 9)


def test_the_times_of_an_answer() -> None:
    facts = Facts("chat", "m", 10.0)
    assert facts.as_json()["first_token"] is None
    facts.first_at, facts.ended_at, facts.events = 10.5, 12.5, 5
    assert (facts.first_token, facts.between_tokens) == (0.5, 0.5)
    facts.events = 1
    assert facts.between_tokens is None


def test_a_chunk_of_usage_alone_is_an_event_like_any_other_to_who_asked() -> None:
    made, _ = intake()
    assert fed(made, usage_chunk(3))[0] == data_of(usage_chunk(3))
