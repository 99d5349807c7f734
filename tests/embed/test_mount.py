"""The protocol below a path of another application, and its handlers' responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tailrace import Streams, TailraceError
from tailrace.embed.starlette import problem_response

TEXT = {"content-type": "text/plain"}


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as http:
        yield http


async def closed(streams: Streams, name: str, *texts: str) -> str:
    """A stream of these events that has ended; the offset of the first."""
    handle = await streams.create(name)
    first, *_ = [await handle.append(text) for text in texts]
    await handle.close()
    return first


def mounted(
    scenario: Callable[[Streams, httpx.AsyncClient], Awaitable[None]], **options: Any
) -> None:
    async def main() -> None:
        streams = Streams("memory:", mount="/live", **options)
        app = Starlette(routes=[Mount("/live", streams)])
        async with streams, client(app) as http:
            await scenario(streams, http)

    asyncio.run(main())


def test_a_mount_reads_in_every_mode_and_writes_in_none() -> None:
    async def scenario(streams: Streams, http: httpx.AsyncClient) -> None:
        first = await closed(streams, "a/ü", "one", "two")
        url = (await streams.get("a/ü")).url
        assert url == "/live/a/%C3%BC"
        assert (await http.get(url)).text == "onetwo"
        assert (await http.get(url, params={"offset": first})).text == "two"
        assert (await http.head(url)).headers["stream-closed"] == "true"
        polled = await http.get(url, params={"live": "long-poll", "offset": first})
        assert polled.text == "two"
        events = await http.get(url, headers={"accept": "text/event-stream"})
        assert events.text.endswith('data: {"ending": "completed", "reason": ""}\n\n')
        for method in ("PUT", "POST", "DELETE"):
            refused = await http.request(method, url, headers=TEXT, content=b"x")
            assert refused.status_code == 405
            assert refused.headers["allow"] == "GET, HEAD"
        assert (await http.get("/live/")).status_code == 404
        assert (await http.get("/live/b")).status_code == 404

    mounted(scenario)


def test_a_writable_mount_makes_appends_forks_lists_and_deletes() -> None:
    async def scenario(streams: Streams, http: httpx.AsyncClient) -> None:
        made = await http.put("/live/a", headers=TEXT, content=b"one")
        assert made.status_code == 201
        assert made.headers["location"] == "http://app.test/live/a"
        assert (await http.post("/live/a", headers=TEXT, content=b"two")).status_code == 204
        fork = await http.put("/live/b", headers={**TEXT, "stream-forked-from": "/live/a"})
        assert fork.status_code == 201
        assert (await http.get("/live/b")).text == "onetwo"
        listed = (await http.get("/live/")).json()["streams"]
        assert [stream["url"] for stream in listed] == ["/live/b", "/live/a"]
        assert (await http.delete("/live/b")).status_code == 204
        assert [event.text for event in await (await streams.get("a")).read()] == ["one", "two"]

    mounted(scenario, writable=True)


def test_pages_of_other_origins_write_only_where_a_guard_lets_them() -> None:
    foreign = {**TEXT, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    own = {**TEXT, "origin": "http://app.test", "sec-fetch-site": "same-origin"}

    async def unguarded(streams: Streams, http: httpx.AsyncClient) -> None:
        await closed(streams, "a", "one")
        assert (await http.get("/live/a", headers=foreign)).status_code == 200
        assert (await http.put("/live/b", headers=foreign)).status_code == 403
        assert (await http.put("/live/b", headers=own)).status_code == 201

    mounted(unguarded, writable=True)

    async def guarded(_: Streams, http: httpx.AsyncClient) -> None:
        assert (await http.put("/live/b", headers=foreign)).status_code == 403
        foreign["authorization"] = "Bearer of-the-app"
        assert (await http.put("/live/b", headers=foreign)).status_code == 201
        assert (await http.get("/live/b")).status_code == 403

    async def knows(scope: MutableMapping[str, Any]) -> bool:
        return Request(scope).headers.get("authorization") == "Bearer of-the-app"

    mounted(guarded, writable=True, guard=knows)


def test_cors_is_the_applications_or_ours() -> None:
    page = {"origin": "https://page.example"}

    async def ours(streams: Streams, http: httpx.AsyncClient) -> None:
        await closed(streams, "a", "one")
        answer = await http.get("/live/a", headers=page)
        assert answer.headers["access-control-allow-origin"] == page["origin"]
        asked = {**page, "access-control-request-method": "GET"}
        assert (await http.options("/live/a", headers=asked)).status_code == 204

    mounted(ours, cors_origins=[page["origin"]])

    async def theirs() -> None:
        streams = Streams("memory:")
        cors = Middleware(CORSMiddleware, allow_origins=[page["origin"]])
        app = Starlette(routes=[Mount("/streams", streams)], middleware=[cors])
        async with streams, client(app) as http:
            await closed(streams, "a", "one")
            answer = await http.get("/streams/a", headers=page)
            assert answer.headers.get_list("access-control-allow-origin") == [page["origin"]]

    asyncio.run(theirs())


def test_a_mount_below_a_mount_knows_its_place() -> None:
    async def main() -> None:
        streams = Streams("memory:", writable=True)

        async def again(_: Request) -> Response:
            return streams.response(await streams.get("a"))

        inner = Starlette(routes=[Mount("/streams", streams), Route("/again", again)])
        outer = Starlette(routes=[Mount("/api", inner)])
        async with streams, client(outer) as http:
            made = await http.put("/api/streams/a", headers={**TEXT, "stream-closed": "true"})
            assert made.headers["location"] == "http://app.test/api/streams/a"
            assert (await http.get("/api/streams/a")).status_code == 200
            assert (await http.get("/api/again")).status_code == 200

    asyncio.run(main())


def test_without_an_opening_it_says_what_to_do() -> None:
    async def main() -> None:
        app = Starlette(routes=[Mount("/streams", Streams("memory:"))])
        async with client(app) as http:
            with pytest.raises(RuntimeError, match="lifespan"):
                await http.get("/streams/a")

    asyncio.run(main())


def test_a_websocket_is_refused() -> None:
    async def main() -> None:
        streams = Streams("memory:")
        async with streams:
            app = Starlette(routes=[Mount("/streams", streams)])
            scope = {"type": "websocket", "path": "/streams/a", "headers": [], "query_string": b""}
            sent: list[MutableMapping[str, Any]] = []

            async def send(message: MutableMapping[str, Any]) -> None:
                sent.append(message)

            async def receive() -> MutableMapping[str, Any]:
                return {"type": "websocket.connect"}

            await app(scope, receive, send)
            assert [message["type"] for message in sent] == ["websocket.close"]

    asyncio.run(main())


# --- responses --------------------------------------------------------------------------------


def test_a_handlers_response_is_that_of_the_stream_with_what_the_handler_adds() -> None:
    async def main() -> None:
        streams = Streams("memory:")
        app = FastAPI(exception_handlers={TailraceError: problem_response})
        app.mount("/streams", streams)
        done: list[str] = []

        async def finish() -> None:
            done.append("yes")

        @app.api_route("/answer/{name}", methods=["GET", "HEAD", "POST"])
        async def answer(name: str) -> Response:
            response = streams.response(await streams.get(name))
            response.set_cookie("seen", name)
            response.background = BackgroundTask(finish)
            return response

        async with streams, client(app) as http:
            first = await closed(streams, "a", "one", "two")
            for method in ("GET", "POST"):
                whole = await http.request(method, "/answer/a")
                assert whole.headers["content-type"] == "text/event-stream"
                assert whole.headers["content-location"] == "/streams/a"
                assert whole.cookies["seen"] == "a"
                assert whole.text.count("\ndata: ") == 3
            rest = await http.get("/answer/a", headers={"last-event-id": first})
            assert "data: one" not in rest.text
            assert "data: two" in rest.text
            assert (await http.get("/answer/a?view=text")).text == "onetwo"
            assert (await http.get(f"/answer/a?view=text&offset={first}")).text == "two"
            assert (await http.head("/answer/a")).headers["stream-closed"] == "true"
            assert len(done) == 6
            missing = await http.get("/answer/b")
            assert (missing.status_code, missing.json()["code"]) == (404, "not_found")

    asyncio.run(main())


def test_the_view_that_a_handler_names_is_for_clients_that_name_none() -> None:
    async def main() -> None:
        streams = Streams("memory:")

        async def answer(_: Request) -> Response:
            return streams.response(await streams.get("a"), view="text")

        app = Starlette(routes=[Route("/answer", answer)])
        async with streams, client(app) as http:
            await closed(streams, "a", "one")
            assert (await http.get("/answer")).text == "one"
            ndjson = await http.get("/answer?view=ndjson")
            assert ndjson.headers["content-type"] == "application/x-ndjson"
            events = await http.get("/answer", headers={"accept": "text/event-stream"})
            assert events.headers["content-type"] == "text/event-stream"

    asyncio.run(main())
