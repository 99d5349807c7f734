"""Fuzzer ``requests``: raw bytes of clients, to a real server over real sockets.

What must hold, whatever comes:

- the server stays alive and well, logs no traceback, says 500 to nobody;
- all that it sends is well-formed HTTP; a refusal is JSON;
- where h11, which shares no code with ours, reads the same bytes without complaint, it reads as
  many requests as were answered, and nothing inside a body was ever answered as a request;
- a connection that the client has closed for sending comes to its end;
- one case costs less than CPU_LIMIT seconds; descriptors and memory return to where they were.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tailrace.testing.apis import api_at
from tests.e2e.harness import Viewer, fetch, get, wait_for
from tests.e2e.raw_upstream import Peer, RawUpstream
from tests.fuzz.campaign import Finding, fewer, shorter
from tests.fuzz.requests_grammar import LINK, MARKED, Bytes, make_requests
from tests.fuzz.requests_model import Answered, Asked, check_refusal, read_requests, read_responses
from tests.fuzz.watched import WatchedServer

CPU_LIMIT: Final = 2.0
"""Seconds; a case has at most some 200 KiB, and most take milliseconds."""
# A response that nothing comes of for so long is taken for one that follows a stream.
_QUIET: Final = 0.25
# From when the client has closed its side: the server lingers for 2 s, and waits 1 s for news.
_PATIENCE: Final = 20.0
# What the house-keeping below looks at after so many cases.
_EVERY: Final = 200
_MEMORY: Final = 256 * 1024 * 1024
_DESCRIPTORS: Final = 30
_MARK: Final = re.compile(re.escape(MARKED) + rb"[0-9a-f]+")
_CANARY: Final = "sk-canary-requests-31a7"
_OWN: Final = {
    "/streams/f/text": "text/plain",
    "/streams/f/json": "application/json",
    "/streams/f/bytes": "application/octet-stream",
    "/streams/f/html": "text/html",
}


class RequestFuzzer:
    """See the module."""

    name = "requests"

    def __init__(self, data: Path) -> None:
        self._upstream = RawUpstream(answer_well)
        self._data = data
        self._seen: Counter[int] = Counter()
        self._checked = 0
        self._start()

    def _start(self) -> None:
        self.server = WatchedServer(
            _CANARY,
            *("--upstream", self._upstream.base_url, "--model", "m", "--data", str(self._data)),
            *("--durability", "process", "--max-body", "128KiB", "--max-url", "8KiB"),
            *("--max-header", "8KiB", "--long-poll-timeout", "1s", "--disconnect", "cancel"),
            *("--max-streams", "500", "--retention-size", "4MiB"),
            env={"TAILRACE_UPSTREAM_API_KEY": _CANARY},
        )
        self._link = b""
        self._tidy()
        self._descriptors = self.server.descriptors()
        self._memory = self.server.resident()

    def close(self) -> None:
        self.server.kill()
        self._upstream.close()

    def renew(self) -> None:
        try:
            self.server.assert_well()
            self.server.assert_answers()
        except Finding:
            self.server.kill()
            self._start()

    def _tidy(self) -> None:
        """Delete what the cases made, and make what they use."""
        while names := re.findall(rb'"url": ?"(/streams/[^"]+)"', self._listing()):
            for name in names:
                with Viewer(self.server, "DELETE", name.decode()) as viewer:
                    viewer.head()
        for name, content_type in _OWN.items():
            with Viewer(self.server, "PUT", name, [("Content-Type", content_type)]) as viewer:
                viewer.head()
        with get(self.server, "/stream?content=hi") as viewer:
            viewer.rest()
            self._link = viewer.fields["content-location"].encode()

    def _listing(self) -> bytes:
        return fetch(self.server, "/streams?limit=100").data

    # --- generating ---------------------------------------------------------------------------

    def make(self, dice: random.Random) -> Bytes:
        return make_requests(dice)

    def smaller(self, case: Bytes) -> Iterator[Bytes]:
        if len(case.pieces) > 1:
            yield Bytes((b"".join(case.pieces),))
            for pieces in fewer(case.pieces):
                yield Bytes(pieces)
        for at, piece in enumerate(case.pieces):
            for less in shorter(piece):
                yield Bytes((*case.pieces[:at], less, *case.pieces[at + 1 :]))

    def show(self, case: Bytes) -> str:
        pieces = [
            piece if len(piece) < 2000 else piece[:1500] + b" ... " + piece[-300:]
            for piece in case.pieces
        ]
        return "\n".join(f"    {piece!r}" for piece in pieces)

    def statistics(self) -> str:
        return ", ".join(f"{count} x {status}" for status, count in sorted(self._seen.items()))

    # --- judging ------------------------------------------------------------------------------

    def check(self, case: Bytes) -> None:
        pieces = [piece.replace(LINK, self._link) for piece in case.pieces]
        asked = read_requests(b"".join(pieces))
        before = self.server.cpu()
        said, ended, patient = self._exchange(pieces, asked)
        used = self.server.cpu() - before
        self.server.assert_well()
        answers = read_responses(said, asked.methods, ended=True)
        self._seen.update(answer.status for answer in answers)
        if not ended:
            raise Finding("a connection without end", repr(said[-300:]))
        if used > CPU_LIMIT:
            raise Finding("a case that costs too much", f"{used} s of CPU")
        for number, answer in enumerate(answers):
            known = asked.methods[number : number + 1]
            head = known == [b"HEAD"] or (not known and not answer.body)
            check_refusal(answer, head=head)
        self._compare(asked, answers, patient=patient)
        self._nothing_smuggled(b"".join(pieces), asked)
        self._checked += 1
        if self._checked % _EVERY == 0:
            self._keep_house()

    def _exchange(self, pieces: list[bytes], asked: Asked) -> tuple[bytes, bool, bool]:
        """All that the server says, whether it came to an end, and whether we waited for it."""
        with socket.create_connection((self.server.host, self.server.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            said, patient = b"", False
            with contextlib.suppress(ConnectionError):  # refused before all of it was sent
                for piece in pieces:
                    connection.sendall(piece)
                    if len(pieces) > 1:
                        time.sleep(0.0002)  # for the pieces to be reads of their own, more or less
            try:
                if asked.sound and not asked.pending:
                    said, patient = _until(connection, asked.methods)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + _PATIENCE
                while data := _received(connection, deadline):
                    said += data
            except TimeoutError:
                return said, False, patient
            except ConnectionError:
                pass
            return said, True, patient

    def _compare(self, asked: Asked, answers: list[Answered], *, patient: bool) -> None:
        count = len(asked.methods)
        if not asked.sound:
            return
        # One more: for a request that is not whole, and is refused before it is.
        if len(answers) > count + asked.pending:
            raise Finding("more responses than requests", f"{len(answers)} for {asked}")
        last = answers[-1] if answers else None
        if patient and len(answers) < count and (last is None or not _ends(last)):
            raise Finding("requests without a response", f"{len(answers)} for {asked}")

    def _nothing_smuggled(self, data: bytes, asked: Asked) -> None:
        """Of what is in a body by h11's reading, nothing has become a stream."""
        marks = set(_MARK.findall(data))
        if not marks or not asked.sound:
            return
        for mark in marks - {target.partition(b"?")[0] for target in asked.targets}:
            with Viewer(self.server, "HEAD", mark.decode()) as viewer:
                if viewer.head().status != 404:
                    raise Finding("a request in a body was answered", mark.decode())

    def _keep_house(self) -> None:
        self.server.assert_answers()
        self._upstream.peers.clear()
        self._tidy()
        try:
            wait_for(lambda: self.server.descriptors() <= self._descriptors + _DESCRIPTORS)
        except AssertionError:
            raise Finding("descriptors stay open", str(self.server.descriptors())) from None
        grown = self.server.resident() - self._memory
        if grown > _MEMORY:
            raise Finding("memory grows", f"by {grown} bytes")


def answer_well(peer: Peer) -> None:
    """What the upstream does: it answers whatever it is asked, and never looks at it."""
    head = peer.ask()
    peer.take_all()
    target = head.split(b" ")[1].decode("latin-1")
    if head.startswith(b"GET"):
        peer.say("200 OK\r\nContent-Type: application/json", b'{"object":"list","data":[]}')
    elif b"accept: text/event-stream" in head.lower():
        events = b"".join(api_at(target).answer(("a", "b"), "m").events)
        peer.say("200 OK\r\nContent-Type: text/event-stream", events)
    else:
        body = api_at(target).whole(("a", "b"), "m")
        peer.say("200 OK\r\nContent-Type: application/json", body)


def _received(connection: socket.socket, deadline: float) -> bytes:
    """What comes next; TimeoutError where nothing comes, or more and more, beyond a deadline."""
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    return connection.recv(1 << 16)


def _until(connection: socket.socket, methods: list[bytes]) -> tuple[bytes, bool]:
    """Read until each request has its response or the end comes; False: nothing comes for long."""
    connection.settimeout(_QUIET)
    said = b""
    while True:
        with contextlib.suppress(Finding):  # it is judged later, when all is there
            if len(read_responses(said, methods, ended=False)) >= len(methods):
                return said, True
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            return said, False
        if not data:
            return said, True
        said += data


def _ends(answer: Answered) -> bool:
    """Whether nothing may follow this response, or it is cut because the client left."""
    return answer.closes or not answer.whole or b"content-length" not in answer.fields


@contextlib.contextmanager
def opened() -> Iterator[RequestFuzzer]:
    """The fuzzer with a server of its own."""
    with tempfile.TemporaryDirectory() as directory:
        fuzzer = RequestFuzzer(Path(directory))
        try:
            yield fuzzer
        finally:
            fuzzer.close()
