"""What is open between the start and the end of an embedded Tailrace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tailrace.access.policy import Policy
from tailrace.config import Loaded
from tailrace.contracts import Observers, Right
from tailrace.embed.live import Live
from tailrace.embed.signals import Chain
from tailrace.log.catalogue import Catalogue
from tailrace.server.app import Application
from tailrace.server.assembly import make_catalogue, make_services
from tailrace.stores import open_url
from tailrace.streams.routes import mounted
from tailrace.web.routing import RouteTable, bind

logger = logging.getLogger(__name__)

_LINKS: Final = frozenset({Right.PUBLIC, Right.READ_LINK})
_ALL: Final = frozenset(Right)


class Runtime:
    """One opening of the store, with the applications that serve it."""

    def __init__(self, url: str, loaded: Loaded, *, writable: bool, guarded: bool) -> None:
        settings = loaded.settings
        store = open_url(url, loaded)
        self._loop = asyncio.get_running_loop()
        self._timeout = settings.shutdown_timeout
        self.catalogue: Final[Catalogue] = make_catalogue(settings, store)
        self.departure: Final = asyncio.Event()
        """Set once the application begins to end."""
        services = make_services(settings, store, self.catalogue)

        def application(judged: frozenset[Right], *, writable: bool) -> Application:
            policy = Policy("", 0, cors_origins=tuple(settings.cors_origins), judged=judged)
            # The application that we are in has an access log of its own, or wants none.
            routes = RouteTable(bind(mounted(writable=writable), services))
            return Application(services, policy, Observers(), routes, roots=("/",))

        self.mount: Final = application(_ALL if guarded else _LINKS, writable=writable)
        """What answers below the mounted path."""
        self.reader: Final = application(_ALL, writable=False)
        """What sends the streams that the application's own handlers return."""
        self._chain = Chain(self._hear)
        self._leaving: asyncio.Task[None] | None = None
        self._filling: set[asyncio.Task[None]] = set()

    async def open(self, *, signals: bool) -> None:
        """Raises StoreLocked, StoreTooNew or StoreCorrupt."""
        await self.catalogue.open()
        if signals:
            self._chain.install()

    def leave(self) -> None:
        """Begin to end: let readers go, end what runs. Returns at once; may be called again."""
        self.departure.set()
        if self._leaving is None:
            self._leaving = self._loop.create_task(self._drain(), name="tailrace-drain")

    def _hear(self) -> None:
        """In a signal handler, which may run between any two instructions of the loop."""
        self._loop.call_soon_threadsafe(self.leave)

    async def _drain(self) -> None:
        await asyncio.gather(self.mount.drain(self._timeout), self.reader.drain(self._timeout))

    async def close(self) -> None:
        """End everything and close the store."""
        self._chain.remove()
        self.leave()
        assert self._leaving is not None  # noqa: S101 - leave() made it
        await self._leaving
        if self._filling:
            await asyncio.wait(self._filling, timeout=self._timeout)
        await self.catalogue.close()

    def fill(self, live: Live, filling: Callable[[Live], Awaitable[object]]) -> None:
        """Run ``filling`` in a task of its own."""
        task = self._loop.create_task(_fill(live, filling), name=f"tailrace-{live.handle.name}")
        self._filling.add(task)
        task.add_done_callback(self._filling.discard)


async def _fill(live: Live, filling: Callable[[Live], Awaitable[object]]) -> None:
    try:
        async with live:
            await filling(live)
    except Exception:
        # The ending says that it failed, to readers; this says why, to whoever runs it.
        logger.exception("what was filling a stream failed")
