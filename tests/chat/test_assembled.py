"""Large answers, read whole by their ids: in short turns, in slices, within a limit."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from tailrace.access.owner import owner_of
from tailrace.chat.answers import alias_of
from tailrace.chat.assembled import weight
from tailrace.chat.assembly_room import SMALL, AssemblyRoom
from tailrace.chat.relay.continuation import LONGEST, continuation_of
from tailrace.chat.relay.relay import Relay
from tailrace.chat.settings import ChatSettings
from tailrace.errors import AnswerTooLarge, TooMany
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind
from tailrace.wire.json.json_edit import read_object
from tailrace.wire.llm.apis import CHAT, RESPONSES, Api
from tailrace.wire.llm.assemble_chat import ChatAssembly
from tailrace.wire.llm.assemble_responses import ResponseAssembly
from tailrace.wire.llm.continuation import Continuing
from tailrace.wire.slices import finish
from tests.loop_meter import LoopMeter, metered
from tests.web.app_harness import House, asking, at_home

MIB = 1 << 20
# What one turn may take is a millisecond and one event; in CPU time of this thread, with room
# for a slow machine that others use, too. At once it would take a hundred times as long.
LONGEST_TURN = 0.020


def chunk(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    answer = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return json.dumps({**answer, "choices": [choice], **more}).encode()


def answered(house: House, api: Api, events: list[bytes]) -> Stream:
    """A kept answer that its API calls ``c1``."""
    stream = house.catalogue.create_secret("chat/", api.content_type, Relay.kind)
    for start in range(0, len(events), 1000):
        stream.feed([(DATA, data) for data in events[start : start + 1000]])
    stream.end(EndingKind.COMPLETED)
    stream.alias(alias_of(api, "c1", owner_of([])))
    return stream


@pytest.mark.parametrize("size", [4, 40_000])
def test_a_large_answer_is_put_together_and_sent_without_keeping_others_waiting(size: int) -> None:
    meter = LoopMeter()
    texts = [f"{n % 100:02d}ü" + "x" * size for n in range(12_000 if size < 100 else 300)]

    async def scenario() -> None:
        async with at_home() as house:
            answered(house, CHAT, [chunk(text) for text in texts])
            meter.reset()
            answer = await house.ask("GET", "/v1/chat/completions/c1")
            longest = meter.longest
            assert answer.status == 200
            (choice,) = json.loads(answer.body)["choices"]
            assert choice["message"]["content"] == "".join(texts)
            assert longest < LONGEST_TURN

    metered(meter, scenario())


def test_an_answer_over_the_limit_is_refused_and_can_be_read_as_a_stream() -> None:
    async def scenario(house: House) -> None:
        answered(house, CHAT, [chunk("x" * 1000)] * 1100)
        answer = await house.ask("GET", "/v1/chat/completions/c1")
        assert answer.status == 413
        error = json.loads(answer.body)["error"]
        assert error["code"] == "answer_too_large"
        assert "?stream=true" in error["message"]
        answer = await house.ask("GET", "/v1/chat/completions/c1?stream=true")
        assert answer.status == 200
        assert answer.body.count(b"data: ") == 1101

    asking(scenario, chat=ChatSettings(max_assembled=MIB))


def test_large_answers_that_are_being_sent_are_so_many_and_small_ones_are_always_sent() -> None:
    room = AssemblyRoom(MIB)
    with room.hold(MIB // 2), room.hold(MIB // 2):
        with pytest.raises(TooMany), room.hold(SMALL + 1):
            pass
        with room.hold(SMALL):
            pass
    with room.hold(MIB):
        pass
    with pytest.raises(AnswerTooLarge), room.hold(MIB + 1):
        pass


WORST = {
    "empty lists": b"[],",
    "empty objects": b"{},",
    "small objects": b'{"a":1},',
    "numbers": b"1,",
    "floats": b"1.5,",
    "short texts": '"ü你",'.encode(),
    "text": b'"' + b"x" * 100 + b'",',
}


@pytest.mark.parametrize("shape", WORST)
@pytest.mark.parametrize("api", [CHAT, RESPONSES])
def test_what_an_answer_takes_in_memory_is_at_most_eight_times_its_weight(
    api: Api, shape: str
) -> None:
    values = b"[" + (WORST[shape] * 20_000)[:-1] + b"]"
    if api is CHAT:
        data = b'{"choices":[{"index":0,"delta":{"x":%b}}]}' % values
    else:
        data = b'{"type":"response.created","response":{"output":%b}}' % values
    assembly = ChatAssembly() if api is CHAT else ResponseAssembly()
    tracemalloc.start()
    try:
        assembly.add(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 8 * weight(data)


# --- going on after an answer broke off -------------------------------------------------------

BODY = finish(read_object(b'{"messages":[]}'))


def test_the_request_for_an_answers_rest_is_made_without_keeping_others_waiting() -> None:
    meter = LoopMeter()

    async def scenario() -> None:
        async with at_home() as house:
            stream = answered(house, CHAT, [chunk("x" * 20)] * 12_000)
            meter.reset()
            found = await continuation_of(stream, lambda: Continuing(BODY))
            longest = meter.longest
            assert found is not None
            assert json.loads(found.body.data)["messages"][0]["content"] == "x" * 20 * 12_000
            assert longest < LONGEST_TURN

    metered(meter, scenario())


def test_nobody_goes_on_with_an_answer_that_is_too_long_for_it() -> None:
    async def scenario(house: House) -> None:
        stream = answered(house, CHAT, [chunk("x" * 100_000)] * (LONGEST // 100_000 + 1))
        assert await continuation_of(stream, lambda: Continuing(BODY)) is None

    asking(scenario)
