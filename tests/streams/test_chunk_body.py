"""The body of a catch-up holds a place and no events, and is whole or cut."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tailrace.errors import NotFound
from tailrace.log.cursor import SLICE
from tailrace.log.reading import read_range
from tailrace.log.stream import Stream
from tailrace.model import DATA, ERROR
from tailrace.streams.chunk_body import ChunkBody
from tests.web.app_harness import JSON, TEXT, House, asking, made

JSON_TYPE, TEXT_TYPE = "application/json", "text/plain"
Records = list[tuple[str, bytes]]


def text(size: int) -> bytes:
    return json.dumps("x" * (size - 2)).encode()


RECORDS: dict[str, Records] = {
    "nothing": [],
    "a remark alone": [(ERROR, b"no")],
    "one small": [(DATA, b"1")],
    "many small": [(DATA, b"%d" % n) for n in range(30_000)],
    "a slice": [(DATA, text(SLICE))],
    "a byte more than a slice": [(DATA, text(SLICE + 1))],
    "two slices and no more": [(DATA, text(2 * SLICE))],
    "small beside large": [(DATA, b"1"), (DATA, text(3 * SLICE + 5)), (DATA, b"2")],
    "large beside large": [(DATA, text(SLICE * 2 + 1)), (DATA, text(SLICE * 2 - 1))],
    "remarks around": [(ERROR, b"no"), (DATA, text(2 * SLICE)), (ERROR, b"no"), (DATA, b"3")],
    "a remark last": [(DATA, b"1"), (ERROR, b"no")],
    "a large remark": [(DATA, b"1"), (ERROR, b"x" * 3 * SLICE), (DATA, b"2")],
}


async def stream_of(house: House, content_type: str, records: Records) -> Stream:
    stream = await house.catalogue.create("s", content_type)
    if records:
        await stream.append(records)
    return stream


@pytest.mark.parametrize("content_type", [JSON_TYPE, TEXT_TYPE])
@pytest.mark.parametrize("shape", RECORDS)
def test_a_body_is_the_data_between_two_places(shape: str, content_type: str) -> None:
    async def scenario(house: House) -> None:
        records = RECORDS[shape]
        stream = await stream_of(house, content_type, records)
        data = [piece for kind, piece in records if kind == DATA]
        whole = b"".join(data)
        if content_type == JSON_TYPE:
            whole = b"[%b]" % b",".join(data)
        body = ChunkBody(stream, 0, await read_range(stream, 0, 1 << 30) if records else [])
        if shape != "many small":  # of which one read does not give all
            assert body.length == len(whole)
        found = [piece async for piece in pieces(body)]
        assert whole.startswith(b"".join(found)[:-1])
        assert sum(map(len, found)) == body.length
        assert max(map(len, found), default=0) <= SLICE + len("[],") + len(data)
        assert await body.next() == b""

    asking(scenario)


async def pieces(body: ChunkBody) -> AsyncIterator[bytes]:
    while piece := await body.next():
        yield piece


def test_every_part_of_a_stream_is_read_back_from_any_place() -> None:
    async def scenario(house: House) -> None:
        records = RECORDS["small beside large"]
        await made(house, "s", *(data.decode() for _, data in records), fields=JSON)
        offsets = ["-1"]
        for _ in records:
            answer = await house.ask("GET", f"/streams/s?offset={offsets[-1]}")
            offsets.append(answer.fields["stream-next-offset"])
            if "stream-up-to-date" in answer.fields:
                break
        whole = [json.loads(data) for _, data in records]
        answer = await house.ask("GET", "/streams/s?offset=-1")
        assert json.loads(answer.body) == whole
        assert answer.fields["content-length"] == str(len(answer.body))

    asking(scenario)


def test_what_is_deleted_while_it_is_sent_is_cut_and_never_looks_whole() -> None:
    async def scenario(house: House) -> None:
        stream = await stream_of(house, TEXT_TYPE, [(DATA, text(5 * SLICE))])
        body = ChunkBody(stream, 0, await read_range(stream, 0, 1))
        sent = [await body.next(), await body.next()]
        await house.catalogue.delete("s")
        with pytest.raises(NotFound):
            await body.next()
        assert sum(map(len, sent)) < body.length

    asking(scenario)


def test_events_that_come_meanwhile_are_not_in_a_body_that_was_announced() -> None:
    async def scenario(house: House) -> None:
        await made(house, "s", "a", "b", fields=TEXT)
        stream = await house.catalogue.get("s")
        body = ChunkBody(stream, 0, await read_range(stream, 0, 100))
        await stream.append([(DATA, b"c")])
        assert [piece async for piece in pieces(body)] == [b"ab"]
        assert stream.visible == 3

    asking(scenario)
