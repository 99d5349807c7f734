"""``tailrace serve``: the composition root, where concrete classes meet.

The order of starting is by cost and by what a mistake in it means: settings, the port (so that
a second server fails at once), the upstream, the store with its lock. Clients that come early
wait in the listener's backlog. Closing goes the other way round.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

from platformdirs import user_data_dir

from tailrace.cli import collector, configuration, limits, listener, runner, unix_socket
from tailrace.cli.console import Progress, say, warn
from tailrace.cli.listener import Listening
from tailrace.cli.signals import reload_on_signal, stop_on_signals
from tailrace.config import Loaded, Settings
from tailrace.console import assets
from tailrace.contracts import Observers
from tailrace.errors import ConfigError
from tailrace.http1.protocol import Limits, make_protocol
from tailrace.server.assembly import Assembly, assemble
from tailrace.stores import open_url
from tailrace.web.access_log import AccessLog
from tailrace.web.error_responses import problem
from tailrace.wire.hosts import is_loopback

T = TypeVar("T")

_EXAMPLE: Final = "Hello world"
_STORE_FILE: Final = "tailrace.db"


class _Started(NamedTuple):
    assembly: Assembly
    where_to_look: list[str]


def run(flags: Mapping[str, str]) -> int:
    """Serve until a signal says stop; the exit code. Raises StartupError."""
    loaded = configuration.read(flags, os.environ)
    settings = loaded.settings
    limits.check()
    reload = configuration.Reloader(flags, os.environ, loaded)
    with _listen(settings) as listening:
        if not listening.is_local:
            _refuse_exposure(settings, listening.where)
        with asyncio.Runner(loop_factory=runner.loop_factory()) as loop:
            loop.run(_serve(loaded, os.environ, listening, reload))
    return 0


def _listen(settings: Settings) -> Listening:
    if settings.uds and settings.fd:
        raise ConfigError("There are both uds and fd; give one of them.")
    if settings.uds:
        return unix_socket.listen(settings.uds, int(settings.uds_mode, 8))
    if settings.fd:
        return listener.inherit(int(settings.fd))
    if not is_loopback(settings.host):
        _refuse_exposure(settings, settings.host)
    return listener.listen(settings.host, settings.port)


def _refuse_exposure(settings: Settings, where: str) -> None:
    if settings.token or settings.insecure:
        return
    raise ConfigError(
        f"Listening on {where} lets others use this server: set TAILRACE_TOKEN to a "
        "secret that clients must show, or say --insecure."
    )


async def _serve(
    loaded: Loaded,
    environ: Mapping[str, str],
    listening: Listening,
    reload: configuration.Reloader,
) -> None:
    settings = loaded.settings
    stop = asyncio.Event()

    def stop_because(signal: str) -> None:
        say(f"{signal}: shutting down; a second signal aborts")
        stop.set()

    # Without a file there is nothing to read again: a terminal that hangs up ends the server.
    reloading = reload_on_signal(reload) if reload.has_file else nullcontext()
    with stop_on_signals(stop_because), reloading:
        async with AsyncExitStack() as resources:
            observers = Observers(AccessLog.of_format(say, settings.log_format))
            starting = _start(loaded, environ, listening, observers, resources)
            started = await _unless(stop, starting)
            if started is None:
                return
            reload.assembly = started.assembly
            collector.settle()
            head = Limits(max_url=settings.max_url, max_header=settings.max_header)
            await runner.serve(
                started.assembly.application,
                listening.sockets,
                protocol=make_protocol(
                    head,
                    problem,
                    observers,
                    extends=not settings.plain_asgi,
                ),
                stop=stop,
                keepalive_timeout=settings.keepalive_timeout,
                shutdown_timeout=settings.shutdown_timeout,
                ready=lambda: say("\n".join(started.where_to_look)),
            )


async def _unless(stop: asyncio.Event, starting: Coroutine[Any, Any, T]) -> T | None:
    """The result of ``starting``, or None where ``stop`` was set before there was one."""
    start = asyncio.create_task(starting)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return start.result() if start.done() else None
    finally:
        start.cancel()
        stopping.cancel()
        await asyncio.gather(start, stopping, return_exceptions=True)


async def _start(
    loaded: Loaded,
    environ: Mapping[str, str],
    listening: Listening,
    observers: Observers,
    resources: AsyncExitStack,
) -> _Started:
    """Open everything; ``resources`` closes it, last opened first. Raises StartupError."""
    settings = loaded.settings
    # libuv starts its resolver's threads here, and not where there may be none left: it aborts.
    await asyncio.get_running_loop().getaddrinfo(
        "127.0.0.1", 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )
    url = _store_url(settings)
    assembly = await assemble(
        loaded,
        open_url(url, loaded),
        environ=environ,
        bound_host=listening.host,
        port=listening.port,
        observers=observers,
        warn=warn,
        progress=Progress,
        resources=resources,
    )
    await assembly.open()
    resources.push_async_callback(assembly.close)
    where = _where_to_look(settings, listening, assembly, url)
    return _Started(assembly, where)


def _store_url(settings: Settings) -> str:
    if settings.store:
        return settings.store
    return f"sqlite:{Path(settings.data or _users_data(), _STORE_FILE)}"


def _users_data() -> str:
    """The user's own directory for data. Raises ConfigError where there is no such user."""
    try:
        directory = user_data_dir("tailrace", appauthor=False)
    except (RuntimeError, KeyError, OSError):
        directory = ""
    # Without HOME and an entry among the users what a path begins with stays a bare tilde.
    if not Path(directory).is_absolute():
        raise ConfigError(
            "There is no home directory to keep data in: name a directory with --data DIR, or "
            "set HOME."
        )
    return directory


def _where_to_look(
    settings: Settings, listening: Listening, assembly: Assembly, store: str
) -> list[str]:
    url, curl = listening.where, "curl"
    if listening.is_unix:
        path = shlex.quote(url.removeprefix("unix:"))
        url, curl = "http://localhost", f"curl --unix-socket {path}"
    lines = [
        f"Tailrace listens on {listening.where}",
        *([f"  page      {url}/"] if assets.is_built() and not listening.is_unix else []),
        f"  try       {curl} -N '{url}/stream?content={quote(_EXAMPLE)}'",
        f"  health    {curl + ' ' if listening.is_unix else ''}{url}/health",
        *(f"  {word:<9} {line}" for use in assembly.running for word, line in use.summary()),
        f"  store     {store}",
    ]
    if settings.token:
        lines.append("  access    with the token from TAILRACE_TOKEN or the configuration")
    elif not listening.is_local:
        lines.append("  access    --insecure: anyone who reaches this port may ask and read")
    return lines
