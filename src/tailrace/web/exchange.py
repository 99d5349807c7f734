"""One request and its response, over any ASGI server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from tailrace.access.decide import Decision, decide
from tailrace.access.policy import NO_POLICY, Policy
from tailrace.access.principal import NOBODY, Principal
from tailrace.contracts import EXTENSION, OPEN, Connection, Headers, Namespace, Right
from tailrace.errors import ShuttingDown
from tailrace.web.bodies import ClientGone
from tailrace.web.isolation import isolated
from tailrace.web.outcome import Outcome, Receive, Send
from tailrace.web.paths import ROOTS, Roots
from tailrace.wire.media_type import essence_of

T = TypeVar("T")


@dataclass(slots=True)
class Exchange:
    """What a handler is given: the request's facts, and ways to answer."""

    method: str
    path: str
    """As it was sent, percent-encoded, below ``base``."""
    query: bytes
    headers: Headers
    receive: Receive
    send: Send
    outcome: Outcome
    connection: Connection | None
    """The connection below, where the server is ours."""
    departure: asyncio.Event
    """Set once the server goes away."""
    scheme: str = "http"
    base: str = ""
    """Where the application is mounted: what its own URLs begin with."""
    roots: Roots = ROOTS
    """Below which paths the streams are."""
    extra: tuple[tuple[bytes, bytes], ...] = ()
    """Fields that belong on the response whatever it is (CORS, Vary)."""
    policy: Policy = NO_POLICY
    """What decides about this request, whatever a reload changes meanwhile."""
    principal: Principal = NOBODY
    """Who asks."""
    started: bool = field(default=False, init=False)
    """Whether the response's head went out."""
    goes_on: bool = field(default=False, init=False)
    """Whether the response goes on without its task. Whoever ends it ends ``outcome``, too."""

    def header(self, name: bytes) -> bytes | None:
        """The first field of that name (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    def decide(self, right: Right, resource: Namespace = OPEN) -> Decision:
        """Decide whether who asks may use ``right`` on streams of ``resource``."""
        return decide(self.policy, self.principal, right, resource)

    @property
    def search(self) -> str:
        """The query with its question mark, as it goes behind a path; empty where there is none."""
        return f"?{self.query.decode('latin-1')}" if self.query else ""

    def url(self) -> bytes:
        """What was asked for, without its query; absolute where the client named our host."""
        path = f"{self.base}{self.path}".encode("latin-1")
        host = self.header(b"host")
        return path if host is None else b"%b://%b%b" % (self.scheme.encode(), host, path)

    def accepts(self, media_type: str) -> bool:
        """Whether the client asks for that type by name."""
        accept = self.header(b"accept") or b""
        return media_type in map(essence_of, accept.split(b","))

    def accepts_events(self) -> bool:
        """Whether the client asks for an event stream by name, as EventSource does."""
        return self.accepts("text/event-stream")

    def asks_for_events(self) -> bool:
        """The same, or it names the last event that it had, which only such clients do."""
        return self.accepts_events() or self.header(b"last-event-id") is not None

    async def start(self, status: int, headers: Headers) -> None:
        """Send the response's head, with the fields that isolate it in a browser."""
        self.started = True
        fields = isolated(status, (*headers, *self.extra))
        await self.send({"type": "http.response.start", "status": status, "headers": fields})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send some of the body; ``more=False`` ends it."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def respond(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        """Send a whole response. To HEAD, the same head and no body (RFC 9110, 9.3.2)."""
        fields = list(headers)
        # 204 has no length; one to HEAD or with 304 is that of the body left out (RFC 9110, 8.6),
        # which whoever gives none here does not know.
        unknown = status in (204, 304) or (self.method == "HEAD" and not body)
        if not unknown and all(name != b"content-length" for name, _ in fields):
            fields.append((b"content-length", b"%d" % len(body)))
        await self.start(status, fields)
        await self.write(b"" if self.method == "HEAD" else body, more=False)

    async def respond_json(self, value: object, status: int = 200, headers: Headers = ()) -> None:
        """Send a whole response that holds ``value`` as JSON, which no cache may keep.

        In ASCII: half a character, which a name or a model's text may hold, has no UTF-8.
        """
        fields = [
            (b"content-type", b"application/json"), (b"cache-control", b"no-store"), *headers
        ]  # fmt: skip
        await self.respond(status, fields, json.dumps(value).encode("ascii"))

    def abort(self) -> None:
        """Leave the response without its end, so that the client's library reports it cut.

        Raises Aborted under a server that is not ours: to be let through to it.
        """
        self.outcome.aborted = True
        if self.connection is None:
            raise Aborted
        self.connection.abort()

    def break_off(self) -> None:
        """As ``abort``, from outside the request's task; nothing under a server not ours."""
        if self.connection is not None:
            self.abort()

    async def gone(self) -> None:
        """Return when the client has left. Only after its body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def unless_gone(self, work: Coroutine[Any, Any, T]) -> T:
        """``await work``, cancelled as soon as the client leaves, which raises ClientGone.

        While nothing was sent yet, it is cancelled when the server goes away too: the client
        can simply ask again. That raises ShuttingDown.
        """
        doing = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self.gone())
        closing = asyncio.ensure_future(self.departure.wait())
        reasons: set[asyncio.Task[Any]] = {doing, leaving, closing}
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            if self.started:
                await asyncio.wait(reasons - {closing}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if leaving.done():
                raise ClientGone
            raise ShuttingDown("The server is going away; try again in a moment.")
        finally:
            for task in reasons:
                await end_task(task)


class Aborted(Exception):
    """Raised through an ASGI server to have it drop the connection in mid-body."""


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task, if need be, and wait until it has ended. Its outcome is nobody's."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it as forgotten


def make_exchange(
    scope: MutableMapping[str, Any],
    receive: Receive,
    send: Send,
    outcome: Outcome,
    departure: asyncio.Event,
    *,
    roots: Roots = ROOTS,
) -> Exchange:
    """From what an ASGI server passes to an application."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope["path"])
    path = path.split("?", 1)[0]
    base = _base(path, scope.get("root_path", "").rstrip("/"))
    return Exchange(
        method=scope["method"],
        path=path.removeprefix(base),
        query=scope.get("query_string", b""),
        headers=[(name.lower(), value) for name, value in scope["headers"]],
        receive=receive,
        send=send,
        outcome=outcome,
        connection=(scope.get("extensions") or {}).get(EXTENSION),
        departure=departure,
        scheme=scope.get("scheme", "http"),
        base=base,
        roots=roots,
    )


def _base(path: str, root: str) -> str:
    """How a raw path spells the decoded ``root``; empty where it is not below it."""
    base = "/".join(path.split("/")[: root.count("/") + 1])
    return base if unquote(base) == root else ""
