"""Paths that may be passed on, and a client's body as an upload."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, MutableMapping
from typing import Any

import pytest

from tailrace.chat.passthrough import ClientUpload, upstream_path
from tailrace.errors import BadRequest, BodyTooLarge
from tailrace.web.bodies import ClientGone, peek_model
from tailrace.wire.slices import finish

END = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


def some(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": True}


class Client:
    """ASGI ``receive`` that gives these messages, and then waits."""

    def __init__(self, *messages: MutableMapping[str, Any]) -> None:
        self.left = list(messages)

    async def receive(self) -> MutableMapping[str, Any]:
        if not self.left:
            await asyncio.Event().wait()
        return self.left.pop(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 10))


# --- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/files",
        "/files/",
        "/files/file-abc/content",
        "/models/meta-llama%2FLlama-3.1-8B",
        "/files/50%25%20off.txt",
        "/files/%E4%BD%A0",
        "/.well-known",
        "/files/a..b",
        "/files/...",
        "/models/ft:gpt-4o-mini:acme::7p4lURel",
    ],
)
def test_a_path_is_passed_on_as_it_is(path: str) -> None:
    assert upstream_path(f"/v1{path}") == path


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/../admin",
        "/./admin",
        "/files/..",
        "/files/%2e%2e/admin",
        "/files/.%2E/admin",
        "/files/..%2fadmin",
        "/files%2f..%2fadmin",
        "/files/..%5Cadmin",
        "/files/..\\admin",
        "/files/%252e%252e/admin",
        "/files/%25252e",
        "/..;/admin",
        "/files/..;a=b/admin",
        "//evil.example",
        "/files//a",
        "/files/%2Fa",
        "/files//",
        "/files/%00",
        "/files/%0d%0aa",
        "/files/%7f",
        "/files/%",
        "/files/%2",
        "/files/%zz",
        "/files/%" + "25" * 20_000 + "2e",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(BadRequest):
        upstream_path(f"/v1{path}")


# --- the model --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model":"m","input":["a"]}', "m"),
        (b'{"model":7}', ""),
        (b'{"input":"a"}', ""),
        (b"[1]", ""),
        (b"{", ""),
        (b"\xff", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_the_model_that_a_body_names(body: bytes, model: str) -> None:
    assert finish(peek_model(body)) == model


# --- uploads ----------------------------------------------------------------------------------


def test_an_upload_gives_what_comes_and_then_nothing() -> None:
    async def scenario() -> None:
        client = Client(some(b"a"), some(b""), some(b"b"), END, GONE)
        upload = ClientUpload(client.receive, None, 0)
        assert [await upload.read() for _ in range(4)] == [b"a", b"b", b"", b""]
        assert client.left == [GONE]

    run(scenario())


def test_a_last_piece_that_comes_with_the_end_is_not_lost() -> None:
    async def scenario() -> None:
        upload = ClientUpload(Client(END | {"body": b"all"}).receive, 3, 0)
        assert [await upload.read() for _ in range(2)] == [b"all", b""]

    run(scenario())


def test_others_hear_nothing_of_the_client_until_the_upload_is_over() -> None:
    async def scenario() -> None:
        upload = ClientUpload(Client(some(b"a"), END, GONE).receive, None, 0)
        other = asyncio.ensure_future(upload.receive_afterwards())
        assert await upload.read() == b"a"
        assert not other.done()
        assert await upload.read() == b""
        assert await other == GONE

    run(scenario())


def test_of_an_upload_that_was_stopped_others_may_receive_the_rest() -> None:
    async def scenario() -> None:
        upload = ClientUpload(Client(some(b"a"), some(b"b"), GONE).receive, None, 0)
        assert await upload.read() == b"a"
        upload.stop()
        assert await upload.read() == b""
        assert await upload.receive_afterwards() == some(b"b")

    run(scenario())


def test_a_client_that_leaves_is_noticed() -> None:
    async def scenario() -> None:
        upload = ClientUpload(Client(some(b"a"), GONE).receive, None, 0)
        await upload.read()
        with pytest.raises(ClientGone):
            await upload.read()

    run(scenario())


def test_more_than_the_limit_is_refused() -> None:
    async def scenario() -> None:
        upload = ClientUpload(Client(some(b"abc"), some(b"de")).receive, None, 4)
        assert await upload.read() == b"abc"
        with pytest.raises(BodyTooLarge, match="4 bytes"):
            await upload.read()

    run(scenario())


def test_a_client_that_sends_nothing_is_not_waited_for_for_ever() -> None:
    async def scenario() -> None:
        upload = ClientUpload(Client(some(b"abc")).receive, None, 0, patience=0.01)
        assert await upload.read() == b"abc"
        with pytest.raises(BadRequest, match=r"0\.01 seconds"):
            await upload.read()

    run(scenario())
