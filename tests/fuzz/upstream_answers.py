"""Fuzzer ``upstreams``: what a model API answers, in all its ways; read through every view.

Each answer is asked for twice, once sent whole and once cut at random places. What must hold:

- the stream has one ending, the same in each view, at its end;
- it is ``completed`` exactly if a reader that shares no code with ours (``answers_model``) finds
  the API's last word, and no error or malformed event before it;
- every view keeps to its grammar, in UTF-8; both times the same bytes come;
- the upstream's connection is closed or used again, the log has no traceback, and our key is
  nowhere.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.e2e.harness import WITHIN, Body, Viewer, get, wait_for
from tests.e2e.raw_upstream import Peer, RawUpstream
from tests.fuzz import mutation, views_grammar
from tests.fuzz.answers_grammar import CANARY, Answer, make_answer
from tests.fuzz.answers_model import Response, parse_response, understand
from tests.fuzz.campaign import Finding, shorter
from tests.fuzz.views_grammar import OWN_VIEW, Shown
from tests.fuzz.watched import WatchedServer

_PATHS: Final = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
_QUESTION: Final = (
    b'{"model":"m","stream":%b,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]%b}'
)
_ASKED: Final = {
    "chat": b"",
    "completions": b',"prompt":"hi"',
    "responses": b',"input":"hi"',
    "messages": b"",
}
# What we may say of an upstream's misbehaviour before there is a stream.
_REFUSALS: Final = frozenset({429, 502, 503, 504})
# Long enough for the server to read what was sent before a cut; where it is not, the cut is lost
# and nothing else.
_BETWEEN_WRITES: Final = 0.0005
# h11 takes any extension of a chunk, llhttp those of RFC 9112's grammar.
_ODD_EXTENSION: Final = re.compile(rb"\n[0-9a-fA-F]+[ \t]*;(?!a=\"b\"\r\n)")
# A line of a size alone, with or without an extension: "data: [D" begins with hex digits, too.
_CHUNK_EDGE: Final = re.compile(rb"\r?\n[0-9a-fA-F]+[ \t]*(;[^\n]*)?\r?\n")
_GENERATION: Final = re.compile(rb"[0-9a-z]{26}(?=_\d{16}|\b)")
_TIME: Final = re.compile(rb'"time":\d+')


@dataclass(frozen=True)
class Got:
    """What a client got, and what the views showed afterwards."""

    status: int
    body: bytes
    whole: bool
    link: str
    views: dict[str, Shown]


class UpstreamFuzzer:
    """See the module."""

    name = "upstreams"

    def __init__(self, data: Path) -> None:
        self._now = Answer("chat", b"")
        self._cuts: tuple[int, ...] = ()
        self._data = data
        self._upstream = RawUpstream(self._serve)
        self.server = self._started()
        self._seen: Counter[str] = Counter()
        self._checked = 0

    def _started(self) -> WatchedServer:
        return WatchedServer(
            CANARY,
            *("--upstream", self._upstream.base_url, "--model", "m", "--data", str(self._data)),
            *("--retry-budget", "0", "--breaker", "false", "--durability", "process"),
            *("--silence-timeout", "8s", "--first-byte-timeout", "20s"),
            *("--retention-size", "16MiB", "--max-event", "64KiB"),
            env={"TAILRACE_UPSTREAM_API_KEY": CANARY},
        )

    def renew(self) -> None:
        try:
            self.server.assert_well()
            self.server.assert_answers()
        except Finding:
            self.server.kill()
            self.server = self._started()

    def close(self) -> None:
        self._upstream.close()
        self.server.kill()

    # --- the upstream, in threads of its own --------------------------------------------------

    def _serve(self, peer: Peer) -> None:
        answer, cuts = self._now, self._cuts
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.ask()
        peer.take_all()
        for piece in mutation.divided(answer.wire, cuts):
            peer.socket.sendall(piece)
            if cuts:
                time.sleep(_BETWEEN_WRITES)
        if answer.after == "reset":
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif answer.after == "open":
            peer.socket.recv(1)  # the server closes, or asks again: then this is a lost connection

    # --- generating ---------------------------------------------------------------------------

    def make(self, dice: random.Random) -> Answer:
        return make_answer(dice)

    def smaller(self, case: Answer) -> Iterator[Answer]:
        if case.after != "fin":
            yield replace(case, after="fin")
        if case.text:
            yield replace(case, text=False)
        if len(case.cuts) > 1:
            yield replace(case, cuts=case.cuts[:1])
            yield replace(case, cuts=case.cuts[1:])
        for wire in shorter(case.wire):
            yield replace(case, wire=wire)

    def show(self, case: Answer) -> str:
        wire = repr(case.wire) if len(case.wire) < 3000 else f"{case.wire[:3000]!r} …"
        target = "/stream" if case.text else _PATHS[case.api]
        how = f"{target}, streamed: {case.streamed}, cut at {case.cuts}, then {case.after}"
        return f"    {how}\n    {wire}"

    def statistics(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self._seen.items()))

    # --- judging ------------------------------------------------------------------------------

    def check(self, case: Answer) -> None:
        first = self._ask(case, ())
        self._judge(case, first)
        if case.after == "fin" and case.cuts:
            self._same(first, self._ask(case, case.cuts))
        self.server.assert_well()
        self._checked += 1
        if self._checked % 50 == 0:
            self._upstream_is_left()
            self.server.assert_answers()

    def _ask(self, case: Answer, cuts: tuple[int, ...]) -> Got:
        self._now, self._cuts = case, cuts
        method, target, body = "GET", "/stream?content=hi", b""
        if not case.text:
            flag = b"true" if case.streamed else b"false"
            method, target = "POST", _PATHS[case.api]
            body = _QUESTION % (flag, _ASKED[case.api])
        try:
            with Viewer(self.server, method, target, [_JSON] if body else (), body) as viewer:
                viewer.head()
                status, fields = viewer.status, viewer.fields
                data, whole = _rest(viewer)
        except (EOFError, OSError, ValueError) as error:
            self.server.assert_well()
            raise Finding("a question has no answer", repr(error)) from error
        _no_canary("what is answered", repr(fields).encode() + data)
        link = fields.get("content-location", "")
        return Got(status, data, whole, link, self._views(case, link) if link else {})

    def _views(self, case: Answer, link: str) -> dict[str, Shown]:
        found = {}
        for name in ("sse", "ndjson", "text", OWN_VIEW[case.api]):
            try:
                with get(self.server, f"{link}?view={name}") as viewer:
                    data, whole = viewer.rest()
                    status = viewer.status
            except (EOFError, OSError, ValueError) as error:
                self.server.assert_well()
                raise Finding(f"the view {name} has no answer", repr(error)) from error
            if status != 200:
                raise Finding(f"the view {name} is refused", f"{status} {data[:300]!r}")
            _no_canary(f"the view {name}", data)
            found[name] = Shown(data, whole)
        return found

    def _judge(self, case: Answer, got: Got) -> None:
        meant = parse_response(case.wire)
        if not got.views:
            self._judge_refusal(meant, got)
            return
        ending = views_grammar.check(case.api, got.views)
        self._seen[ending] += 1
        own = Shown(got.body, got.whole)
        if case.text:
            if got.whole != (ending == "completed"):
                raise Finding("/stream does not tell the ending", f"{ending}, whole: {got.whole}")
            if (got.body, got.whole) != got.views["text"]:
                raise Finding("/stream and the view text differ", f"{got.body[-300:]!r}")
        elif case.streamed:
            views_grammar.check_own(case.api, own, ending)
        self._judge_ending(case, meant, ending)

    def _judge_refusal(self, meant: Response, got: Got) -> None:
        self._seen["refused" if got.status >= 400 else "handed on"] += 1
        if got.status == 500 and meant.status != 500:
            raise Finding("an internal error", repr(got.body[:500]))
        if meant.sound and got.status not in {meant.status, *_REFUSALS}:
            raise Finding("a status of nobody", f"{got.status}; the upstream's: {meant.status}")

    def _judge_ending(self, case: Answer, meant: Response, ending: str) -> None:
        told = understand(case.api, meant.body)
        if not meant.sound:
            word = {"responses": b"response.", "messages": b"message_stop"}.get(case.api, b"DONE")
            # What h11 read of the body before it gave up, and what a laxer reader may have read.
            seen = (meant.body, _CHUNK_EDGE.sub(b"", case.wire), case.wire)
            if ending == "completed" and not any(word in data for data in seen):
                raise Finding("completed without a last word", "in unsound HTTP")
            return
        if ending == "completed" and not told.may_be_completed:
            raise Finding("completed, but it is not", str(told))
        plain = case.after == "fin" and _is_plain(meant) and not _ODD_EXTENSION.search(case.wire)
        if ending != "completed" and plain and told.must_be_completed:
            raise Finding("a whole answer is not completed", f"{ending}, {told}")

    def _same(self, first: Got, second: Got) -> None:
        if (first.status, first.whole) != (second.status, second.whole):
            raise Finding("cuts change the answer", f"{first.status} then {second.status}")
        if _normal(first.body) != _normal(second.body):
            where = _first_difference(_normal(first.body), _normal(second.body))
            raise Finding("cuts change the bytes of an answer", where)
        for name, shown in first.views.items():
            a, b = _normal(shown.data), _normal(second.views[name].data)
            if a != b:
                raise Finding(f"cuts change the bytes of the view {name}", _first_difference(a, b))

    def _upstream_is_left(self) -> None:
        """Every connection to the upstream is closed, since the upstream closes its own side."""
        peers, self._upstream.peers = self._upstream.peers, []
        try:
            wait_for(lambda: all(peer.socket.fileno() == -1 for peer in peers))
        except AssertionError:
            raise Finding("a connection to the upstream stays open", f"after {WITHIN} s") from None


_JSON: Final = ("Content-Type", "application/json")


def _rest(viewer: Viewer) -> Body:
    """The body; what is handed on with a length may be cut as the upstream's was."""
    if viewer.status in (204, 304):
        return Body(b"", True)
    try:
        return viewer.rest()
    except EOFError:
        return Body(viewer.buffered(), False)


def _is_plain(meant: Response) -> bool:
    """Whether nothing but its events says how this answer ends."""
    fields = dict(meant.fields)
    return (
        meant.status == 200
        and meant.type.lower().startswith("text/event-stream")
        and b"content-encoding" not in fields
        and max(map(len, meant.body.split(b"\n")), default=0) < 60_000
        and len(meant.fields) < 100
    )


def _no_canary(where: str, data: bytes) -> None:
    for spelled in (CANARY.encode(), CANARY.replace("-", "\\u002d").encode()):
        if spelled in data:
            raise Finding(
                f"our key is in {where}", repr(data[max(0, data.index(spelled) - 80) :])[:300]
            )
    if b"sk-canary" in data and CANARY.encode() in data.replace(b"\\u002d", b"-"):
        raise Finding(f"our key is in {where}", "escaped")


def _normal(data: bytes) -> bytes:
    """Without what differs between two equal answers: the stream's id and the time."""
    return _TIME.sub(b'"time":0', _GENERATION.sub(b"G", data))


def _first_difference(a: bytes, b: bytes) -> str:
    at = next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    return f"{a[max(0, at - 60) : at + 60]!r} and {b[max(0, at - 60) : at + 60]!r}"


@contextlib.contextmanager
def opened() -> Iterator[UpstreamFuzzer]:
    """The fuzzer with a server of its own."""
    with tempfile.TemporaryDirectory() as directory:
        fuzzer = UpstreamFuzzer(Path(directory))
        try:
            yield fuzzer
        finally:
            fuzzer.close()
