"""Coming back: viewers that are cut at random places, and EventSource on the asking URL."""

from __future__ import annotations

import json
import random
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tailrace.testing.chunks import DONE, chat_chunks
from tailrace.testing.script import Cut, Head, Send, Wait, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import EVENTS, Body, Server, Viewer, fetch, get, serving, sse_events

ANSWERS = 50
VIEWS = ("sse", "ndjson", "openai", "text")


# --- viewers that are cut at random places ------------------------------------------------------


class Wanderer:
    """Reads one answer in one view to its end, cut again and again on the way.

    What it keeps of each connection is what it got whole: events, or pieces of text.
    """

    def __init__(
        self, server: Server, link: str, view: str, texts: list[str], seed: int, cuts: int
    ) -> None:
        self.link = link
        self.view = view
        self.got = b""
        self.connections = 0
        self._server = server
        self._generation = link.rpartition("/")[2]
        # The text of each event, for the view that does not say where an event ends.
        self._texts = [b"", *(text.encode() for text in texts), b""]
        self._seq = 0
        self._random = random.Random(seed)
        self._cuts = cuts

    def read(self) -> bytes:
        """All that came, over all connections."""
        while True:
            self.connections += 1
            whole = self._read_some()
            if whole:
                return self.got

    def _read_some(self) -> bool:
        place = f"{self._generation}_{self._seq:016d}"
        target, headers = f"{self.link}?view={self.view}&offset={place}", []
        if self.view == "sse" and self._random.random() < 0.5:
            target, headers = self.link, [EVENTS, ("Last-Event-ID", place)]
        with get(self._server, target, *headers) as viewer:
            assert viewer.status == 200
            if self.connections > self._cuts:
                body = viewer.rest()
                assert body.whole
                self.got += body.data
                return True
            data = self._some_of(viewer)
            if data is None:
                return True
            if self._random.random() < 0.5:
                # RST instead of FIN: nothing that is on its way will be read.
                reset = struct.pack("ii", 1, 0)
                viewer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        self._keep(data)
        return False

    def _some_of(self, viewer: Viewer) -> bytes | None:
        """A random part of what is to come; None where the body ended before that."""
        enough = self._random.randint(0, 300 if self.view == "text" else 3000)
        data = b""
        while len(data) < enough:
            piece = viewer.chunk()
            if piece is None:
                self.got += data
                return None
            data += piece
        return data[:enough]

    def _keep(self, data: bytes) -> None:
        if self.view == "text":
            while self._seq < len(self._texts) and data.startswith(self._texts[self._seq]):
                text = self._texts[self._seq]
                self._take(text)
                data = data[len(text) :]
            return
        separator = b"\n" if self.view == "ndjson" else b"\n\n"
        *events, _ = data.split(separator)
        for event in events:
            self._take(event + separator)

    def _take(self, data: bytes) -> None:
        self.got += data
        self._seq += 1


def texts_of(chance: random.Random) -> list[str]:
    alphabet = "abc äöü 漢字 \u2028 🌊 \n"
    return ["".join(chance.choices(alphabet, k=chance.randint(1, 40))) for _ in range(30)]


def test_fifty_answers_reach_viewers_who_are_cut_at_random_places_whole(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    answers = [texts_of(chance) for _ in range(ANSWERS)]
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        askers = []
        for number, texts in enumerate(answers):
            upstream.add(f"a{number}", stream(*chat_chunks(texts)[:-1], DONE, delay=0.02))
            asker = get(server, f"/stream?content=script:a{number}", EVENTS)
            askers.append(asker)
        links = [asker.fields["content-location"] for asker in askers]
        wanderers = [
            Wanderer(server, link, view, texts, chance.randrange(2**32), chance.randint(1, 6))
            for link, texts in zip(links, answers, strict=True)
            for view in chance.sample(VIEWS, 2)
        ]
        for asker in askers:
            asker.leave()
        with ThreadPoolExecutor(len(wanderers)) as threads:
            got = list(threads.map(Wanderer.read, wanderers))
        for wanderer, data in zip(wanderers, got, strict=True):
            assert data == fetch(server, f"{wanderer.link}?view={wanderer.view}").data
        for link, texts in zip(links, answers, strict=True):
            assert fetch(server, f"{link}?view=text") == ("".join(texts).encode(), True)
        assert len(upstream.requests) == ANSWERS
        assert {wanderer.view for wanderer in wanderers} == set(VIEWS)
        assert sum(wanderer.connections for wanderer in wanderers) > 2 * len(wanderers)


# --- EventSource on /stream ---------------------------------------------------------------------

ASK = "/stream?content=Hi"


def resume(server: Server, event_id: str) -> Viewer:
    return get(server, ASK, EVENTS, ("Last-Event-ID", event_id))


def text_of(body: bytes) -> str:
    """The text of an answer's ``message`` events."""
    chunks = [json.loads(event.data) for event in sse_events(body) if event.type == "message"]
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def events(count: int) -> Callable[[bytes], bool]:
    """Whether so many have come."""
    return lambda data: len(sse_events(data)) >= count


def test_the_stream_event_comes_before_the_upstream_answers_and_resumes_from_nothing(
    tmp_path: Path,
) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        # The head, too, waits: the upstream has said nothing at all.
        late = map(Send, chat_chunks(["Hel", "lo"]))
        upstream.script(script(Wait("head"), Head(), *late))
        with get(server, ASK, EVENTS) as viewer:
            assert viewer.fields["content-type"].startswith("text/event-stream")
            (greeting,) = sse_events(viewer.until(events(1)))
        assert greeting.type == "stream"
        assert json.loads(greeting.data) == {"url": viewer.fields["content-location"]}
        with resume(server, greeting.id) as again:
            assert again.status == 200
            upstream.open("head")
            rest = again.rest()
        assert rest.whole
        assert text_of(rest.data) == "Hello"
        assert sse_events(rest.data)[-1].type == "end"
        assert len(upstream.requests) == 1


def test_a_cut_eventsource_gets_the_rest_and_at_the_end_204(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(stream(*chat_chunks(["Hel", "lo ", "you"]), gate="token"))
        with get(server, ASK, EVENTS) as viewer:
            upstream.admit("token", 2)
            first = viewer.until(events(3))
        with resume(server, sse_events(first)[-1].id) as again:
            upstream.open("token")
            rest = again.rest()
        assert text_of(first) == "Hel"
        assert text_of(rest.data) == "lo you"
        end = sse_events(rest.data)[-1]
        assert end.type == "end"
        with resume(server, end.id) as over:
            assert over.status == 204
        assert len(upstream.requests) == 1


def test_a_finished_answer_is_resumed_after_a_restart(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        with serving(upstream.base_url, tmp_path) as server:
            upstream.script(stream(*chat_chunks(["Hel", "lo"])))
            with get(server, ASK, EVENTS) as viewer:
                whole = viewer.rest().data
            assert server.terminate() == 0
        ids = [event.id for event in sse_events(whole)]
        with serving(upstream.base_url, tmp_path) as server:
            for place, event_id in enumerate(ids[:-1]):
                with resume(server, event_id) as again:
                    assert sse_events(again.rest().data) == sse_events(whole)[place + 1 :]
            with resume(server, ids[-1]) as over:
                assert over.status == 204
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("known", [True, False], ids=["deleted", "nonsense"])
def test_an_id_that_leads_nowhere_gets_204_and_asks_nothing(tmp_path: Path, known: bool) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        ids = ["7", "-1", "now", "0" * 26 + "_" + "0" * 16, "x" * 43, "\u00e9"]
        if known:
            with get(server, ASK, EVENTS) as viewer:
                ids = [event.id for event in sse_events(viewer.rest().data)]
                link = viewer.fields["content-location"]
            with Viewer(server, "DELETE", link) as deleting:
                assert deleting.head().status == 204
        asked = len(upstream.requests)
        for event_id in ids:
            with resume(server, event_id) as again:
                assert again.status == 204, event_id
        assert len(upstream.requests) == asked


def test_a_refusal_is_told_in_events(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        upstream.script(respond(429, b'{"error":{"message":"slow down"}}'))
        with get(server, ASK, EVENTS) as viewer:
            assert viewer.status == 200
            body: Body = viewer.rest()
        kinds = [event.type for event in sse_events(body.data)]
        assert kinds == ["stream", "error", "end"]
        error = json.loads(sse_events(body.data)[1].data)["error"]
        assert error["code"] == "upstream_refused"
        assert "429" in error["message"]
        assert json.loads(sse_events(body.data)[2].data)["ending"] == "failed"
        # It came back, and the answer is still that refusal, not another request.
        with resume(server, sse_events(body.data)[0].id) as again:
            assert [event.type for event in sse_events(again.rest().data)] == ["error", "end"]
        assert len(upstream.requests) == 1


def test_an_answer_that_the_upstream_cut_stays_cut_for_those_who_come_back(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        pieces = chat_chunks(["Hel", "lo"])[:2]
        upstream.script(script(Head(), *map(Send, pieces), Wait("cut"), Cut()))
        with get(server, ASK, EVENTS) as viewer:
            first = viewer.until(events(3))
        upstream.open("cut")
        with resume(server, sse_events(first)[-1].id) as again:
            (end,) = sse_events(again.rest().data)
        assert json.loads(end.data)["ending"] == "cut"
        assert len(upstream.requests) == 1
