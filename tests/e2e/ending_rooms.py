"""``observe(rooms, row, fronts)`` makes a row happen, in front of real sockets.

What it returns has a cell for each column of the tables of docs/endings.md.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.wire.llm.apis import APIS
from tests.e2e.ending_readers import FRONTS, Reader, Seen, views_of
from tests.e2e.ending_rows import GATES, HALF, LATE, SCRIPTS, Row, sent_body
from tests.e2e.harness import Server, Viewer, get, serving, wait_for

_JSON: Final = ("Content-Type", "application/json")


def ask(server: Server, front: str, row: Row, script: str = "") -> Reader:
    """Ask at one of the FRONTS for what the upstream plays in a row; the head has not been read."""
    api, name = FRONTS[front].api, script or row.name
    if front in ("stream", "events"):
        headers = (("Accept", "text/event-stream"),) if front == "events" else ()
        viewer = Viewer(server, "GET", f"/stream?content=script:{name}", headers)
    else:
        asked = {"model": f"script:{name}", "stream": True, "messages": []}
        path, body = f"/v1{APIS[api].path}", json.dumps(asked).encode()
        viewer = Viewer(server, "POST", path, (_JSON,), body)
    return Reader(viewer, front, api, sent_body(row, api), asks=True)


def watch(server: Server, link: str, view: str, api: str, row: Row) -> Reader:
    """Read a stream from its beginning."""
    viewer = get(server, f"{link}?view={view}&offset=-1")
    return Reader(viewer, view, api, sent_body(row, api), asks=False)


def ending_of(server: Server, link: str) -> str:
    """How the stream has ended; empty while it has not."""
    with Viewer(server, "HEAD", link) as viewer:
        return viewer.head().fields.get("stream-ending", "")


def answer(server: Server, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request without a body."""
    with Viewer(server, method, path) as viewer:
        body = viewer.head().rest().data
        return viewer.status, json.loads(body)


# --- servers ------------------------------------------------------------------------------------


@dataclass
class Rooms:
    """One scripted upstream, and servers in front of it, started when they are first needed."""

    home: Path
    stack: ExitStack
    _servers: dict[str, Server] = field(default_factory=dict)

    @cached_property
    def upstream(self) -> ThreadedUpstream:
        upstream = self.stack.enter_context(ThreadedUpstream(scripts=SCRIPTS))
        for gate in GATES:
            upstream.open(gate)
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
    "hasty": ("--first-heartbeat=0.02", "--first-byte-timeout=1"),
}


@contextmanager
def rooms(home: Path) -> Iterator[Rooms]:
    """Servers that end with the block."""
    with ExitStack() as stack:
        yield Rooms(home, stack)


# --- making it happen ---------------------------------------------------------------------------


@dataclass
class Observed:
    """What a row of a table shows, and what tests look at besides."""

    row: Row
    server: Server
    """Which now holds the streams."""
    fronts: dict[str, Seen] = field(default_factory=dict)
    late: dict[str, Seen] = field(default_factory=dict)
    """Of a refusal: what those see who had been answered already."""
    views: dict[str, dict[str, Seen]] = field(default_factory=dict)
    """By API and view."""
    links: dict[str, str] = field(default_factory=dict)
    """The streams that the questions made, by endpoint."""
    endings: dict[str, str] = field(default_factory=dict)
    """How these ended, as the server says that now holds them."""
    asked: list[ScriptedExchange] = field(default_factory=list)
    """What the upstream knows of these questions, where we did something to them."""
    identity: str = ""
    """What a client has learnt to be the id of the Response."""
    retrieved: tuple[int, dict[str, Any]] = (0, {})
    """The Response, asked for by its id."""

    @property
    def all(self) -> dict[str, Seen]:
        """Every response, by endpoint, or by API and view."""
        seen = {f"/{front}": each for front, each in self.fronts.items()}
        for api, views in self.views.items():
            seen |= {f"{api} {view}": each for view, each in views.items()}
        return seen


def observe(rooms: Rooms, row: Row, fronts: Sequence[str]) -> Observed:
    """Let it happen to an answer for each of the FRONTS that ask."""
    if row.act:
        happened: Observed = getattr(_Acts(rooms, row, fronts), row.act)()
        return happened
    server = rooms.server(row.room)
    readers = [ask(server, front, row) for front in fronts]
    if row.script == "reset":
        for reader in readers:
            reader.viewer.head()
            reader.until(HALF[-1].encode())
        rooms.upstream.open("reset")
    observed = Observed(row, server)
    observed.fronts = _read(readers)
    _note_links(observed, observed.fronts)
    if not observed.links and row.room != "alone":
        _ask_and_wait(rooms, observed, fronts)
    _look_up(observed)
    _look_at(observed, _watchers(observed))
    return observed


def _read(readers: Iterable[Reader]) -> dict[str, Seen]:
    seen = {}
    for reader in readers:
        if not reader.viewer.status:
            reader.viewer.head()
        seen[reader.name] = reader.seen()
    return seen


def _note_links(observed: Observed, fronts: Mapping[str, Seen]) -> None:
    for front, seen in fronts.items():
        if "content-location" in seen.fields:
            observed.links[front] = seen.fields["content-location"]


def _ask_and_wait(rooms: Rooms, observed: Observed, fronts: Sequence[str]) -> None:
    """A refusal that comes when the clients have been answered: then there are streams of it."""
    row, observed.server = observed.row, rooms.server("hasty")
    script = f"{LATE}{row.name}"
    readers = [ask(observed.server, front, row, script) for front in fronts]
    for reader in readers:
        reader.viewer.head()
    rooms.upstream.open(script)
    observed.late = _read(readers)
    _note_links(observed, observed.late)


def _shown(links: Mapping[str, str]) -> dict[str, str]:
    """Of each API the stream that is read in the views."""
    return {FRONTS[front].api: link for front, link in links.items() if front != "v1"}


def _watchers(observed: Observed) -> list[Reader]:
    server, row = observed.server, observed.row
    shown = _shown(observed.links)
    return [
        watch(server, link, view, api, row) for api, link in shown.items() for view in views_of(api)
    ]


def _look_up(observed: Observed) -> None:
    observed.endings = {
        front: ending_of(observed.server, link) for front, link in observed.links.items()
    }


def _look_at(observed: Observed, readers: Iterable[Reader]) -> None:
    for reader in readers:
        observed.views.setdefault(reader.api, {})[reader.name] = reader.seen()
    if "responses" in observed.views:
        said = observed.views["responses"]["responses"].body.data
        _retrieve(observed, observed.fronts["responses"].body.data if observed.fronts else said)


def _retrieve(observed: Observed, said: bytes) -> None:
    """The Response by its id, if a client has been told that."""
    _, found, rest = said.partition(b'"response":{"id":"')
    if found:
        observed.identity = rest.partition(b'"')[0].decode()
        path = f"/v1/responses/{observed.identity}"
        observed.retrieved = answer(observed.server, "GET", path)


@dataclass
class _Acts:
    """What we do to half answers that are watched."""

    rooms: Rooms
    row: Row
    fronts: Sequence[str]
    _asked: list[ScriptedExchange] = field(default_factory=list)

    def _begin(self, server: Server) -> tuple[list[Reader], list[Reader], dict[str, str]]:
        """Half answers as their askers see them, and one of each API in every view."""
        words = HALF[-1].encode()
        before = len(self.rooms.upstream.requests)
        askers = [ask(server, front, self.row) for front in self.fronts]
        for asker in askers:
            asker.viewer.head()
            asker.until(words)
        self._asked = self.rooms.upstream.requests[before:]
        links = {each.name: each.viewer.fields["content-location"] for each in askers}
        watchers = self._watch(server, links)
        for watcher in watchers:
            watcher.until(words)
        return askers, watchers, links

    def _watch(self, server: Server, links: Mapping[str, str]) -> list[Reader]:
        return _watchers(Observed(self.row, server, links=dict(links)))

    def _end(
        self, server: Server, askers: list[Reader], watchers: list[Reader], links: dict[str, str]
    ) -> Observed:
        observed = Observed(self.row, server, links=links, asked=self._asked)
        observed.fronts = _read(askers)
        _look_at(observed, watchers)
        if self.row.ending not in ("", "expired"):
            _look_up(observed)
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
        return self._end(server, [], self._watch(server, links), links)

    def leave(self) -> Observed:
        server = self.rooms.server(self.row.room)
        askers, watchers, links = self._begin(server)
        for reader in (*askers, *watchers):
            reader.viewer.leave()
        # HEAD is no watching.
        wait_for(lambda: all(ending_of(server, link) for link in links.values()))
        return self._end(server, [], self._watch(server, links), links)

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
        with ask(server, "stream", self.row).viewer.head() as last:
            _stop(server, last.fields["content-location"])
        assert end(server) == code
        heir = self.rooms.start("mortal", self.row.name)
        if later:
            for reader in (*askers, *watchers):
                reader.viewer.leave()
            askers, watchers = [], self._watch(heir, links)
        return self._end(heir, askers, watchers, links)


def _stop(server: Server, link: str) -> None:
    with Viewer(server, "POST", link, (("Stream-Closed", "true"),)) as viewer:
        assert viewer.head().status == 204


def _delete(server: Server, link: str) -> None:
    with Viewer(server, "DELETE", link) as viewer:
        assert viewer.head().status == 204
