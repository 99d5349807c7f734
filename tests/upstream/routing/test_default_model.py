"""The model that is named where nobody named one."""

from __future__ import annotations

import asyncio

import pytest

from tailrace.errors import ConfigError, UpstreamBroken, UpstreamRefused, UpstreamUnreachable
from tailrace.upstream.http.http_client import HttpUpstream
from tailrace.upstream.routing.models import DefaultModel
from tests.upstream.conftest import Run
from tests.upstream.raw_server import Peer, Script, answering, asking, using


def response(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


LISTED = response(b'{"object":"list","data":[{"id":"first"},{"id":"second"}]}')


def in_turn(heads: list[bytes], *responses: bytes) -> Script:
    remaining = list(responses)

    async def script(peer: Peer) -> None:
        while True:
            heads.append(await peer.request())
            await peer.send(remaining.pop(0))

    return script


def test_the_first_listed_model_is_asked_for_once(run: Run) -> None:
    async def scenario() -> None:
        heads: list[bytes] = []
        async with asking(in_turn(heads, LISTED)) as (upstream, _):
            model = DefaultModel(upstream)
            names = await asyncio.gather(*(model.name() for _ in range(5)))
            assert [*names, await model.name()] == ["first"] * 6
            assert len(heads) == 1
            assert heads[0].startswith(b"GET /v1/models HTTP/1.1\r\n")

    run(scenario())


def test_a_failure_is_not_remembered(run: Run) -> None:
    async def scenario() -> None:
        heads: list[bytes] = []
        script = in_turn(heads, response(b"busy", 503), response(b"<html>"), LISTED)
        async with asking(script) as (upstream, _):
            model = DefaultModel(upstream)
            with pytest.raises(UpstreamRefused, match="503"):
                await model.name()
            with pytest.raises(UpstreamBroken, match="--model"):
                await model.name()
            assert await model.name() == "first"

    run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"data":[]}',
        b'{"data":{}}',
        b'{"data":[{}]}',
        b'{"data":[{"id":7}]}',
        b'{"data":[{"id":""}]}',
        b'{"data":["first"]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_lists_no_model_is_broken(run: Run, body: bytes) -> None:
    async def scenario() -> None:
        async with asking(answering(response(body))) as (upstream, _):
            with pytest.raises(UpstreamBroken):
                await DefaultModel(upstream).name()

    run(scenario())


def test_an_unreachable_upstream_is_told_as_such(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(LISTED)) as (_, server):
            url = server.url
        async with using(HttpUpstream(url)) as upstream:
            with pytest.raises(UpstreamUnreachable):
                await DefaultModel(upstream).name()

    run(scenario())


def test_a_configured_model_is_never_asked_for(run: Run) -> None:
    async def scenario() -> None:
        async with asking(answering(LISTED)) as (upstream, server):
            assert await DefaultModel(upstream, "mine").name() == "mine"
            assert server.accepted == 0

    run(scenario())


def test_after_a_reload_it_is_asked_for_anew(run: Run) -> None:
    async def scenario() -> None:
        other = response(b'{"data":[{"id":"other"}]}')
        async with asking(in_turn([], LISTED, other)) as (upstream, _):
            model = DefaultModel(upstream)
            assert await model.name() == "first"
            model.forget()
            assert await model.name() == "other"
            configured = DefaultModel(upstream, "mine")
            configured.forget()
            assert await configured.name() == "mine"

    run(scenario())


def test_openai_has_a_default_that_is_not_asked_for(run: Run) -> None:
    async def scenario() -> None:
        async with using(HttpUpstream("https://api.openai.com/v1")) as upstream:
            assert await DefaultModel(upstream).name() == "gpt-4o-mini"

    run(scenario())


@pytest.mark.parametrize("key", ["", "a b", "a\r\nx: y", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpUpstream("http://127.0.0.1/v1", api_key=key)
    assert not key or key not in str(caught.value)
