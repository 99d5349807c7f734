"""A stream that a request names elsewhere than in its path is read by who may read it, alone.

The application around this one lets everybody manage here, and a page of another site read nothing.
"""

from __future__ import annotations

import json

from tailrace.contracts import Right
from tests.web.app_harness import CLOSE, JSON, TEXT, House, asking, code

ELSEWHERE = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
MANAGED = frozenset({Right.MANAGE})


async def make(h: House) -> None:
    answer = await h.ask("PUT", "/streams/a", TEXT | CLOSE, b"private")
    assert answer.status == 201


def test_a_fork_reads_what_it_forks() -> None:
    async def test(h: House) -> None:
        await make(h)
        fork = {"stream-forked-from": "/streams/a"}
        refused = await h.ask("PUT", "/streams/b", ELSEWHERE | fork)
        assert (refused.status, code(refused)) == (403, "forbidden")
        assert (await h.ask("GET", "/streams/b")).status == 404
        assert (await h.ask("PUT", "/streams/b", fork)).status == 201

    asking(test, judged=MANAGED)


def test_a_page_follows_what_it_may_read() -> None:
    async def test(h: House) -> None:
        await make(h)
        wish = json.dumps({"streams": [{"name": "a", "offset": "-1"}]}).encode()
        refused = await h.ask("POST", "/page/follow", JSON | ELSEWHERE, wish)
        assert b'"code": "forbidden"' in refused.body
        assert b"private" not in refused.body
        assert b"private" in (await h.ask("POST", "/page/follow", JSON, wish)).body

    asking(test, judged=MANAGED)


def test_a_list_shows_what_the_requester_may_read_and_still_has_all_its_pages() -> None:
    async def listed(h: House, target: str, fields: dict[str, str]) -> tuple[list[str], str | None]:
        page = json.loads((await h.ask("GET", target, fields)).body)
        return [stream["name"] for stream in page["streams"]], page["next"]

    async def test(h: House) -> None:
        for name in ("a", "b", "c"):
            await h.ask("PUT", f"/streams/{name}", TEXT)
        names, following = await listed(h, "/streams?limit=2", {})
        assert names == ["c", "b"]
        hidden, before = await listed(h, "/streams?limit=2", ELSEWHERE)
        assert (hidden, before) == ([], following)
        assert await listed(h, f"/streams?limit=2&before={before}", ELSEWHERE) == ([], None)

    asking(test, judged=MANAGED)
