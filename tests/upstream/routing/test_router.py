"""The router over real sockets: who is asked, what is tried again, what is given."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tailrace.contracts import BodyEnd, Call, UpstreamRequest
from tailrace.errors import (
    NoSuchModel,
    UpstreamBroken,
    UpstreamQueueTimeout,
    UpstreamsBusy,
    UpstreamsDown,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tailrace.testing.chunks import chat_chunks, error_body
from tailrace.testing.script import STALL, Cut, Head, Script, Send, respond, script, stream
from tailrace.testing.upstream import Reply, ScriptedUpstream
from tailrace.upstream.http.clocks import Clocks
from tailrace.upstream.routing.attempts import RetryRules
from tailrace.upstream.routing.breaker import LEAST
from tailrace.upstream.routing.router import Router
from tailrace.upstream.routing.target import Target
from tailrace.upstream.routing.upstream_spec import UpstreamSpec
from tests.upstream.conftest import Run

RULES = RetryRules(budget=3.0, retries=8)
ONCE = RetryRules(budget=0.0, retries=8)
WHOLE = stream(*chat_chunks(["Hello"]))
BUSY = respond(503, error_body("busy"))
SLOW_DOWN = respond(429, error_body("slow down"), ("retry-after", "0"))
CLOSED = script(Cut())
DEAD = "http://127.0.0.1:9/v1"


def ask(model: str = "m", *headers: tuple[bytes, bytes]) -> UpstreamRequest:
    body = json.dumps({"model": model, "stream": True}).encode()
    fields = [(b"content-type", b"application/json"), *headers]
    return UpstreamRequest("POST", "/chat/completions", fields, body, model)


def target(name: str, url: str, *, keys: tuple[str, ...] = (), **given: Any) -> Target:
    clocks = given.pop("clocks", Clocks())
    return Target(UpstreamSpec(name=name, url=url, **given), keys, clocks)


@asynccontextmanager
async def upstreams(*replies: Reply | None) -> AsyncIterator[list[ScriptedUpstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(ScriptedUpstream(reply)) for reply in replies]


@asynccontextmanager
async def routing(
    targets: Sequence[Target], rules: RetryRules = RULES, **given: Any
) -> AsyncIterator[Router]:
    router = Router(targets, rules, draw=random.Random(1).random, **given)
    try:
        yield router
    finally:
        await router.close()


async def whole(call: Call) -> bytes:
    assert call.status == 200
    return await call.read(1 << 20)


class Receiver:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.how: BodyEnd | None = None
        self.ended = asyncio.Event()
        self.first = asyncio.Event()

    def data(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.first.set()

    def end(self, how: BodyEnd) -> None:
        self.how = how
        self.ended.set()


# --- retrying ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [BUSY, SLOW_DOWN, CLOSED, respond(408, b"{}"), respond(529, b"")])
def test_what_fails_before_a_head_or_by_its_status_is_tried_again(run: Run, fault: Script) -> None:
    async def scenario() -> None:
        async with upstreams(None) as [up], routing([target("a", up.base_url)]) as router:
            up.script(fault, WHOLE)
            attempts = router.attempts(ask())
            assert attempts.upstream == ""
            assert b"Hello" in await whole(await attempts.next())
            assert attempts.count == len(up.requests) == 2
            assert attempts.upstream == "a"

    run(scenario())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 501])
def test_what_another_try_would_say_too_is_given_as_it_is(run: Run, status: int) -> None:
    async def scenario() -> None:
        async with upstreams(None, None) as [up, other]:
            targets = [target("a", up.base_url), target("b", other.base_url, weight=0)]
            async with routing(targets) as router:
                up.script(respond(status, b"{}"))
                call = await router.ask(ask())
                assert call.status == status
                assert await call.read(100) == b"{}"
                assert len(up.requests) == 1
                assert not other.requests

    run(scenario())


def test_the_last_refusal_is_given_whole(run: Run) -> None:
    async def scenario() -> None:
        reply = respond(429, error_body("slow down"), ("retry-after", "7"), ("x-a", "b"))
        async with upstreams(reply) as [up], routing([target("a", up.base_url)]) as router:
            call = await router.ask(ask())
            assert call.status == 429
            assert dict(call.headers)[b"retry-after"] == b"7"
            assert dict(call.headers)[b"x-a"] == b"b"
            assert b"slow down" in await call.read(1000)
            assert len(up.requests) == 1, "the wait that it asks for is over the budget"

    run(scenario())


@pytest.mark.parametrize("fault", [BUSY, SLOW_DOWN, respond(500, b""), respond(408, b"{}")])
def test_one_upstream_is_asked_twice_at_most_and_its_own_refusal_is_given(
    run: Run, fault: Script
) -> None:
    async def scenario() -> None:
        async with upstreams(fault) as [up], routing([target("a", up.base_url)]) as router:
            call = await router.ask(ask())
            assert call.status == fault.steps[0].status  # type: ignore[union-attr]
            assert await call.read(1000) == fault.steps[1].data  # type: ignore[union-attr]
            assert len(up.requests) == 2

    run(scenario())


def test_a_client_that_tries_again_by_itself_is_no_reason_to_try_again(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(BUSY, BUSY) as [up, other]:
            async with routing([target("a", up.base_url)]) as router:
                for count, asked in ((b"0", 2), (b"1", 3), (b"2", 4)):
                    call = await router.ask(ask("m", (b"x-stainless-retry-count", count)))
                    assert call.status == 503
                    call.cancel()
                    assert len(up.requests) == asked
            targets = [target("a", up.base_url), target("b", other.base_url, weight=0)]
            async with routing(targets) as router:
                (await router.ask(ask("m", (b"x-stainless-retry-count", b"1")))).cancel()
                assert (len(up.requests), len(other.requests)) == (5, 1)

    run(scenario())


def test_each_of_several_upstreams_is_asked_twice_at_most(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(BUSY, respond(500, b"{}"), CLOSED) as three:
            targets = [target(name, up.base_url) for name, up in zip("abc", three, strict=True)]
            async with routing(targets) as router:
                attempts = router.attempts(ask())
                assert (await attempts.next()).status in (500, 503)
                assert [len(up.requests) for up in three] == [2, 2, 2]
                assert attempts.count == 6
            async with routing(targets, RetryRules(budget=3.0, retries=3)) as router:
                attempts = router.attempts(ask())
                (await attempts.next()).cancel()
                assert attempts.count == 4

    run(scenario())


def test_the_last_refusal_is_given_where_the_time_for_another_try_ran_out_while_it_waited(
    run: Run,
) -> None:
    """The loop stands still while the router waits for its next try, until that is too late."""

    async def scenario() -> None:
        def reply(_: Any) -> Script:
            asyncio.get_running_loop().call_later(0.02, time.sleep, 0.1)
            return BUSY

        rules = RetryRules(budget=0.05, retries=8)
        async with upstreams(reply) as [up], routing([target("a", up.base_url)], rules) as router:
            call = await router.ask(ask())
            assert call.status == 503
            assert b"busy" in await call.read(1000)

    run(scenario())


def test_the_last_refusal_is_given_where_later_tries_bring_no_answer(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(None) as [up]:
            targets = [target("a", up.base_url), target("dead", DEAD, weight=0)]
            async with routing(targets, RetryRules(budget=0.2, retries=8)) as router:
                # The second one meets the connection that the refusal left, and is sent anew.
                up.script(BUSY, CLOSED, CLOSED)
                call = await router.ask(ask())
                assert call.status == 503
                assert b"busy" in await call.read(1000)
                assert len(up.requests) == 3

    run(scenario())


def test_the_last_refusal_is_given_where_its_upstream_has_no_room_for_another_try(run: Run) -> None:
    async def scenario() -> None:
        def reply(exchange: Any) -> Script:
            if len(up.requests) > 1:
                return script(Head(), STALL)
            second.append(asyncio.ensure_future(router.ask(ask())))
            return BUSY

        second: list[asyncio.Future[Call]] = []
        spec: dict[str, Any] = {"max_streams": 1, "queue_timeout": 0.1}
        async with (
            upstreams(reply) as [up],
            routing([target("a", up.base_url, **spec)]) as router,
        ):
            call = await router.ask(ask())
            assert call.status == 503
            assert b"busy" in await call.read(1000)
            (await second[0]).cancel()

    run(scenario())


def test_a_refusal_whose_body_comes_slowly_is_given_whole(run: Run) -> None:
    async def scenario() -> None:
        slow = script(
            Head(500, (("content-type", "application/json"),)),
            Send(b'{"error":'),
            STALL,
            Send(b'{"code":"invalid_request_error"}}'),
        )
        async with upstreams(slow) as [up], routing([target("a", up.base_url)], ONCE) as router:
            call = await router.ask(ask())
            up.gate("stall").open()
            assert await call.read(1000) == b'{"error":{"code":"invalid_request_error"}}'

    run(scenario())


def test_a_connection_that_cannot_be_made_is_tried_within_the_budget(run: Run) -> None:
    async def scenario() -> None:
        async with routing([target("a", DEAD)]) as router:
            attempts = router.attempts(ask("m", (b"x-stainless-retry-count", b"1")))
            with pytest.raises(UpstreamsDown):
                await attempts.next()
            assert attempts.count == 9

    run(scenario())


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_refusal_that_blames_the_request_is_the_answer_and_no_failure(
    run: Run, status: int
) -> None:
    async def scenario() -> None:
        body = error_body("too long", kind="invalid_request_error", code="context_length_exceeded")
        async with upstreams(respond(status, body), WHOLE) as [up, other]:
            targets = [target("a", up.base_url), target("b", other.base_url, weight=0)]
            async with routing(targets) as router:
                for number in range(1, 2 * LEAST):
                    call = await router.ask(ask())
                    assert call.status == status
                    assert await call.read(1000) == body
                    assert len(up.requests) == number
                assert not other.requests

    run(scenario())


def test_tries_and_time_are_bounded(run: Run) -> None:
    async def scenario() -> None:
        rules = RetryRules(budget=3.0, retries=2)
        async with routing([target("a", DEAD)], rules) as router:
            attempts = router.attempts(ask())
            with pytest.raises(UpstreamsDown, match="3 tries"):
                await attempts.next()
            assert attempts.count == 3
        rules = RetryRules(budget=0.3, retries=1000)
        async with routing([target("a", DEAD)], rules) as router:
            attempts = router.attempts(ask())
            with pytest.raises(UpstreamsDown):
                await attempts.next()
            assert 2 <= attempts.count <= 10

    run(scenario())


def test_retry_after_is_waited_for_within_the_budget(run: Run) -> None:
    async def scenario() -> None:
        reply = respond(503, b"", ("retry-after", "1"))
        async with upstreams(None) as [up], routing([target("a", up.base_url)]) as router:
            up.script(reply, WHOLE)
            began = time.monotonic()
            await whole(await router.ask(ask()))
            assert 1 <= time.monotonic() - began < 3

    run(scenario())


def test_without_a_budget_there_is_one_try_and_its_own_error(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(CLOSED) as [up], routing([target("a", up.base_url)], ONCE) as router:
            with pytest.raises(UpstreamUnreachable):
                await router.ask(ask())
            assert len(up.requests) == 1

    run(scenario())


def test_an_upload_is_sent_once(run: Run) -> None:
    class Upload:
        length = 2

        async def read(self) -> bytes:
            raise AssertionError("nobody got as far")

    async def scenario() -> None:
        async with routing([target("a", DEAD)]) as router:
            request = UpstreamRequest("POST", "/files", (), Upload())
            attempts = router.attempts(request)
            with pytest.raises(UpstreamUnreachable):
                await attempts.next()
            assert attempts.count == 1

    run(scenario())


def test_a_clock_that_ran_out_is_not_waited_for_twice(run: Run) -> None:
    async def scenario() -> None:
        clocks = Clocks(first_byte=0.2)
        async with upstreams(script(STALL), None) as [slow, quick]:
            targets = [
                target("slow", slow.base_url, clocks=clocks),
                target("quick", quick.base_url, weight=0),
            ]
            async with routing(targets) as router:
                await whole(await router.ask(ask()))
                assert len(slow.requests) == len(quick.requests) == 1
            async with routing(targets[:1]) as router:
                with pytest.raises(UpstreamTimeout):
                    await router.ask(ask())
                assert len(slow.requests) == 2

    run(scenario())


def test_an_answer_without_a_token_is_asked_for_again(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(None) as [up], routing([target("a", up.base_url)]) as router:
            up.script(script(Head(), Send(b": hi\n\n"), Cut()), WHOLE)
            attempts = router.attempts(ask())
            first = await attempts.next()
            with pytest.raises(UpstreamBroken):
                await first.read(100)
            assert b"Hello" in await whole(await attempts.next("the first one broke"))
            assert attempts.count == 2
            up.script(script(Head(), Cut()), script(Head(), Cut()), WHOLE)
            attempts = router.attempts(ask())
            await attempts.next()
            await attempts.next("the first one broke")
            with pytest.raises(UpstreamBroken, match="the second one broke"):
                await attempts.next("the second one broke")

    run(scenario())


def test_where_nothing_is_left_to_try_the_failure_is_the_last_word(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(WHOLE) as [up], routing([target("a", up.base_url)], ONCE) as router:
            attempts = router.attempts(ask())
            await attempts.next()
            with pytest.raises(UpstreamBroken, match="It was empty"):
                await attempts.next("It was empty.")

    run(scenario())


def test_cancelling_closes_the_connection_and_gives_the_slot_back(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(script(STALL)) as [up],
            routing([target("a", up.base_url, max_streams=1)]) as router,
        ):
            for number in (1, 2):
                asking = asyncio.ensure_future(router.ask(ask()))
                request = await up.request(number)
                asking.cancel()
                assert await request.disconnected()
                with pytest.raises(asyncio.CancelledError):
                    await asking

    run(scenario())


# --- several ----------------------------------------------------------------------------------


def test_another_upstream_is_asked_at_once(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(BUSY, None) as [bad, good]:
            targets = [
                target("bad", bad.base_url),
                target("dead", DEAD),
                target("good", good.base_url, weight=0),
            ]
            async with routing(targets) as router:
                attempts = router.attempts(ask())
                await whole(await attempts.next())
                assert attempts.upstream == "good"
                assert attempts.count == 3
                assert len(bad.requests) == len(good.requests) == 1

    run(scenario())


def test_all_down_is_said_at_once_until_a_probe_is_due(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(None) as [up]:
            url = up.base_url
            port = up.port
        async with routing([target("a", url)]) as router:
            with pytest.raises(UpstreamsDown, match="9 tries"):
                await router.ask(ask())
            with pytest.raises(UpstreamsDown):
                await router.ask(ask())
            began = time.monotonic()
            for _ in range(LEAST):
                with pytest.raises(UpstreamsDown, match="too often") as caught:
                    await router.ask(ask())
                assert caught.value.retry_after >= 1
            assert time.monotonic() - began < 0.5
            async with ScriptedUpstream(WHOLE, port=port):
                await asyncio.sleep(1.1)
                await whole(await router.ask(ask()))
                await whole(await router.ask(ask()))

    run(scenario())


def test_a_cut_answer_is_held_against_the_upstream_but_not_the_readers_leaving(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(script(Head(), STALL)) as [up],
            routing([target("a", up.base_url)], ONCE) as router,
        ):
            for _ in range(LEAST + 1):
                (await router.ask(ask())).cancel()
        async with upstreams(script(Head(), Cut()), WHOLE) as [up, other]:
            targets = [target("a", up.base_url), target("b", other.base_url, weight=0)]
            async with routing(targets, ONCE) as router:
                for _ in range(LEAST):
                    with pytest.raises(UpstreamBroken):
                        await (await router.ask(ask())).read(100)
                await whole(await router.ask(ask()))
                assert len(up.requests) == LEAST

    run(scenario())


@pytest.mark.parametrize("fault", [BUSY, script(Head(), Cut()), respond(500, b"")])
def test_an_upstream_that_answers_is_never_refused_where_there_is_no_other(
    run: Run, fault: Script
) -> None:
    async def scenario() -> None:
        head = fault.steps[0]
        assert isinstance(head, Head)
        async with upstreams(fault, fault) as [up, other]:
            both = [target("a", up.base_url), target("b", other.base_url)]
            for targets in (both[:1], both):
                async with routing(targets, ONCE) as router:
                    for _ in range(4 * LEAST):
                        call = await router.ask(ask())
                        assert call.status == head.status
                        call.stream(receiver := Receiver())
                        await receiver.ended.wait()

    run(scenario())


def test_a_model_that_nobody_has(run: Run) -> None:
    async def scenario() -> None:
        async with routing([target("a", DEAD, models=("gpt-*",))]) as router:
            with pytest.raises(NoSuchModel, match="llama"):
                router.attempts(ask("llama"))
            assert router.disconnect("llama") == ""

    run(scenario())


def test_an_alias_is_written_into_the_body_and_nothing_else_changes(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(WHOLE) as [up],
            routing([target("a", up.base_url, aliases=(("fast", "llama-8b"),))]) as router,
        ):
            body = b'{ "temperature": 1.0, "model" : "fast" ,"stream":true}'
            request = UpstreamRequest("POST", "/chat/completions", (), body, "fast")
            await whole(await router.ask(request))
            assert up.requests[0].body == body.replace(b"fast", b"llama-8b")
            multipart = UpstreamRequest("POST", "/audio/transcriptions", (), b"--x\r\n", "fast")
            (await router.ask(multipart)).cancel()
            assert up.requests[1].body == b"--x\r\n"

    run(scenario())


def test_what_is_said_of_leaving_is_the_first_ones_that_names_or_covers_the_model(run: Run) -> None:
    async def scenario() -> None:
        targets = [
            target("all", DEAD, disconnect="cancel"),
            target("one", DEAD, models=("o3",), disconnect="keep"),
        ]
        async with routing(targets) as router:
            assert router.disconnect("o3") == "keep"
            assert router.disconnect("gpt") == "cancel"

    run(scenario())


# --- keys -------------------------------------------------------------------------------------


def test_keys_are_used_in_turn_and_one_that_is_refused_rests(run: Run) -> None:
    async def scenario() -> None:
        def reply(exchange: Any) -> Script:
            bad = exchange.header("authorization") == "Bearer key-b"
            return respond(401, error_body("bad key")) if bad else WHOLE

        async with (
            upstreams(reply) as [up],
            routing([target("a", up.base_url, keys=("key-a", "key-b", "key-c"))]) as router,
        ):
            for _ in range(6):
                await whole(await router.ask(ask()))
            shown = [each.header("authorization") for each in up.requests]
            assert [key[-1] for key in shown if key] == list("abcacac")

    run(scenario())


def test_with_one_key_its_refusal_is_given(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(respond(403, b"{}")) as [up],
            routing([target("a", up.base_url, keys=("key-a",))]) as router,
        ):
            for number in (1, 2):
                call = await router.ask(ask())
                assert call.status == 403
                call.cancel()
                assert len(up.requests) == number

    run(scenario())


@pytest.mark.parametrize("auth", ["bearer", "x-api-key", "api-key"])
def test_a_key_of_ours_takes_the_place_of_whatever_the_client_shows(run: Run, auth: Any) -> None:
    async def scenario() -> None:
        names = ("authorization", "x-api-key", "api-key")
        client = [(name.encode(), b"clients") for name in names]
        async with upstreams(WHOLE, WHOLE) as [ours, theirs]:
            async with routing([target("a", ours.base_url, keys=("secret",), auth=auth)]) as router:
                await whole(await router.ask(ask("m", *client)))
                shown = {name: ours.requests[0].header(name) for name in names}
                mine = "authorization" if auth == "bearer" else auth
                value = "Bearer secret" if auth == "bearer" else "secret"
                assert shown == {name: value if name == mine else None for name in names}
                assert router.redact(b"a secret b") == b"a [redacted] b"
            async with routing([target("b", theirs.base_url)]) as router:
                await whole(await router.ask(ask("m", *client)))
                assert all(theirs.requests[0].header(name) == "clients" for name in names)
                assert router.redact(b"a secret b") == b"a secret b"

    run(scenario())


def test_one_that_asked_for_a_pause_is_asked_last(run: Run) -> None:
    async def scenario() -> None:
        slow = respond(429, b"", ("retry-after", "60"))
        async with upstreams(slow, WHOLE) as [a, b]:
            targets = [
                target("a", a.base_url, models=("m",)),
                target("b", b.base_url),
            ]
            async with routing(targets) as router:
                for _ in range(3):
                    await whole(await router.ask(ask()))
                assert len(a.requests) == 1
                # A client's own key at its limit is no other client's affair.
                router.replace([target("c", a.base_url, models=("m",)), targets[1]])
                for number in (2, 3):
                    mine = (b"authorization", b"Bearer mine")
                    await whole(await router.ask(ask("m", mine)))
                    assert len(a.requests) == number

    run(scenario())


# --- limits -----------------------------------------------------------------------------------


def test_a_slot_is_held_until_the_answer_is_over(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(script(Head(), Send(b"x"), STALL, Send(b"y"))) as [up],
            routing([target("a", up.base_url, max_streams=1, max_queue=2)]) as router,
        ):
            receiver = Receiver()
            (await router.ask(ask())).stream(receiver)
            await receiver.first.wait()
            waiting = [asyncio.ensure_future(router.ask(ask())) for _ in range(2)]
            await asyncio.sleep(0.05)
            assert len(up.requests) == 1
            with pytest.raises(UpstreamsBusy):
                await router.ask(ask())
            waiting.pop(0).cancel()
            await asyncio.sleep(0)
            up.gate("stall").open()
            await receiver.ended.wait()
            assert receiver.how is BodyEnd.COMPLETE
            assert b"".join(receiver.chunks) == b"xy"
            assert await (await waiting[0]).read(100) == b"xy"
            assert await (await router.ask(ask())).read(100) == b"xy"

    run(scenario())


def test_a_place_in_the_queue_is_held_for_so_long(run: Run) -> None:
    async def scenario() -> None:
        spec: dict[str, Any] = {"max_streams": 1, "queue_timeout": 0.1}
        async with (
            upstreams(script(Head(), STALL)) as [up],
            routing([target("a", up.base_url, **spec)]) as router,
        ):
            call = await router.ask(ask())
            with pytest.raises(UpstreamQueueTimeout):
                await router.ask(ask())
            call.cancel()
            (await router.ask(ask())).cancel()

    run(scenario())


def test_a_free_slot_elsewhere_is_better_than_waiting(run: Run) -> None:
    async def scenario() -> None:
        stalled = script(Head(), STALL)
        async with upstreams(stalled, stalled) as [a, b]:
            targets = [
                target("a", a.base_url, max_streams=1),
                target("b", b.base_url, max_streams=1, weight=0),
            ]
            async with routing(targets) as router:
                calls = [await router.ask(ask()) for _ in range(2)]
                assert len(a.requests) == len(b.requests) == 1
                for call in calls:
                    call.cancel()

    run(scenario())


def test_a_refused_answer_that_is_tried_again_keeps_no_slot(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(None) as [up],
            routing([target("a", up.base_url, max_streams=1, queue_timeout=1)]) as router,
        ):
            for fault in (BUSY, CLOSED, SLOW_DOWN):
                up.script(fault, WHOLE)
                await whole(await router.ask(ask()))

    run(scenario())


# --- reload -----------------------------------------------------------------------------------


def test_a_reload_touches_no_answer_that_runs(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(script(Head(), Send(b"x"), STALL, Send(b"y")), WHOLE) as [old, new],
            routing([target("old", old.base_url)]) as router,
        ):
            receiver = Receiver()
            (await router.ask(ask())).stream(receiver)
            await receiver.first.wait()
            router.replace([target("new", new.base_url)])
            await whole(await router.ask(ask()))
            assert len(old.requests) == 1
            old.gate("stall").open()
            await receiver.ended.wait()
            assert receiver.how is BodyEnd.COMPLETE

    run(scenario())


def test_what_is_the_same_keeps_its_connections(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(WHOLE) as [up],
            routing([target("a", up.base_url)]) as router,
        ):
            await whole(await router.ask(ask()))
            router.replace([target("a", up.base_url, models=("m*",), max_streams=3)])
            await whole(await router.ask(ask()))
            assert up.connections == 1
            with pytest.raises(NoSuchModel):
                router.attempts(ask("x"))
            router.replace([target("a", up.base_url, keys=("new",))])
            await whole(await router.ask(ask()))
            assert up.connections == 2

    run(scenario())


def test_who_waits_when_the_upstream_goes_is_asked_elsewhere(run: Run) -> None:
    async def scenario() -> None:
        async with (
            upstreams(script(Head(), STALL), WHOLE) as [old, new],
            routing([target("old", old.base_url, max_streams=1)]) as router,
        ):
            running = await router.ask(ask())
            waiting = asyncio.ensure_future(router.ask(ask()))
            await asyncio.sleep(0.05)
            router.replace([target("new", new.base_url)])
            assert b"Hello" in await whole(await waiting)
            running.cancel()

    run(scenario())


# --- the list of models -----------------------------------------------------------------------


async def listed(router: Router) -> tuple[int, bytes]:
    call = await router.ask(UpstreamRequest("GET", "/models", ()))
    return call.status, await call.read(1 << 20)


def test_one_upstreams_list_is_handed_on_as_it_is(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(None) as [up], routing([target("a", up.base_url)]) as router:
            up.models = ("one", "two")
            direct = await listed(router)
            assert json.loads(direct[1])["data"][0]["owned_by"] == "tailrace"
            assert b'": ' not in direct[1], "its own spelling"

    run(scenario())


def test_several_lists_become_one(run: Run) -> None:
    async def scenario() -> None:
        async with upstreams(None, None) as [a, b]:
            a.models = ("gpt-4o", "dall-e", "shared-gpt-1")
            b.models = ("llama", "shared-gpt-1")
            targets = [
                target("a", a.base_url, models=("*gpt*",), aliases=(("best", "gpt-4o"),)),
                target("b", b.base_url),
                target("c", DEAD, aliases=(("lost", "x"),)),
            ]
            async with routing(targets, ONCE) as router:
                status, body = await listed(router)
                assert status == 200
                ids = [entry["id"] for entry in json.loads(body)["data"]]
                assert ids == ["gpt-4o", "shared-gpt-1", "best", "llama", "lost"]
            async with routing([target("c", DEAD), target("d", DEAD)], ONCE) as router:
                with pytest.raises(UpstreamUnreachable):
                    await listed(router)

    run(scenario())
