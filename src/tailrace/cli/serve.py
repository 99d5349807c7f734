"""``tailrace serve``: the composition root, where concrete classes meet.

The order of starting is by cost and by what a mistake in it means: settings, the port (so that
a second server fails at once), the upstream, the store with its lock. Clients that come early
wait in the listener's backlog. Closing goes the other way round.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, closing, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

from platformdirs import user_data_dir

from tailrace.cli import collector, configuration, listener, runner
from tailrace.cli.console import say
from tailrace.cli.signals import reload_on_signal, stop_on_signals
from tailrace.cli.upstream import Opened, open_upstreams
from tailrace.config import Loaded, Settings
from tailrace.errors import ConfigError
from tailrace.server import page
from tailrace.server.access_log import AccessLog
from tailrace.server.assembly import Assembly, assemble, store_options
from tailrace.server.http1 import Limits, make_protocol
from tailrace.stores import open_url
from tailrace.upstream.router import Router

T = TypeVar("T")

_EXAMPLE: Final = "Hello world"
_STORE_FILE: Final = "tailrace.db"


class _Started(NamedTuple):
    assembly: Assembly
    opened: Opened
    where_to_look: list[str]


def run(flags: Mapping[str, str]) -> int:
    """Serve until a signal says stop; the exit code. Raises StartupError."""
    loaded = configuration.read(flags, os.environ)
    settings = loaded.settings
    _refuse_exposure(settings)
    listening = listener.listen(settings.host, settings.port)
    reload = configuration.Reloader(flags, os.environ, settings)
    with closing(listening), asyncio.Runner(loop_factory=runner.loop_factory()) as loop:
        loop.run(_serve(loaded, os.environ, listening, reload))
    return 0


def _refuse_exposure(settings: Settings) -> None:
    if listener.is_loopback(settings.host) or settings.token or settings.insecure:
        return
    raise ConfigError(
        f"Listening on {settings.host} lets others use this server: set TAILRACE_TOKEN to a "
        "secret that clients must show, or say --insecure."
    )


async def _serve(
    loaded: Loaded,
    environ: Mapping[str, str],
    listening: socket.socket,
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
            started = await _unless(stop, _start(loaded, environ, listening, resources))
            if started is None:
                return
            reload.opened = started.opened
            collector.settle()
            limits = Limits(max_url=settings.max_url, max_header=settings.max_header)
            await runner.serve(
                started.assembly.application,
                listening,
                protocol=make_protocol(
                    limits,
                    AccessLog.of_format(say, settings.log_format),
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
    listening: socket.socket,
    resources: AsyncExitStack,
) -> _Started:
    """Open everything; ``resources`` closes it, last opened first. Raises StartupError."""
    settings = loaded.settings
    opened = await open_upstreams(loaded, environ, resources)
    url = _store_url(settings)
    assembly = assemble(
        settings,
        open_url(url, store_options(settings)),
        opened.router,
        default_model=opened.default_model.name,
        bound_host=settings.host,
        port=listening.getsockname()[1],
        log=say,
    )
    await assembly.open()
    resources.push_async_callback(assembly.close)
    where = _where_to_look(settings, listener.url(listening), opened, url)
    return _Started(assembly, opened, where)


def _store_url(settings: Settings) -> str:
    if settings.store:
        return settings.store
    data = settings.data or user_data_dir("tailrace", appauthor=False)
    return f"sqlite:{Path(data, _STORE_FILE)}"


def _where_to_look(settings: Settings, url: str, opened: Opened, store: str) -> list[str]:
    example = f"{url}/stream?content={quote(_EXAMPLE)}"
    lines = [
        f"Tailrace listens on {url}",
        *([f"  page      {url}/"] if page.is_built() else []),
        f"  try       curl -N '{example}'",
        f"  health    {url}/health",
        *(f"  upstream  {line}" for line in _upstreams(opened.router)),
        f"  model     {opened.model_in_words}",
        f"  store     {store}",
    ]
    if settings.token:
        lines.append("  access    with the token from TAILRACE_TOKEN or the configuration")
    elif not listener.is_loopback(settings.host):
        lines.append("  access    --insecure: anyone who reaches this port may ask and read")
    return lines


def _upstreams(router: Router) -> list[str]:
    """One line each; the only one needs no name."""
    if router.base_url:
        return [router.base_url]
    specs = [target.spec for target in router.targets]
    return [
        f"{spec.name}  {spec.url}  {', '.join([*spec.models, *(a for a, _ in spec.aliases)])}"
        for spec in specs
    ]
