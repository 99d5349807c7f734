"""The list of streams."""

from __future__ import annotations

import json

from tests.web.app_harness import House, asking


async def listed(h: House) -> dict[str, object]:
    answer = await h.ask("GET", "/streams")
    assert answer.status == 200
    (described,) = json.loads(answer.body)["streams"]
    assert isinstance(described, dict)
    return described


def test_what_is_noted_of_a_stream_is_listed_where_it_is_json() -> None:
    async def test(h: House) -> None:
        stream = await h.catalogue.create("s", "text/plain")
        assert "note" not in await listed(h)
        for note in (b'{"model": "m", "n": [1, null]}', b"[]", b'"\\ud800"'):
            stream.note(note)
            assert (await listed(h))["note"] == json.loads(note)
        for note in (b"", b"{", b"NaN", b"\xff", b"[" * 100_000, b"1" * 5000, b"{} {}"):
            stream.note(note)
            assert "note" not in await listed(h)

    asking(test)
