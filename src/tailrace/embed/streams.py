"""``Streams``: Tailrace as a part of an application of one's own.

    streams = Streams("sqlite:streams.db")
    app = FastAPI(lifespan=streams.lifespan)      # or: async with streams: …
    app.mount("/streams", streams)                # the protocol, for browsers and clients

    @app.post("/jobs/{name}")
    async def job(name: str):
        return streams.response(await streams.start(name, work))

Whom to trust is the application's affair: who may ask for ``/streams/…`` is decided by its
middleware, or by ``guard``. What is mounted only reads, unless it is told otherwise: to write is
the application's own code's business.

Everything here belongs to the event loop on which it was opened, and to one process: another one
that opens the same file gets StoreLocked.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from tailrace.embed.asgi import App, Receive, Scope, Send, refuse, serve_lifespan, target
from tailrace.embed.handle import Handle
from tailrace.embed.live import Live
from tailrace.embed.options import read_options
from tailrace.embed.runtime import Runtime
from tailrace.errors import MalformedOffset, NotFound, StreamExists
from tailrace.log.live_source import LiveSource
from tailrace.log.making import Making
from tailrace.log.stream import Stream
from tailrace.model import Offset, StreamInfo
from tailrace.wire.durable import check_content_type
from tailrace.wire.media_type import essence
from tailrace.wire.names import name_to_path, parse_name

if TYPE_CHECKING:
    from tailrace.embed.starlette import StreamResponse

Guard: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[bool]]
"""Given a request's ASGI scope, whether it may have what it asks for. Does not read its body."""
Filling: TypeAlias = Callable[[Live], Awaitable[object]]
"""Writes a stream, to its end."""

TEXT: Final = "text/plain; charset=utf-8"


class Streams:
    """A store of streams: an async context manager, and an ASGI application to be mounted."""

    def __init__(
        self,
        store: str,
        *,
        mount: str = "/streams",
        writable: bool = False,
        guard: Guard | None = None,
        signals: bool = True,
        **options: object,
    ) -> None:
        """``store`` is ``sqlite:PATH`` or ``memory:``; nothing is opened yet.

        ``mount``: the path below which the application will mount this; for ``Handle.url``.
        ``writable``: clients of the mount may make, append to, close, list and delete streams.
        ``guard``: asked for each request below the mount.
        ``signals``: begin to end at SIGTERM and SIGINT, beside the server's own handlers.
        ``options``: settings by their names in docs/configuration.md, such as ``heartbeat``,
        ``durability``, ``cors_origins``, ``max_body``.

        Raises TypeError for an unknown option, ConfigError for a value out of range.
        """
        self._store = store
        self._mount = mount.rstrip("/")
        self._writable = writable
        self._guard = guard
        self._signals = signals
        self._loaded = read_options(options)
        self._open: Runtime | None = None

    # --- the beginning and the end ----------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the store. Raises ConfigError, StoreLocked, StoreTooNew or StoreCorrupt."""
        if self._open is not None:
            raise RuntimeError("This Streams is open already.")
        runtime = Runtime(
            self._store,
            self._loaded,
            writable=self._writable,
            guarded=self._guard is not None,
        )
        await runtime.open(signals=self._signals)
        self._open = runtime
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let readers go, interrupt what runs, close the store."""
        runtime, self._open = self._runtime, None
        await runtime.close()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """What FastAPI and Starlette take as ``lifespan``."""
        async with self:
            yield

    def leave(self) -> None:
        """Begin to end now: readers are let go, sources interrupted, new requests sent back.

        Signals do this by themselves; for servers that are ended in another way.
        """
        self._runtime.leave()

    @property
    def _runtime(self) -> Runtime:
        if self._open is None:
            raise RuntimeError(
                "Streams is not open: give the application lifespan=streams.lifespan, or use "
                "'async with streams:'."
            )
        return self._open

    # --- streams ----------------------------------------------------------------------------

    async def create(
        self, name: str, *, content_type: str = TEXT, ttl: int | None = None, exist_ok: bool = False
    ) -> Handle:
        """Make a stream, or with ``exist_ok`` get the one that is there; durable on return.

        ``ttl``: seconds without a read or a write after which it is gone. Raises StreamExists,
        MalformedName, BadRequest (for what is no content type), TooMany or StoreError.
        """
        check_content_type(content_type)
        if exist_ok and (there := await self._existing(name, content_type)) is not None:
            return there
        making = Making(content_type, ttl)
        stream, created = await self._runtime.catalogue.put(_checked(name), making)
        if not (created or exist_ok):
            raise StreamExists("There is a stream of this name already; choose another name.")
        return self._handle(stream)

    async def get(self, name: str) -> Handle:
        """The stream of that name. Raises NotFound, StreamDeleted or StoreError."""
        return self._handle(await self._runtime.catalogue.get(name))

    def live(self, name: str, *, content_type: str = TEXT, ttl: int | None = None) -> Live:
        """A new stream that the block of an ``async with`` fills; see ``tailrace.embed.live``.

        Raises BadRequest for what is no content type.
        """
        catalogue = self._runtime.catalogue
        check_content_type(content_type)

        async def make() -> tuple[Stream, Handle]:
            catalogue.refuse_if_unwell()
            stream = await catalogue.create(_checked(name), content_type, LiveSource.kind, ttl=ttl)
            return stream, self._handle(stream)

        return Live(make, catalogue)

    async def start(
        self,
        name: str,
        filling: Filling,
        *,
        content_type: str = TEXT,
        ttl: int | None = None,
        exist_ok: bool = False,
    ) -> Handle:
        """A new stream that ``await filling(live)`` fills in a task of its own, whoever leaves.

        With ``exist_ok`` a stream that is there is returned as it is, and nothing is started: so
        the same request, made again, finds its answer. Raises as ``create``.
        """
        if exist_ok and (there := await self._existing(name, content_type)) is not None:
            return there
        live = self.live(name, content_type=content_type, ttl=ttl)
        try:
            await live.open()
        except StreamExists:
            if not exist_ok:
                raise
            return await self.get(name)  # made by another request meanwhile
        self._runtime.fill(live, filling)
        return live.handle

    async def delete(self, name: str) -> None:
        """Stop its source, tell its readers, erase it. Raises NotFound or StoreError."""
        await self._runtime.catalogue.delete(name)

    async def trim(self, name: str, offset: str) -> None:
        """Keep nothing up to ``offset``. Raises NotFound, MalformedOffset, OffsetGone, StoreError.

        Readers who come for an earlier place are told; "-1" begins at what is kept.
        """
        catalogue = self._runtime.catalogue
        stream = await catalogue.get(name)
        place = Offset.parse(offset)
        if place is None:
            raise MalformedOffset("Trim up to an offset that Tailrace gave, unchanged.")
        await catalogue.trim(stream, catalogue.place(stream, place))

    async def list(
        self, prefix: str = "", *, before: str = "", limit: int = 100
    ) -> list[StreamInfo]:
        """Streams whose names begin with ``prefix``, newest first.

        ``before``: the ``generation`` of the last one of the page before. Fewer than ``limit``:
        there are no more.
        """
        found: list[StreamInfo] = []
        while True:
            page = await self._runtime.catalogue.page(
                prefix, before=before, limit=limit - len(found)
            )
            found += page.streams
            before = page.looked_to
            if not before:
                return found

    async def _existing(self, name: str, content_type: str) -> Handle | None:
        try:
            there = await self.get(_checked(name))
        except NotFound:
            return None
        if essence(there.content_type) != essence(content_type):
            raise StreamExists(f"This stream is there already, and is {there.content_type}.")
        return there

    def _handle(self, stream: Stream) -> Handle:
        runtime = self._runtime
        url = f"{self._mount}/{name_to_path(stream.name)}"
        return Handle(stream, runtime.catalogue, url, runtime.departure)

    # --- HTTP -------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The protocol, for the requests below a mount."""
        if scope["type"] == "lifespan":
            await serve_lifespan(self, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})  # refused: 403 to the client
            return
        runtime = self._runtime
        guard = self._guard if scope["method"] != "OPTIONS" else None
        if guard is not None and not await guard(scope):
            await refuse(send)
            return
        await runtime.mount(scope, receive, send)

    def around(self, app: App) -> App:
        """``app`` with this mounted in front of it, for an application without a router of ASGI's.

        The lifespan, too, is served here: Django, for one, has none.
        """
        prefix = self._mount + "/"

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await self(scope, receive, send)
                return
            path: str = scope.get("path", "")
            root = scope.get("root_path", "")
            root = root if path.startswith(root) else ""  # some servers leave it out of the path
            path = path.removeprefix(root)
            if scope["type"] == "http" and path.startswith(prefix):
                await self({**scope, "root_path": root + self._mount}, receive, send)
                return
            await app(scope, receive, send)

        return dispatch

    async def send(
        self, handle: Handle, scope: Scope, receive: Receive, send: Send, *, view: str = "sse"
    ) -> None:
        """Answer any request with a stream, as a GET of the stream itself would be answered.

        Last-Event-ID, ``offset``, ``live`` and ``view`` of the request count. ``view`` is for a
        client that says nothing of the kind. The response says in Content-Location where the
        stream can be had again.
        """
        asked, place = target(scope, self._mount, handle.name, view)

        async def locate(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                fields = [*message["headers"], (b"content-location", place)]
                message = {**message, "headers": fields}
            await send(message)

        await self._runtime.reader(asked, receive, locate)

    def response(self, handle: Handle, *, view: str = "sse") -> StreamResponse:
        """What a handler of Starlette or FastAPI returns to have a stream sent; see ``send``.

        For Django, ``await tailrace.embed.django.response(streams, handle, request)``.
        """
        module = importlib.import_module("tailrace.embed.starlette")
        made: StreamResponse = module.StreamResponse(partial(self.send, handle, view=view))
        return made


def _checked(name: str) -> str:
    """Raises MalformedName."""
    return parse_name(name_to_path(name).encode("ascii"))
