"""What requests for a stream are answered, beyond what the protocol's own suite judges."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tailrace.config import Settings
from tailrace.log.stream import Stream
from tailrace.model import DATA, EndingKind, Event
from tailrace.server.routes import mounted
from tests.log.harness import Feeder, until
from tests.server.app_harness import Answer, House, asking

TEXT = {"content-type": "text/plain"}
JSON = {"content-type": "application/json"}
EVENTS = {"accept": "text/event-stream"}
CLOSE = {"stream-closed": "true"}


def code(answer: Answer) -> str:
    assert answer.fields["content-type"] == "application/problem+json"
    found = json.loads(answer.body)["code"]
    assert isinstance(found, str)
    return found


def events_of(body: bytes) -> list[dict[str, str]]:
    blocks = [block for block in body.decode().split("\n\n") if block]
    return [dict(re.findall(r"^(\w+): ?(.*)$", block, re.M)) for block in blocks]


async def made(house: House, name: str, *bodies: str, fields: dict[str, str] = TEXT) -> None:
    assert (await house.ask("PUT", f"/streams/{name}", fields)).status == 201
    for body in bodies:
        answer = await house.ask("POST", f"/streams/{name}", fields, body.encode())
        assert answer.status == 204


async def closed(house: House, name: str) -> None:
    assert (await house.ask("POST", f"/streams/{name}", CLOSE)).status == 204


# --- reading ----------------------------------------------------------------------------------


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
        ("application/pdf", False),
        ("application/octet-stream", False),
    ],
)
def test_what_a_browser_would_run_is_shown_without_our_origin(
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
    read = Stream.range

    async def scenario(house: House) -> None:
        async def overtaken(self: Stream, place: int, limit: int) -> list[Event]:
            events = await read(self, place, limit)
            await house.catalogue.delete(self.name)
            return events

        monkeypatch.setattr(Stream, "range", overtaken)
        for target in ("/streams/a", "/streams/a?offset=-1&live=long-poll"):
            await made(house, "a", "one")
            answer = await house.ask("GET", target)
            assert (answer.status, code(answer)) == (404, "not_found")
            assert "stream-closed" not in answer.fields

    asking(scenario)


# --- which of the ways to read ----------------------------------------------------------------


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


# --- what is no longer kept -------------------------------------------------------------------


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


# --- waiting ----------------------------------------------------------------------------------


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


# --- writing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (JSON, b"not json"),
        (JSON, b"[]"),
        (TEXT, b"another type"),
        ({**JSON, **CLOSE}, b"[2]"),
    ],
)
def test_that_it_is_closed_comes_before_all_else_that_is_wrong(
    fields: dict[str, str], body: bytes
) -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "[1]", fields=JSON)
        await closed(house, "a")
        tail = (await house.ask("HEAD", "/streams/a")).fields["stream-next-offset"]
        answer = await house.ask("POST", "/streams/a", fields, body)
        assert (answer.status, code(answer)) == (409, "stream_closed")
        assert answer.fields["stream-closed"] == "true"
        assert answer.fields["stream-next-offset"] == tail

    asking(scenario)


def test_a_body_over_the_limit_leaves_nothing_behind() -> None:
    async def scenario(house: House) -> None:
        refused = await house.ask("PUT", "/streams/b", TEXT, b"x" * 1001)
        assert (refused.status, code(refused)) == (413, "body_too_large")
        assert (await house.ask("GET", "/streams/b")).status == 404
        await made(house, "a", "x" * 1000)
        assert (await house.ask("POST", "/streams/a", TEXT, b"x" * 1001)).status == 413
        assert len((await house.ask("GET", "/streams/a")).body) == 1000

    asking(scenario, settings=Settings(max_body=1000))


def test_there_are_only_so_many_streams_and_deleting_makes_room() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a")
        refused = await house.ask("PUT", "/streams/b", TEXT)
        assert (refused.status, code(refused)) == (429, "too_many")
        assert int(refused.fields["retry-after"]) > 0
        assert (await house.ask("PUT", "/streams/a", TEXT)).status == 200
        await house.ask("DELETE", "/streams/a")
        await made(house, "b")

    asking(scenario, settings=Settings(max_streams=1))


def test_a_stream_with_a_source_is_stopped_and_not_written_to() -> None:
    async def scenario(house: House) -> None:
        stream = house.catalogue.create_secret("chat/", "application/json", "feeder")
        feeder = Feeder(stream)
        feeder.feed(b"1")
        url = f"/v1/stream/{stream.name}"
        for fields in (JSON, {**JSON, **CLOSE}):
            refused = await house.ask("POST", url, fields, b"[2]")
            assert (refused.status, code(refused)) == (409, "stream_has_source")
        stopped = await house.ask("POST", url, CLOSE)
        assert (stopped.status, stopped.fields["stream-closed"]) == (204, "true")
        assert stopped.fields["stream-ending"] == "cancelled"
        assert (await house.ask("POST", url, CLOSE)).status == 204
        assert (await house.ask("GET", url)).body == b"[1]"

    asking(scenario)


@pytest.mark.parametrize("body", [b"", b"more"])
def test_what_was_deleted_cannot_be_forked_with_a_body_or_without(body: bytes) -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "one")
        fork = {"stream-forked-from": "/streams/a"}
        assert (await house.ask("PUT", "/streams/keeps", fork)).status == 201
        await house.ask("DELETE", "/streams/a")
        assert code(await house.ask("GET", "/streams/a")) == "stream_deleted"
        refused = await house.ask("PUT", "/streams/b", fork, body)
        assert (refused.status, code(refused)) == (409, "stream_exists")

    asking(scenario)


def test_a_fork_of_another_type_is_refused_for_that_whatever_its_body() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "[1]", fields=JSON)
        fork = {**TEXT, "stream-forked-from": "/v1/stream/a"}
        refused = await house.ask("PUT", "/streams/b", fork, b"not json")
        assert (refused.status, code(refused)) == (409, "content_type_mismatch")

    asking(scenario)


def test_a_fork_goes_on_with_its_own_body() -> None:
    async def scenario(house: House) -> None:
        await made(house, "a", "[1]", fields=JSON)
        fork = {"stream-forked-from": "/v1/stream/a"}
        assert (await house.ask("PUT", "/streams/b", fork, b"[2,3]")).status == 201
        assert (await house.ask("GET", "/streams/b")).body == b"[1,2,3]"
        assert (await house.ask("GET", "/streams/a")).body == b"[1]"

    asking(scenario)


@pytest.mark.parametrize("name", ["chat", "chat/x"])
def test_names_of_answers_are_not_to_be_had(name: str) -> None:
    async def scenario(house: House) -> None:
        refused = await house.ask("PUT", f"/v1/stream/{name}", TEXT)
        assert (refused.status, code(refused)) == (403, "forbidden")

    asking(scenario)


def test_a_long_body_becomes_events_of_whole_characters() -> None:
    async def scenario(house: House) -> None:
        text = "漢" * 100_000
        await made(house, "a", text)
        stream = await house.catalogue.get("a")
        events = await stream.range(0, 1_000_000)
        assert len(events) > 1
        assert {event.type for event in events} == {DATA}
        assert "".join(event.data.decode() for event in events) == text

    asking(scenario)


# --- mounted, and logged ----------------------------------------------------------------------


def test_under_a_mount_every_url_and_every_path_has_it() -> None:
    async def scenario(house: House) -> None:
        put = await house.ask("PUT", "/app/streams/a", TEXT, b"one", root="/app")
        assert put.fields["location"].endswith("/app/streams/a")
        fork = {"stream-forked-from": "/app/v1/stream/a"}
        assert (await house.ask("PUT", "/app/streams/b", fork, root="/app")).status == 201
        listing = json.loads((await house.ask("GET", "/app/streams", root="/app")).body)
        assert [s["url"] for s in listing["streams"]] == ["/app/streams/b", "/app/streams/a"]

    asking(scenario)


def test_a_mounted_stream_named_like_a_model_api_has_problems_of_streams() -> None:
    async def scenario(house: House) -> None:
        answer = await house.ask("GET", "/app/v1/nothing", root="/app")
        assert (answer.status, code(answer)) == (404, "not_found")

    asking(scenario, table=mounted(writable=True))


def test_the_log_knows_the_route_and_not_the_name() -> None:
    async def scenario(house: House) -> None:
        for root in ("/streams/", "/v1/stream/"):
            await house.ask("PUT", f"{root}private-name?x=private-query", TEXT)
            assert f" {root}{{name}} " in house.lines[-1]
            await house.ask("GET", f"{root}chat/private-name")
            assert f" {root}chat/{{id}} " in house.lines[-1]
        assert "private" not in "".join(house.lines)

    asking(scenario)
