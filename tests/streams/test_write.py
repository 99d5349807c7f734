"""PUT, POST and DELETE of a stream, mounts and the log, where the suite does not look."""

from __future__ import annotations

import json

import pytest

from tailrace.config import Settings
from tailrace.log.reading import read_range
from tailrace.model import DATA
from tests.log.harness import Feeder
from tests.web.app_harness import CLOSE, JSON, TEXT, House, asking, closed, code, made

# --- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (JSON, b"not json"),
        (JSON, b"[]"),
        (TEXT, b"another type"),
        ({**JSON, **CLOSE}, b"[2]"),
        ({}, b"no type"),
        ({"content-type": "no type"}, b"[2]"),
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


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; x=y, text/html",
        "text/plain, text/html",
        'text/plain; x="y',
        'text/plain; x="y"z',
        "text/plain; x",
        "text/plain; x\x01=y",
        "text",
        "text/plain text/html",
        f"text/plain; x={'y' * 256}",
    ],
)
def test_what_is_no_media_type_makes_no_stream_and_is_refused_in_one_sentence(
    content_type: str,
) -> None:
    async def scenario(house: House) -> None:
        refused = await house.ask("PUT", "/streams/a", {"content-type": content_type}, b"x")
        assert (refused.status, code(refused)) == (400, "bad_request")
        assert "Content-Type must" in json.loads(refused.body)["detail"]
        assert (await house.ask("GET", "/streams/a")).status == 404
        await made(house, "a")
        refused = await house.ask("POST", "/streams/a", {"content-type": content_type}, b"x")
        assert (refused.status, code(refused)) == (400, "bad_request")

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
        events = await read_range(stream, 0, 1_000_000)
        assert len(events) > 1
        assert {event.type for event in events} == {DATA}
        assert "".join(event.data.decode() for event in events) == text

    asking(scenario)


# --- mounted, and logged --------------------------------------------------------------------------


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

    asking(scenario, is_mount=True)


def test_the_log_knows_the_route_and_not_the_name() -> None:
    async def scenario(house: House) -> None:
        for root in ("/streams/", "/v1/stream/"):
            await house.ask("PUT", f"{root}private-name?x=private-query", TEXT)
            assert f" {root}{{name}} " in house.lines[-1]
            await house.ask("GET", f"{root}chat/private-name")
            assert f" {root}chat/{{id}} " in house.lines[-1]
        assert "private" not in "".join(house.lines)

    asking(scenario)
