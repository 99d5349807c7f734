"""Runs an ASGI application under uvicorn, with a shutdown that begins with the application.

uvicorn alone waits for its connections to close and only then tells the application; a server
whose connections are streams without an end would wait for ever. Here the order is

    1. stop accepting, close idle connections
    2. application.drain(): running streams end, readers are let go
    3. wait for what is still being sent
    4. at the deadline, abort the rest

and the process then exits 0, where uvicorn would raise the signal again.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import socket
from collections.abc import Awaitable, Callable, Generator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol, TypeAlias

import uvicorn

from tailrace.cli.listener import BACKLOG

# The Date header changes once a second.
_TICK: Final = 1.0
# How late we may notice that the last connection closed.
_POLL: Final = 0.02
# Aborted requests run their clean-up code; it has nothing to wait for.
_CLEANUP_TIMEOUT: Final = 1.0


_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]


class DrainableApplication(Protocol):
    """An ASGI application that can be asked to let go of its clients."""

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None: ...

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 -- a duty, not a limit
        """End sources honestly and responses within ``timeout`` seconds; refuse new work."""
        ...


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed, else asyncio's own choice for the platform."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


async def serve(
    application: DrainableApplication,
    listeners: Sequence[socket.socket],
    *,
    protocol: type[asyncio.Protocol],
    stop: asyncio.Event,
    keepalive_timeout: float,
    shutdown_timeout: float,
    ready: Callable[[], None],
) -> None:
    """Serve until ``stop`` is set, then shut down within ``shutdown_timeout`` seconds.

    A connection without a request is closed after ``keepalive_timeout`` seconds. ``ready`` is
    called once requests can be served. The ``listeners`` are closed at the end.
    """
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        # Who asks is decided from the connection; X-Forwarded-* is a claim.
        proxy_headers=False,
        # Else uvicorn reads WEB_CONCURRENCY.
        workers=1,
        backlog=BACKLOG,
    )
    # Said to be an int by uvicorn's signature, and only ever given to call_later.
    config.timeout_keep_alive = keepalive_timeout  # type: ignore[assignment]
    await _Server(config, application, stop, shutdown_timeout, ready).serve(list(listeners))


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        application: DrainableApplication,
        stop: asyncio.Event,
        shutdown_timeout: float,
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._application = application
        self._stop = stop
        self._shutdown_timeout = shutdown_timeout
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are ours already; see ``tailrace.cli.signals``."""
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._ready()
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(_TICK):
                    await self._stop.wait()
            except TimeoutError:
                # 0, as every tick is one that renews the Date header.
                await self.on_tick(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await self._application.drain(self._shutdown_timeout)
                await self._idle()
        except TimeoutError:
            pass
        finally:
            await self._abort()

    async def _idle(self) -> None:
        # uvicorn's sets ring no bell, so they are polled.
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)

    async def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in set(self.server_state.tasks):
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLEANUP_TIMEOUT):
                await self._idle()
