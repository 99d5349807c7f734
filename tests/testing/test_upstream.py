"""The scripted upstream: what it answers, when, and what it knows of its clients."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest
import trustme
from openai import AsyncOpenAI, OpenAI

from tailrace.testing.chunks import chat_chunks, chunk, role_chunk
from tailrace.testing.demo import words
from tailrace.testing.exchange import Bell, ScriptedExchange
from tailrace.testing.faults import FAULTS, fault_scripts
from tailrace.testing.recorded import recorded_scripts
from tailrace.testing.script import Head, Pause, Reset, Script, Send, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.testing.upstream import HELLO, ScriptedUpstream, answer

from .raw_client import SECONDS, ask, connected, content, read_until, reads, request, said


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, SECONDS))


# --- what is answered -----------------------------------------------------------------------------


def test_the_default_is_a_whole_answer_streamed_or_not_as_asked() -> None:
    with ThreadedUpstream() as upstream:
        client = OpenAI(base_url=upstream.base_url, api_key="k", max_retries=0)
        messages: Any = [{"role": "user", "content": "Hi"}]
        with client:
            whole = client.chat.completions.create(model="gpt-x", messages=messages)
            chunks = list(
                client.chat.completions.create(
                    model="gpt-x",
                    messages=messages,
                    n=2,
                    stream=True,
                    stream_options={"include_usage": True},
                )
            )
            models = [model.id for model in client.models.list()]
    assert whole.choices[0].message.content == "".join(HELLO)
    second = [
        each.choices[0].delta.content for each in chunks if each.choices and each.choices[0].index
    ]
    assert "".join(each or "" for each in second) == "".join(HELLO)
    assert {each.model for each in chunks} == {whole.model} == {"gpt-x"}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2 * len(HELLO)
    assert models == ["test-model"]


def test_queued_scripts_are_used_up_by_posts_alone_and_then_the_default_comes() -> None:
    with ThreadedUpstream(answer("default")) as upstream:
        upstream.script(stream(*chat_chunks(["first"])), answer("second"))
        assert httpx.get(f"{upstream.base_url}/models").status_code == 200
        texts = [said(content(ask(upstream.base_url))[0])[0] for _ in range(3)]
    assert texts == ["first", "second", "default"]


def test_a_request_names_its_script_in_the_model_or_the_prompt() -> None:
    with ThreadedUpstream(scripts={**fault_scripts(), **recorded_scripts()}) as upstream:
        upstream.add("own", respond(418, b"{}"))
        assert ask(upstream.base_url, model="script:429").startswith(b"HTTP/1.1 429 ")
        assert ask(upstream.base_url, prompt="please script:own!").startswith(b"HTTP/1.1 418 ")
        assert said(content(ask(upstream.base_url, prompt="script:crlf"))[0])[1]
        unknown = ask(upstream.base_url, model="script:nope")
    assert unknown.startswith(b"HTTP/1.1 404 ")
    assert b"No script nope; known: 307, " in unknown


def test_another_path_or_method_is_not_found() -> None:
    with ThreadedUpstream() as upstream:
        statuses = [httpx.get(f"{upstream.url}/x").status_code]
        statuses.append(httpx.delete(f"{upstream.base_url}/models").status_code)
    assert statuses == [404, 404]


def test_everything_about_a_request_is_recorded() -> None:
    with ThreadedUpstream() as upstream:
        httpx.post(
            f"{upstream.base_url}/responses?a=%20b", content=b"\xff\x00", headers={"X-A": "1"}
        )
        seen = upstream.request()
    assert (seen.method, seen.target, seen.version) == ("POST", "/v1/responses?a=%20b", "1.1")
    assert seen.body == b"\xff\x00"
    assert seen.header("x-a") == seen.header("X-A") == "1"
    assert seen.header("absent") is None
    assert ("content-length", "2") in seen.headers
    with pytest.raises(ValueError, match="Expecting value"):
        seen.json()


def test_a_body_that_comes_in_chunks_and_pieces_is_whole() -> None:
    head = b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire = head + b'3\r\n{ "\r\n4\r\na":1\r\n1\r\n}\r\n0\r\n\r\n'
    with ThreadedUpstream(respond(200, b"ok")) as upstream, connected(upstream.base_url) as client:
        for byte in wire:
            client.sendall(bytes([byte]))
        assert read_until(client, b"ok").endswith(b"\r\n\r\nok")
        assert upstream.request().json() == {"a": 1}


# --- connections ----------------------------------------------------------------------------------


def test_a_connection_is_kept_and_its_requests_are_answered_in_order() -> None:
    with ThreadedUpstream(answer("x")) as upstream, connected(upstream.base_url) as client:
        upstream.script(respond(200, b"one"), respond(200, b"two"), respond(200, b"end"))
        client.sendall(request(close=False) * 3)
        wire = read_until(client, b"end")
        numbers = {each.connection for each in upstream.requests}
    assert wire.index(b"one") < wire.index(b"two") < wire.index(b"end")
    assert numbers == {1}


def test_idle_connections_can_be_dropped_under_a_client_and_busy_ones_stay() -> None:
    with (
        ThreadedUpstream(respond(200, b"end")) as upstream,
        connected(upstream.base_url) as idle,
        connected(upstream.base_url) as busy,
    ):
        upstream.script(respond(200, b"end"), FAULTS["late-head"].script)
        idle.sendall(request(close=False))
        read_until(idle, b"end")
        busy.sendall(request())
        upstream.reached("late-head")
        upstream.drop_idle()
        assert list(reads(idle)) == []
        upstream.open("late-head")
        assert b"[DONE]" in b"".join(reads(busy))
        assert upstream.connections == 2


def test_what_is_no_http_gets_the_door() -> None:
    with ThreadedUpstream() as upstream, connected(upstream.base_url) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert list(reads(client)) == []
        assert upstream.requests == []


def test_a_client_that_reads_slowly_gets_every_byte() -> None:
    body = bytes(range(256)) * 20_000
    with (
        ThreadedUpstream(script(Head(), Send(body, 50_000))) as upstream,
        connected(upstream.base_url) as client,
    ):
        client.sendall(request())
        received = b"".join(reads(client))
        assert upstream.finished(upstream.request())
    assert content(received) == (body, True)


def test_it_speaks_tls_with_the_certificate_it_is_given() -> None:
    async def test() -> None:
        authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(server)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with ScriptedUpstream(answer("sealed"), tls=server) as upstream:
            upstream.script(answer("sealed"), FAULTS["cut"].script, FAULTS["stall"].script)
            async with httpx.AsyncClient(verify=trusting, timeout=SECONDS) as client:
                url = f"{upstream.base_url}/chat/completions"
                assert url.startswith("https://")
                assert "sealed" in (await client.post(url, json={"stream": True})).text
                with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                    await client.post(url, json={})
                leaving = asyncio.create_task(client.post(url, json={}))
                await upstream.gate("stall").reached()
                leaving.cancel()
                assert await upstream.requests[2].disconnected()

    run(test())


# --- gates and time -------------------------------------------------------------------------------


def test_a_gate_lets_through_as_many_as_it_is_told() -> None:
    async def test() -> None:
        events = [role_chunk(), chunk("a"), chunk("b"), chunk("c")]
        async with ScriptedUpstream(stream(*events, gate="token")) as upstream:
            reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
            writer.write(request())
            gate = upstream.gate("token")
            await gate.reached()
            gate.admit(2)
            await gate.reached(3)
            seen = await upstream.request()
            early = seen.sent
            gate.open()
            await seen.finished()
            assert early < seen.sent
            wire = await reader.read()
            assert seen.sent == len(wire)
            writer.close()
            await writer.wait_closed()
        assert gate.arrivals == 4

    run(test())


def test_one_admission_lets_through_one_of_two_that_wait() -> None:
    async def test() -> None:
        async with (
            ScriptedUpstream(FAULTS["late-head"].script) as upstream,
            httpx.AsyncClient(timeout=SECONDS) as client,
        ):
            calls = [client.post(f"{upstream.base_url}/x", json={}) for _ in range(2)]
            tasks = [asyncio.create_task(call) for call in calls]
            gate = upstream.gate("late-head")
            await gate.reached(2)
            gate.admit()
            done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert (len(done), len(waiting)) == (1, 1)
            gate.open()
            await asyncio.wait(tasks)

    run(test())


def test_waiting_in_vain_is_an_error_that_says_for_what() -> None:
    with ThreadedUpstream() as upstream:
        with pytest.raises(TimeoutError, match="0 of 1 arrivals"):
            upstream.reached("never", within=0)
        with pytest.raises(TimeoutError, match="0 of 1 requests"):
            upstream.request(within=0)


def test_a_delay_comes_before_each_event() -> None:
    with ThreadedUpstream(words(3, rate=1000)) as upstream:
        assert said(content(ask(upstream.base_url))[0]) == ("The water that ", True)


# --- how its clients fare -------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("name", ["stall", "stall-head", "stall-first-byte", "comments-only"])
def test_a_client_that_leaves_during_silence_is_noticed(name: str, reset: bool) -> None:
    with ThreadedUpstream(FAULTS[name].script) as upstream:
        with connected(upstream.base_url) as client:
            client.sendall(request())
            upstream.reached("stall")
            seen = upstream.request()
            assert not seen.left
            if reset:
                linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert upstream.disconnected(seen)
        assert seen.left_at is not None
        assert not seen.answered


def test_a_client_that_reads_to_the_end_did_not_leave() -> None:
    with ThreadedUpstream() as upstream:
        ask(upstream.base_url)
        seen = upstream.request()
        assert upstream.finished(seen)
        assert not upstream.disconnected(seen)


def test_a_connection_that_the_script_ends_is_not_one_that_the_client_left() -> None:
    with ThreadedUpstream() as upstream:
        for number, name in enumerate(("cut", "closes"), start=1):
            upstream.script(FAULTS[name].script)
            ask(upstream.base_url)
            assert upstream.finished(upstream.request(number))
            assert not upstream.request(number).left


def test_a_request_on_a_dead_kept_connection_can_be_scripted() -> None:
    async def test() -> None:
        async with ScriptedUpstream(answer("again")) as upstream:
            upstream.script(answer("first"), script(Reset()))
            client = AsyncOpenAI(base_url=upstream.base_url, api_key="k", max_retries=1)
            async with client:
                messages: Any = [{"role": "user", "content": "Hi"}]
                texts = []
                for _ in range(2):
                    done = await client.chat.completions.create(model="m", messages=messages)
                    texts.append(done.choices[0].message.content)
            assert texts == ["first", "again"]
            assert [each.connection for each in upstream.requests] == [1, 1, 2]

    run(test())


# --- its own end ----------------------------------------------------------------------------------


def test_leaving_the_context_ends_every_connection() -> None:
    async def test() -> None:
        async with ScriptedUpstream(FAULTS["stall"].script) as upstream:
            reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
            writer.write(request())
            await upstream.gate("stall").reached()
        assert b"[DONE]" not in await reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.close()
        await writer.wait_closed()

    run(test())


def test_an_error_in_a_reply_of_the_test_is_raised_at_the_end() -> None:
    def broken(exchange: ScriptedExchange) -> Script:
        raise RuntimeError(f"no answer to {exchange.method}")

    with pytest.raises(RuntimeError, match="no answer to POST"):  # noqa: SIM117
        with ThreadedUpstream(broken) as upstream:
            assert ask(upstream.base_url).startswith(b"HTTP/1.1 500 ")


# --- the demo -------------------------------------------------------------------------------------


def test_the_demo_prints_its_base_url_answers_and_goes_on_a_signal() -> None:
    command = [sys.executable, "-W", "error", "-m", "tailrace.testing"]
    options = ["--port", "0", "--rate", "0", "--tokens", "40"]
    with subprocess.Popen(command + options, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        base_url = demo.stdout.readline().strip()
        text, done = said(content(ask(base_url))[0])
        whole = httpx.post(f"{base_url}/chat/completions", json={"model": "m"}).json()
        demo.send_signal(signal.SIGTERM)
        status = demo.wait(SECONDS)
    assert done
    assert text == whole["choices"][0]["message"]["content"]
    assert text.startswith("The water that has done its work")
    assert whole["usage"]["completion_tokens"] == 40
    assert status == 0 or os.name == "nt"


def test_words_come_at_a_rate_or_at_once() -> None:
    exchange = ScriptedExchange(Bell(), connection=1)
    exchange.body = b'{"stream": true, "stream_options": {"include_usage": true}}'
    slow, fast = words(5, 20), words(5, 0)
    assert callable(slow)
    assert callable(fast)
    assert Pause(1 / 20) in slow(exchange).steps
    assert not any(isinstance(step, Pause) for step in fast(exchange).steps)
