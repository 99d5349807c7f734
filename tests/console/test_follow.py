"""What may be asked of /page/follow, and by whom."""

from __future__ import annotations

import json

import pytest

from tailrace.config import Settings
from tailrace.console.follow import MAX_STREAMS
from tailrace.wire.names import MAX_BYTES
from tests.e2e.harness import SseEvent, sse_events
from tests.web.app_harness import JSON, House, asking, code

OWN = {"origin": "http://127.0.0.1:80", "sec-fetch-site": "same-origin"}


async def followed(h: House, *streams: tuple[str, str]) -> list[SseEvent]:
    wish = {"streams": [{"name": name, "offset": offset} for name, offset in streams]}
    answer = await h.ask("POST", "/page/follow", JSON, json.dumps(wish).encode())
    assert answer.status == 200
    assert answer.fields["content-type"] == "text/event-stream"
    return sse_events(answer.body)


@pytest.mark.parametrize(
    "wish",
    [
        b"",
        b"[]",
        b'{"streams": {}}',
        b'{"streams": ["chat/1"]}',
        b'{"streams": [{"offset": "-1"}]}',
        b'{"streams": [{"name": 1}]}',
        b'{"streams": [{"name": "a", "offset": null}]}',
        b'{"streams": [{"name": "a"}, {"name": "a"}]}',
        b'{"overview": 1}',
        json.dumps({"streams": [{"name": str(n)} for n in range(MAX_STREAMS + 1)]}).encode(),
    ],
)
def test_what_is_no_wish_is_refused(wish: bytes) -> None:
    async def test(h: House) -> None:
        answer = await h.ask("POST", "/page/follow", JSON, wish)
        assert (answer.status, code(answer)) == (400, "bad_request")

    asking(test)


def test_what_cannot_be_followed_is_said_and_the_rest_is_followed() -> None:
    async def test(h: House) -> None:
        await h.ask("PUT", "/streams/mine", JSON | {"stream-closed": "true"}, b"[1]")
        (first, *_) = await followed(h, ("mine", "-1"))
        older = json.loads(first.data)["offset"]
        await h.ask("DELETE", "/streams/mine")
        await h.ask("PUT", "/streams/mine", JSON | {"stream-closed": "true"}, b"[2]")
        await h.ask("PUT", "/streams/other", JSON | {"stream-closed": "true"}, b"[3]")
        longest = "\U0001f600" * (MAX_BYTES // 4)
        events = await followed(
            h,
            ("none", "-1"),
            ("mine", older),
            ("other", "0"),
            ("\ud800", "-1"),
            ("a//b", "-1"),
            (longest, "-1"),
            (longest + "x", "-1"),
        )
        gone = [json.loads(event.data) for event in events]
        assert {event.type for event in events} == {"gone"}
        assert [each["code"] for each in gone] == [
            "not_found",
            "offset_gone",
            "malformed_offset",
            "malformed_name",
            "malformed_name",
            "not_found",
            "malformed_name",
        ]
        assert gone[0] == {"name": "none", "code": "not_found"}
        kinds = [event.type for event in await followed(h, ("none", "-1"), ("other", "-1"))]
        assert kinds == ["gone", "stream", "message", "end"]

    asking(test)


def test_a_stream_is_introduced_before_its_events() -> None:
    async def test(h: House) -> None:
        await h.ask("PUT", "/streams/b", {"content-type": "image/png", "stream-closed": "true"})
        await h.ask("PUT", "/streams/j", JSON | {"stream-closed": "true"}, b"[1,2]")
        binary, first, *rest = await followed(h, ("b", "-1"), ("j", "-1"))
        assert json.loads(binary.data)["encoding"] == "base64"
        described = json.loads(first.data)
        info = (await h.catalogue.get("j")).info
        assert described == {
            "name": "j",
            "generation": info.generation,
            "content_type": "application/json",
            "created": info.created,
            "offset": str(info.offset(0)),
        }
        seen = rest[0] if rest[0].type == "message" else rest[1]
        assert seen.id == str(info.offset(1))
        again = await followed(h, ("j", seen.id))
        assert json.loads(again[0].data)["offset"] == seen.id
        assert [event.data for event in again if event.type == "message"] == ["2"]
        # Whoever knows the ending is told it once more, and nothing else.
        ended = await followed(h, ("j", again[-1].id))
        assert [event.type for event in ended] == ["stream", "end"]
        assert ended[-1] == again[-1]

    asking(test)


def test_what_is_no_longer_kept_is_counted() -> None:
    async def test(h: House) -> None:
        await h.ask("PUT", "/streams/t", JSON | {"stream-closed": "true"}, b"[1,2,3]")
        stream = await h.catalogue.get("t")
        await h.catalogue.trim(stream, 2)
        events = await followed(h, ("t", "-1"))
        assert [event.type for event in events] == ["stream", "gap", "message", "end"]
        assert json.loads(events[1].data) == {"missing": 2}
        (gone,) = await followed(h, ("t", str(stream.offset(1))))
        assert json.loads(gone.data)["code"] == "offset_gone"

    asking(test)


@pytest.mark.parametrize("token", ["", "t" * 32])
@pytest.mark.parametrize(
    ("fields", "bare", "shown"),
    [
        ({}, 200, 200),
        (OWN, 200, 200),
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, 403, 403),
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}, 403, 403),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, 403, 403),
        ({"host": "evil.example"}, 421, 421),
        # A page that may ask, and may not manage without a token.
        ({"origin": "https://friend.example", "sec-fetch-site": "cross-site"}, 403, 200),
    ],
)
def test_only_our_own_page_and_programs_may(
    token: str, fields: dict[str, str], bare: int, shown: int
) -> None:
    async def test(h: House) -> None:
        answer = await h.ask("POST", "/page/follow", JSON | fields, b"{}")
        if not token:
            assert answer.status == bare
            return
        known = {"authorization": f"Bearer {token}"}
        with_it = await h.ask("POST", "/page/follow", JSON | fields | known, b"{}")
        assert with_it.status == shown
        assert answer.status == (401 if shown == 200 else shown)

    asking(test, settings=Settings(token=token), cors_origins=("https://friend.example",))
