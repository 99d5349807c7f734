"""GET and HEAD of a stream, where the protocol's own suite does not look."""

from __future__ import annotations

import asyncio
import json

import pytest

from tailrace.config import Settings
from tailrace.log import reading
from tailrace.log.stream import Stream
from tailrace.model import EndingKind, Event
from tailrace.streams import read
from tests.log.harness import Feeder, until
from tests.web.app_harness import (
    CLOSE,
    EVENTS,
    JSON,
    TEXT,
    Answer,
    House,
    asking,
    closed,
    code,
    events_of,
    made,
)

# --- reading --------------------------------------------------------------------------------------


def test_a_stream_is_the_same_at_both_its_addresses() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        await house.ask("POST", "/v1/stream/a", TEXT, b"two")
        here, there = [await house.ask("GET", root + "a") for root in ("/streams/", "/v1/stream/")]
        assert here == there
        assert here.body == b"onetwo"

    asking(scenario)


def test_head_says_where_the_stream_ends_and_no_length() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        head = await house.ask("HEAD", "/streams/a")
        read = await house.ask("GET", "/streams/a")
        assert head.fields["stream-next-offset"] == read.fields["stream-next-offset"]
        assert (head.body, "content-length" in head.fields) == (b"", False)

    asking(scenario)


def test_what_has_not_changed_is_not_sent_again_until_it_is_closed() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        first = await house.ask("GET", "/streams/a")
        again = {"if-none-match": first.fields["etag"]}
        same = await house.ask("GET", "/streams/a", again)
        assert (same.status, same.body, "content-length" in same.fields) == (304, b"", False)
        assert same.fields["etag"] == first.fields["etag"]
        await closed(house, "a")
        after = await house.ask("GET", "/streams/a", again)
        assert (after.status, after.body) == (200, b"one")
        assert after.fields["stream-closed"] == "true"

    asking(scenario)


def test_an_answer_that_said_it_was_all_is_sent_again_when_it_is_not() -> None:
    async def scenario(house: House) -> None:
        # A whole answer's worth: what it holds does not change when more comes.
        await made(house, "a", "x" * 256 * 1024)
        first = await house.ask("GET", "/streams/a")
        assert first.fields["stream-up-to-date"] == "true"
        assert (await house.ask("POST", "/streams/a", TEXT, b"more")).status == 204
        again = await house.ask("GET", "/streams/a", {"if-none-match": first.fields["etag"]})
        assert (again.status, again.body) == (200, first.body)
        assert "stream-up-to-date" not in again.fields

    asking(scenario)


def test_an_etag_of_an_earlier_stream_of_the_name_is_none_of_this_one() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        first = await house.ask("GET", "/streams/a")
        await house.ask("DELETE", "/streams/a")
        await made(house, "a", "two")
        again = await house.ask("GET", "/streams/a", {"if-none-match": first.fields["etag"]})
        assert (again.status, again.body) == (200, b"two")

    asking(scenario)


@pytest.mark.parametrize(("token", "who"), [("", "public"), ("secret-token", "private")])
def test_shared_caches_may_keep_what_is_read_unless_there_is_a_token(token: str, who: str) -> None:
    async def scenario(house: House) -> None:
        fields = {**TEXT, "authorization": f"Bearer {token}"} if token else TEXT
        await made(house, "a", "one", fields=fields)
        for target in ("/streams/a", "/streams/a?offset=-1&live=long-poll"):
            answer = await house.ask("GET", target)
            caching = f"{who}, max-age=60, stale-while-revalidate=300"
            assert answer.fields["cache-control"] == caching

    asking(scenario, settings=Settings(token=token))


def test_what_holds_only_now_is_not_kept() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        now = "/streams/a?offset=now"
        poll = asyncio.ensure_future(house.ask("GET", f"{now}&live=long-poll"))
        stream = await house.catalogue.get("a")
        await until(lambda: stream.watched)
        await house.ask("POST", "/streams/a", TEXT, b"two")
        for answer in (await poll, await house.ask("GET", now)):
            assert answer.fields["cache-control"] == "no-store"
            assert "etag" not in answer.fields
        assert poll.result().body == b"two"

    asking(scenario)


@pytest.mark.parametrize("target", ["", "?offset=now", "?offset=-1&live=long-poll", "?view=text"])
def test_answers_of_models_are_nobodys_to_keep(target: str) -> None:
    async def scenario(house: House) -> None:
        stream = house.catalogue.create_secret("chat/", "application/json", "feeder")
        feeder = Feeder(stream)
        feeder.feed(b'{"a":1}')
        stream.end(EndingKind.COMPLETED)
        for method in ("GET", "HEAD"):
            answer = await house.ask(method, f"/streams/{stream.name}{target}")
            assert answer.status == 200
            assert answer.fields["cache-control"] == "private, no-store"

    asking(scenario)


@pytest.mark.parametrize(
    ("content_type", "sandboxed"),
    [
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("image/svg+xml", True),
        ("application/xhtml+xml", True),
        ("text/javascript", True),
        ("multipart/x-mixed-replace; boundary=x", True),
        ("text/plain", False),
        ("application/json", False),
        ("text/event-stream", False),
        ("image/png", False),
        ('video/mp4; codecs="avc1.42E01E, mp4a.40.2"', False),
        ("application/pdf", False),
        ("application/octet-stream", True),
        ("text/css", True),
        ("made/up", True),
        ("text/plain; x='; y=\"'a, text/html;z=\"", True),
    ],
)
def test_what_is_not_known_to_be_passive_is_shown_without_our_origin(
    content_type: str, sandboxed: bool
) -> None:
    async def scenario(house: House) -> None:
        await house.ask("PUT", "/streams/a", {"content-type": content_type})
        for method in ("GET", "HEAD"):
            fields = (await house.ask(method, "/streams/a")).fields
            assert fields["content-type"] == content_type
            assert fields["x-content-type-options"] == "nosniff"
            assert fields["cross-origin-resource-policy"] == "cross-origin"
            policy = fields.get("content-security-policy", "")
            assert policy.startswith("sandbox") is sandboxed

    asking(scenario)


def test_a_read_that_a_deletion_overtakes_is_not_told_that_the_stream_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_range = reading.read_range

    async def scenario(house: House) -> None:
        async def overtaken(stream: Stream, place: int, limit: int) -> list[Event]:
            events = await read_range(stream, place, limit)
            await house.catalogue.delete(stream.name)
            return events

        monkeypatch.setattr(read, "read_range", overtaken)
        for target in ("/streams/a", "/streams/a?offset=-1&live=long-poll"):
            await made(house, "a", "one")
            answer = await house.ask("GET", target)
            assert (answer.status, code(answer)) == (404, "not_found")
            assert "stream-closed" not in answer.fields

    asking(scenario)


# --- which of the ways to read --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "fields", "kind", "marks"),
    [
        ("", {}, "text/plain", False),
        ("", {"accept": "*/*"}, "text/plain", False),
        ("", EVENTS, "text/event-stream", False),
        ("?offset=-1&live=sse", {}, "text/event-stream", True),
        ("?offset=-1&live=sse", EVENTS, "text/event-stream", True),
        ("?offset=-1&live=long-poll", EVENTS, "text/plain", False),
        ("?view=ndjson", EVENTS, "application/x-ndjson", False),
        ("?offset=-1&live=sse&view=ndjson", {}, "text/event-stream", True),
    ],
)
def test_live_beats_view_and_either_beats_accept(
    query: str, fields: dict[str, str], kind: str, marks: bool
) -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        await closed(house, "a")
        answer = await house.ask("GET", f"/streams/a{query}", fields)
        assert answer.fields["content-type"] == kind
        assert answer.fields["vary"] == "Accept"
        assert (b"event: control" in answer.body) is marks

    asking(scenario)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("live=sse", "bad_request"),
        ("live=long-poll", "bad_request"),
        ("live=&offset=-1", "bad_request"),
        ("live=websocket&offset=-1", "bad_request"),
        ("offset=", "malformed_offset"),
        ("offset=%zz", "malformed_offset"),
        ("offset=-1&offset=-1", "malformed_offset"),
        ("offset=0", "malformed_offset"),
    ],
)
def test_a_read_that_is_none_says_why(query: str, expected: str) -> None:
    async def scenario(house: House) -> None:
        await made(house, "a")
        for root in ("/streams/", "/v1/stream/"):
            answer = await house.ask("GET", f"{root}a?{query}", EVENTS)
            assert (answer.status, code(answer)) == (400, expected)

    asking(scenario)


@pytest.mark.parametrize("query", ["", "?offset=-1", "?offset=-1&live=sse"])
def test_who_has_seen_the_end_is_told_to_stay_away(query: str) -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        await closed(house, "a")
        events = events_of((await house.ask("GET", f"/streams/a{query}", EVENTS)).body)
        last = {**EVENTS, "last-event-id": events[-1]["id"]}
        answer = await house.ask("GET", f"/streams/a{query}", last)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.fields["cache-control"] == "no-store"
        assert answer.fields["stream-closed"] == "true"
        # Without the field that only an EventSource sends, the end is told again.
        offset = f"?offset={events[-1]['id']}"
        assert (await house.ask("GET", f"/streams/a{offset}", EVENTS)).status == 200

    asking(scenario)


def test_the_last_event_seen_counts_more_than_the_offset_in_the_url() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one", "two")
        await closed(house, "a")
        events = events_of((await house.ask("GET", "/streams/a", EVENTS)).body)
        first = next(event["id"] for event in events if event["data"] == "one")
        for query in ("?offset=-1", "?offset=-1&live=sse"):
            fields = {**EVENTS, "last-event-id": first}
            body = (await house.ask("GET", f"/streams/a{query}", fields)).body
            assert b"one" not in body
            assert b"two" in body

    asking(scenario)


def test_an_event_stream_ends_after_its_lifetime_and_goes_on_where_it_ended() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        first = events_of((await house.ask("GET", "/streams/a?offset=-1&live=sse")).body)
        assert [event["event"] for event in first] == ["data", "control"]
        assert "streamClosed" not in json.loads(first[-1]["data"])
        await house.ask("POST", "/streams/a", {**TEXT, **CLOSE}, b"two")
        place = json.loads(first[-1]["data"])["streamNextOffset"]
        assert first[0]["id"] == place
        answer = await house.ask("GET", f"/streams/a?offset={place}&live=sse")
        second = events_of(answer.body)
        assert [event["data"] for event in second if event["event"] == "data"] == ["two"]
        assert json.loads(second[-1]["data"])["streamClosed"] is True

    asking(scenario, settings=Settings(sse_lifetime=0.02))


# --- what is no longer kept -----------------------------------------------------------------------


async def trimmed(house: House) -> tuple[Stream, str]:
    """A stream of four messages of which two are left, and the offset after the first."""
    await made(house, "a", "[1]", "[2]", "[3]", "[4]", fields=JSON)
    stream = await house.catalogue.get("a")
    await closed(house, "a")
    await house.catalogue.trim(stream, 2)
    return stream, str(stream.offset(1))


def test_a_trimmed_stream_begins_with_what_is_left_and_an_older_offset_is_gone() -> None:
    async def scenario(house: House) -> None:
        stream, old = await trimmed(house)
        for query in ("", "?offset=-1", f"?offset={stream.offset(2)}"):
            assert (await house.ask("GET", f"/streams/a{query}")).body == b"[3,4]"
        for mode in ("", "&live=long-poll", "&live=sse", "&view=ndjson"):
            answer = await house.ask("GET", f"/streams/a?offset={old}{mode}")
            assert (answer.status, code(answer)) == (410, "offset_gone")

    asking(scenario)


def test_a_plain_event_source_is_told_how_much_is_missing() -> None:
    async def scenario(house: House) -> None:
        await trimmed(house)
        gap, third, *_ = events_of((await house.ask("GET", "/streams/a", EVENTS)).body)
        assert (gap["event"], json.loads(gap["data"])) == ("gap", {"missing": 2})
        assert third["data"] == "3"
        # Its id is a place to come back to, and then nothing is missing.
        again = await house.ask("GET", "/streams/a", {**EVENTS, "last-event-id": gap["id"]})
        assert events_of(again.body)[0] == third

    asking(scenario)


@pytest.mark.parametrize("query", ["?view=openai", "?view=ndjson", "?offset=-1&live=sse"])
def test_formats_that_have_no_word_for_it_are_not_given_one(query: str) -> None:
    async def scenario(house: House) -> None:
        await trimmed(house)
        body = (await house.ask("GET", f"/streams/a{query}")).body
        assert b"gap" not in body
        assert b"missing" not in body

    asking(scenario)


# --- waiting --------------------------------------------------------------------------------------


def polling(house: House, name: str, leaving: asyncio.Event | None = None) -> asyncio.Task[Answer]:
    target = f"/streams/{name}?offset=now&live=long-poll"
    return asyncio.ensure_future(house.ask("GET", target, leaving=leaving))


def test_only_so_many_may_wait_and_whoever_leaves_makes_room() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a")
        stream = await house.catalogue.get("a")
        left = asyncio.Event()
        first = polling(house, "a", left)
        await until(lambda: stream.watched)
        refused = await polling(house, "a")
        assert (refused.status, code(refused)) == (429, "too_many")
        assert int(refused.fields["retry-after"]) > 0
        # What needs no waiting is not refused.
        assert (await house.ask("GET", "/streams/a")).status == 200
        left.set()
        assert (await first).status == 0
        assert house.lines[-1].endswith(" left")
        second = polling(house, "a")
        await until(lambda: stream.watched)
        await house.ask("POST", "/streams/a", TEXT, b"one")
        assert (await second).body == b"one"

    asking(scenario, settings=Settings(max_long_polls=1))


def test_a_poll_without_news_says_so_and_where_to_go_on() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        answer = await polling(house, "a")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.fields["stream-up-to-date"] == "true"
        assert answer.fields["stream-cursor"].isdigit()
        assert answer.fields["cache-control"] == "no-store"
        assert "content-type" not in answer.fields

    asking(scenario, settings=Settings(long_poll_timeout=0.01))


def test_a_poll_ends_at_once_when_the_server_goes_away() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a")
        stream = await house.catalogue.get("a")
        poll = polling(house, "a")
        await until(lambda: stream.watched)
        await house.app.drain(5)
        assert (await poll).status == 204
        refused = await house.ask("GET", "/streams/a")
        assert (refused.status, code(refused)) == (503, "shutting_down")

    asking(scenario)


def test_a_poll_on_a_stream_that_is_deleted_learns_that() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a")
        stream = await house.catalogue.get("a")
        poll = polling(house, "a")
        await until(lambda: stream.watched)
        await house.ask("DELETE", "/streams/a")
        assert code(await poll) == "not_found"

    asking(scenario)
