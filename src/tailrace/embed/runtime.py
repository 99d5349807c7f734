"""What is open between the start and the end of an embedded Tailrace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from tailrace.access.policy import Policy, Right
from tailrace.chat.answers import Recorder
from tailrace.config import Settings
from tailrace.contracts import Attempts, UpstreamRequest
from tailrace.embed.live import Live
from tailrace.embed.signals import Chain
from tailrace.errors import UpstreamUnreachable
from tailrace.log.catalogue import Catalogue
from tailrace.server.app import Application
from tailrace.server.assembly import make_catalogue, make_services, store_options
from tailrace.server.routes import mounted
from tailrace.stores import open_url
from tailrace.web.access_log import AccessLog
from tailrace.wire.redaction import Redactor

logger = logging.getLogger(__name__)

_LINKS: Final = frozenset({Right.PUBLIC, Right.READ_LINK})
_ALL: Final = frozenset(Right)


class NoUpstreams:
    """There are no model APIs here; what asks one all the same is told so."""

    def attempts(self, request: UpstreamRequest) -> Attempts:  # noqa: ARG002 - the contract's
        _none()

    def disconnect(self, model: str) -> str:  # noqa: ARG002 - the contract's
        return ""

    @property
    def redact(self) -> Redactor:
        return Redactor()

    async def close(self) -> None:
        return


async def _no_model() -> str:
    _none()


def _none() -> NoReturn:
    raise UpstreamUnreachable("This application has no upstream; it fills its streams itself.")


class Runtime:
    """One opening of the store, with the applications that serve it."""

    def __init__(self, url: str, settings: Settings, *, writable: bool, guarded: bool) -> None:
        store = open_url(url, store_options(settings))
        self._loop = asyncio.get_running_loop()
        self._timeout = settings.shutdown_timeout
        self.catalogue: Final[Catalogue] = make_catalogue(settings, store)
        self.departure: Final = asyncio.Event()
        """Set once the application begins to end."""
        services = make_services(
            settings,
            store,
            self.catalogue,
            NoUpstreams(),
            Recorder(self.catalogue, lambda _: None),
            default_model=_no_model,
            # Whoever mounts us may ask for a login; only they know what others may be given.
            shared_caches=False,
        )

        def application(judged: frozenset[Right], *, writable: bool) -> Application:
            policy = Policy("", 0, cors_origins=tuple(settings.cors_origins), judged=judged)
            # The application that we are in has an access log of its own, or wants none.
            return Application(
                services, policy, AccessLog(lambda _: None), mounted(writable=writable)
            )

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
