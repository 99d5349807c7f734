"""What can end an answer, and what every endpoint and view then shows.

`ROWS` is the list; ``observe(rooms, row)`` makes it happen, in front of real sockets, and returns
a cell for each column of docs/endings.md.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from tailrace.testing.chunks import chunk, role_chunk
from tailrace.testing.exchange import Exchange
from tailrace.testing.faults import FAULTS, fault_scripts
from tailrace.testing.script import STALL, Head, Script, Send, Wait, script
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.wire import sse
from tailrace.wire.chat import delta_text
from tests.e2e.harness import Body, Server, Viewer, get, serving, wait_for

VIEWS: Final = ("sse", "text", "ndjson", "openai")
FRONTS: Final = ("stream", "events", "v1")
"""The endpoints that ask: ``/stream`` as text and as events, and OpenAI's."""

DONE_LINE: Final = b"data: [DONE]"
_NOTHING: Final = "—"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happens to an answer."""

    name: str
    note: str
    ending: str
    """How the streams that it happens to have to end; empty: there is none left to ask."""
    text: str = ""
    """What the answer had said by then."""
    script: str = "half"
    """What the upstream plays."""
    room: str = "patient"
    """Which server it happens to."""
    act: str = ""
    """What we do to it, once half of it is there: a method of `_Acts`."""


# --- the list -----------------------------------------------------------------------------------

_HALF: Final = ("Wasser ", "läuft")
_SCRIPTS: Final[Mapping[str, Script]] = {
    **fault_scripts(),
    "half": script(Head(), Send(role_chunk()), *(Send(chunk(text)) for text in _HALF), STALL),
}

_IMPATIENT: Final = ("stall", "stall-head", "stall-first-byte", "stall-in-event", "comments-only")

# The endings that are not `completed`. Written by hand: what the code does is compared with it.
_ENDINGS: Final = {
    **dict.fromkeys(
        (
            "cut",
            "cut-in-event",
            "cut-after-finish",
            "reset",
            "no-done",
            "no-done-after-finish",
            "empty-body",
            "short-length",
            "eof-without-done",
            "bad-chunk-size",
        ),
        "cut",
    ),
    **dict.fromkeys(_IMPATIENT, "stalled"),
    **dict.fromkeys(
        (
            "stall-head",  # no head: nothing of an answer was there to fall silent
            "malformed-event",
            "error-event",
            "error-event-first",
            "error-event-done",
            *("400", "401", "429", "500", "503", "502-html", "307"),
            *("html", "json", "gzip", "no-content", "not-http", "garbage"),
            *("closes", "resets", "half-a-head", "endless-head"),
        ),
        "failed",
    ),
}


def _upstream_row(name: str) -> Row:
    fault = FAULTS[name]
    room = "impatient" if name in _IMPATIENT else "patient"
    ending = _ENDINGS.get(name, "completed")
    return Row(name, fault.note, ending, fault.text, script=name, room=room)


def _own_row(name: str, note: str, ending: str, room: str, act: str = "") -> Row:
    return Row(name, note, ending, "".join(_HALF), room=room, act=act)


_OWN: Final = (
    Row(
        "event-over-max-event",
        "an event larger than `max_event`",
        "failed",
        script="oversized-event",
        room="impatient",
    ),
    _own_row("overtime", "more time than `total_timeout`", "stalled", "hurried"),
    Row("unreachable", "nothing listens where the upstream should be", "failed", room="alone"),
    _own_row("stopped", "a client stops it: POST with `Stream-Closed: true`", "cancelled",
             "patient", "stop"),
    _own_row("unwatched", "everybody left, for longer than `unwatched_timeout`", "cancelled",
             "unwatched", "leave"),
    _own_row("deleted", "DELETE, while it is watched", "expired", "patient", "delete"),
    Row("deleted-before", "asked for after DELETE", "", act="ask_after_delete"),
    _own_row("shutdown", "our server is told to end (SIGTERM), while it is watched",
             "interrupted", "mortal", "terminate"),
    _own_row("shutdown-before", "asked for after that server's restart", "interrupted",
             "mortal", "ask_after_terminate"),
    _own_row("killed", "our server is killed (SIGKILL), while it is watched", "interrupted",
             "mortal", "kill"),
    _own_row("killed-before", "asked for after that server's restart", "interrupted",
             "mortal", "ask_after_kill"),
)  # fmt: skip

ROWS: Final[Mapping[str, Row]] = MappingProxyType(
    {row.name: row for row in (*map(_upstream_row, FAULTS), *_OWN)}
)


# --- reading ------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """A whole response, understood."""

    status: int
    fields: Mapping[str, str]
    body: Body
    cell: str
    """For the table: how the response ended."""
    said: bytes
    """The model's words in it."""


@dataclass
class Reader:
    """A client of one response, in one format; keeps what it read."""

    viewer: Viewer
    format: str
    data: bytes = b""

    def until(self, words: bytes) -> None:
        """Read until ``words`` have come."""
        self.data += self.viewer.until(lambda data: words in self.data + data)

    def seen(self, sent: bytes | None = None) -> Seen:
        """Read to the end. ``sent`` is the upstream's own body, where it may be handed on."""
        rest = self.viewer.rest()
        body = Body(self.data + rest.data, rest.whole)
        status, fields = self.viewer.status, self.viewer.fields
        self.viewer.leave()
        if status != 200 or (body.data == sent and "content-location" not in fields):
            return Seen(status, fields, body, _refusal(status, body, sent), b"")
        cell, said = _FORMATS[self.format](body.data)
        return Seen(status, fields, body, _ended(cell, body), said)


def _ended(cell: str, body: Body) -> str:
    """``cell``, and the body's own end where there are no words or they speak against it."""
    if not cell:
        return "whole" if body.whole else "cut"
    return cell if body.whole else f"{cell}, cut"


def _refusal(status: int, body: Body, sent: bytes | None) -> str:
    if body.data == sent:
        cell = f"{status}, as it came"
    else:
        problem = json.loads(body.data)
        cell = f"{status} `{problem.get('error', problem)['code']}`"
    return cell if body.whole else f"{cell}, cut"


def _events(data: bytes) -> list[sse.SseEvent]:
    return sse.Parser(1 << 24).feed(data)


def _read_text(data: bytes) -> tuple[str, bytes]:
    return "", data


def _read_sse(data: bytes) -> tuple[str, bytes]:
    events = _events(data)
    said = b"".join(delta_text(event.data) for event in events if event.type == "")
    if events and events[-1].type == "end":
        return f"`end` {json.loads(events[-1].data)['ending']}", said
    last_block = data.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    return "`retry`" if last_block.startswith(b"retry:") else "", said


def _read_ndjson(data: bytes) -> tuple[str, bytes]:
    lines = [json.loads(line) for line in data.splitlines() if line]
    chunks = [line["data"] for line in lines if line["type"] == "data"]
    said = b"".join(delta_text(json.dumps(each).encode()) for each in chunks)
    if lines and lines[-1]["type"] == "end":
        return f"`end` {lines[-1]['ending']}", said
    return "", said


def _read_openai(data: bytes) -> tuple[str, bytes]:
    events = _events(data)
    said = b"".join(delta_text(event.data) for event in events if event.data != b"[DONE]")
    if not events:
        return "", said
    if events[-1].data == b"[DONE]":
        return "`[DONE]`", said
    error = json.loads(events[-1].data).get("error")
    return (f"`error` {error['code']}" if error else ""), said


_FORMATS: Final[Mapping[str, Callable[[bytes], tuple[str, bytes]]]] = {
    "stream": _read_text,
    "events": _read_sse,
    "v1": _read_openai,
    "sse": _read_sse,
    "text": _read_text,
    "ndjson": _read_ndjson,
    "openai": _read_openai,
}


def ask(server: Server, front: str, name: str) -> Reader:
    """Ask for the script ``name`` at one of the FRONTS; the head has not been read."""
    if front == "v1":
        asked = {"model": f"script:{name}", "stream": True, "messages": []}
        kind = ("Content-Type", "application/json")
        body = json.dumps(asked).encode()
        return Reader(Viewer(server, "POST", "/v1/chat/completions", (kind,), body), front)
    headers = (("Accept", "text/event-stream"),) if front == "events" else ()
    return Reader(Viewer(server, "GET", f"/stream?content=script:{name}", headers), front)


def watch(server: Server, link: str, view: str) -> Reader:
    """Read a stream from its beginning."""
    return Reader(get(server, f"{link}?view={view}&offset=-1"), view)


def ending_of(server: Server, link: str) -> str:
    """How the stream has ended; empty while it has not."""
    with Viewer(server, "HEAD", link) as viewer:
        return viewer.head().fields.get("stream-ending", "")


# --- servers ------------------------------------------------------------------------------------


@dataclass
class Rooms:
    """One scripted upstream, and servers in front of it, started when they are first needed."""

    home: Path
    stack: ExitStack
    _servers: dict[str, Server] = field(default_factory=dict)

    @cached_property
    def upstream(self) -> ThreadedUpstream:
        upstream = self.stack.enter_context(ThreadedUpstream(scripts=_SCRIPTS))
        for step in (step for each in _SCRIPTS.values() for step in each.steps):
            if isinstance(step, Wait) and step.gate not in ("stall", "reset"):
                upstream.open(step.gate)
        return upstream

    def server(self, room: str) -> Server:
        """The server of that room."""
        if room not in self._servers:
            self._servers[room] = self.start(room)
        return self._servers[room]

    def start(self, room: str, directory: str = "") -> Server:
        """A server as the room has it, with its data in a directory of that name."""
        flags = _FLAGS.get(room, ())
        data = self.home / (directory or room)
        return self.stack.enter_context(serving(self._asked(room), data, *flags))

    def _asked(self, room: str) -> str:
        if room != "alone":
            return self.upstream.base_url
        # Bound and not listening: connections are refused, and nobody else gets the port.
        held = self.stack.enter_context(socket.socket())
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}/v1"


# Short, and yet longer than a busy machine takes between two pieces of an answer.
_FLAGS: Final[Mapping[str, Sequence[str]]] = {
    "impatient": ("--silence-timeout=0.5", "--first-byte-timeout=0.5", "--max-event=64KiB"),
    "hurried": ("--total-timeout=1",),
    "unwatched": ("--unwatched-timeout=0.3",),
}


@contextmanager
def rooms(home: Path) -> Iterator[Rooms]:
    """Servers that end with the block."""
    with ExitStack() as stack:
        yield Rooms(home, stack)


# --- making it happen ---------------------------------------------------------------------------


@dataclass
class Observed:
    """What a row of the table shows, and what tests look at besides."""

    row: Row
    fronts: dict[str, Seen] = field(default_factory=dict)
    views: dict[str, Seen] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """The streams that the three questions made, by endpoint."""
    endings: dict[str, str] = field(default_factory=dict)
    """How these ended, as the server says that now holds them."""
    asked: list[Exchange] = field(default_factory=list)
    """What the upstream knows of these questions, where we did something to them."""

    @property
    def all(self) -> dict[str, Seen]:
        return {**self.fronts, **self.views}

    @property
    def cells(self) -> list[str]:
        """The row after its first two columns."""
        ending = f"`{self.row.ending}`" if self.row.ending else _NOTHING
        seen = self.all
        return [ending, *(seen[n].cell if n in seen else _NOTHING for n in (*FRONTS, *VIEWS))]


def observe(rooms: Rooms, row: Row) -> Observed:
    """Let it happen to three answers, one for each endpoint that asks."""
    if row.act:
        happened: Observed = getattr(_Acts(rooms, row), row.act)()
        return happened
    server = rooms.server(row.room)
    readers = [ask(server, front, row.script) for front in FRONTS]
    if row.script == "reset":
        for reader in readers:
            reader.viewer.head()
            reader.until("läuft".encode())
        rooms.upstream.open("reset")
    observed = Observed(row)
    for reader in readers:
        if not reader.viewer.status:
            reader.viewer.head()
        sent = _body(row.script) if reader.format == "v1" else None
        observed.fronts[reader.format] = reader.seen(sent)
    _look_up(observed, server)
    _look_at(observed, [watch(server, observed.links["events"], view) for view in VIEWS])
    return observed


def _body(name: str) -> bytes:
    """What the upstream's answer has for a body."""
    return b"".join(step.data for step in _SCRIPTS[name].steps if isinstance(step, Send))


def _look_up(observed: Observed, server: Server) -> None:
    for front, seen in observed.fronts.items():
        if "content-location" in seen.fields:
            observed.links[front] = seen.fields["content-location"]
    observed.endings = {f: ending_of(server, link) for f, link in observed.links.items()}


def _look_at(observed: Observed, readers: Iterable[Reader]) -> None:
    for reader in readers:
        observed.views[reader.format] = reader.seen()


@dataclass
class _Acts:
    """What we do to three half answers that are watched."""

    rooms: Rooms
    row: Row
    _asked: list[Exchange] = field(default_factory=list)

    def _begin(self, server: Server) -> tuple[list[Reader], list[Reader], dict[str, str]]:
        """Three half answers as their askers see them, and the first one in every view."""
        words = _HALF[-1].encode()
        before = len(self.rooms.upstream.requests)
        askers = [ask(server, front, "half") for front in FRONTS]
        for asker in askers:
            asker.viewer.head()
            asker.until(words)
        self._asked = self.rooms.upstream.requests[before:]
        links = {each.format: each.viewer.fields["content-location"] for each in askers}
        watchers = [watch(server, links["stream"], view) for view in VIEWS]
        for watcher in watchers:
            watcher.until(words)
        return askers, watchers, links

    def _end(
        self, server: Server, askers: list[Reader], watchers: list[Reader], links: dict[str, str]
    ) -> Observed:
        observed = Observed(self.row, links=links, asked=self._asked)
        observed.fronts = {asker.format: asker.seen() for asker in askers}
        _look_at(observed, watchers)
        if self.row.ending not in ("", "expired"):
            observed.endings = {f: ending_of(server, link) for f, link in links.items()}
        return observed

    def _watched(self, act: Callable[[Server, str], None]) -> Observed:
        server = self.rooms.server(self.row.room)
        askers, watchers, links = self._begin(server)
        for link in links.values():
            act(server, link)
        return self._end(server, askers, watchers, links)

    def stop(self) -> Observed:
        return self._watched(_stop)

    def delete(self) -> Observed:
        return self._watched(_delete)

    def ask_after_delete(self) -> Observed:
        server = self.rooms.server(self.row.room)
        askers, watchers, links = self._begin(server)
        for link in links.values():
            _delete(server, link)
        for reader in (*askers, *watchers):
            reader.viewer.leave()
        return self._end(server, [], [watch(server, links["stream"], v) for v in VIEWS], links)

    def leave(self) -> Observed:
        server = self.rooms.server(self.row.room)
        askers, watchers, links = self._begin(server)
        for reader in (*askers, *watchers):
            reader.viewer.leave()
        # HEAD is no watching.
        wait_for(lambda: all(ending_of(server, link) for link in links.values()))
        return self._end(server, [], [watch(server, links["stream"], v) for v in VIEWS], links)

    def terminate(self) -> Observed:
        return self._outlived(lambda server: server.terminate(), 0)

    def ask_after_terminate(self) -> Observed:
        return self._outlived(lambda server: server.terminate(), 0, later=True)

    def kill(self) -> Observed:
        return self._outlived(lambda server: server.kill(), -9)

    def ask_after_kill(self) -> Observed:
        return self._outlived(lambda server: server.kill(), -9, later=True)

    def _outlived(
        self, end: Callable[[Server], int], code: int, *, later: bool = False
    ) -> Observed:
        server = self.rooms.start("mortal", self.row.name)
        askers, watchers, links = self._begin(server)
        # Changes become durable in their order, and this returns when its own is.
        with ask(server, "stream", "half").viewer.head() as last:
            _stop(server, last.fields["content-location"])
        assert end(server) == code
        heir = self.rooms.start("mortal", self.row.name)
        if later:
            for reader in (*askers, *watchers):
                reader.viewer.leave()
            askers, watchers = [], [watch(heir, links["stream"], view) for view in VIEWS]
        return self._end(heir, askers, watchers, links)


def _stop(server: Server, link: str) -> None:
    with Viewer(server, "POST", link, (("Stream-Closed", "true"),)) as viewer:
        assert viewer.head().status == 204


def _delete(server: Server, link: str) -> None:
    with Viewer(server, "DELETE", link) as viewer:
        assert viewer.head().status == 204


# --- the page -----------------------------------------------------------------------------------

_HEAD: Final = (
    "name",
    "what happens",
    "ending",
    "`/stream`",
    "`/stream` as events",
    "`/v1`",
    *(f"view `{view}`" for view in VIEWS),
)


def table(observed: Iterable[Observed]) -> str:
    """The table of docs/endings.md."""
    rows: list[Sequence[str]] = [_HEAD, ["---"] * len(_HEAD)]
    rows += [[f"`{each.row.name}`", each.row.note, *each.cells] for each in observed]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
