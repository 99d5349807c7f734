"""From settings, a store and the uses to a running application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Final, NamedTuple

from tailrace.access.policy import Policy
from tailrace.config import Loaded, Settings
from tailrace.console.overview import Overview
from tailrace.console.services import ConsoleServices
from tailrace.contracts import Namespace, Namespaces, Observers, ReportsCommits, Store
from tailrace.errors import ConfigError
from tailrace.log.catalogue import Catalogue
from tailrace.log.commits import Commits
from tailrace.log.doorbell import Doorbell
from tailrace.log.encodings import Encodings
from tailrace.log.heartbeats import Heartbeats
from tailrace.log.history import History
from tailrace.log.lifecycle import Recover
from tailrace.log.machinery import Machinery
from tailrace.log.retention import Bounds
from tailrace.server import uses as table
from tailrace.server.app import Application
from tailrace.server.routes import server_table
from tailrace.stores import capacity
from tailrace.web.body_budget import Bodies
from tailrace.web.concurrency_limit import Allowance
from tailrace.web.services import Services, StreamRules
from tailrace.web.turns import Turns
from tailrace.web.use import Progress, Running, Start, Use, Warn

# How often retention looks: a stream outlives its time, and the total its bound, by this much.
_RETENTION_INTERVAL: Final = 30.0
# The policy's fields have the same names.
RELOADS: Final = frozenset({"allowed_hosts", "cors_origins", "insecure", "token"})
"""The settings of the core that a reload applies."""


class Reloaded(NamedTuple):
    """What a reload has done."""

    done: Sequence[str]
    """What the uses do from now on, in their words."""
    changed: Sequence[str]
    """The settings of the core that have another value than before."""


class Assembly:
    """Everything that lives as long as the server does."""

    def __init__(
        self,
        application: Application,
        services: Services,
        running: Sequence[Running],
        retained: Mapping[str, Bounds],
    ) -> None:
        """``retained``: by prefix, how long closed streams are kept and how many bytes of them."""
        self.application = application
        self.running = running
        self._catalogue = services.catalogue
        self._retained = retained
        self._retiring: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Open the store, end what a crash left, begin to enforce retention.

        Raises StoreLocked, StoreTooNew or StoreCorrupt.
        """
        await self._catalogue.open()
        loop = asyncio.get_running_loop()
        self._retiring = [
            loop.create_task(
                self._catalogue.retention.keep_retiring(
                    prefix, age=bounds.age, size=bounds.size, interval=_RETENTION_INTERVAL
                )
            )
            for prefix, bounds in self._retained.items()
        ]

    def reload(self, loaded: Loaded) -> Reloaded:
        """Apply what can be changed while the server runs, to requests from now on.

        Raises ConfigError, and then nothing was changed.
        """
        before = self.application.policy
        policy = _applied(before, loaded.settings)
        if policy.needs_token:
            raise ConfigError(
                f"The server listens on {policy.bound_host}, so it needs a token, or insecure."
            )
        appliers = [use.reload(loaded) for use in self.running]
        self.application.policy = policy
        changed = [key for key in sorted(RELOADS) if getattr(policy, key) != getattr(before, key)]
        return Reloaded([words for apply in appliers if (words := apply())], changed)

    async def close(self) -> None:
        """Flush the store and let it go. After the last request has ended."""
        for task in self._retiring:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for use in self.running:
            await use.stop()
        await self._catalogue.close()


async def assemble(
    loaded: Loaded,
    store: Store,
    *,
    environ: Mapping[str, str],
    bound_host: str,
    port: int,
    observers: Observers,
    warn: Warn,
    progress: Callable[[str], Progress],
    resources: AsyncExitStack,
    uses: tuple[Use, ...] = table.USES,
) -> Assembly:
    """Put together what one server needs, and start its uses. The store is not opened yet.

    ``resources`` closes what the uses opened. Raises StartupError.
    """
    if isinstance(store, ReportsCommits):
        store.on_commit = observers.on_commit
    settings = loaded.settings
    recover = {kind: each for use in uses for kind, each in use.recover.items()}
    catalogue = make_catalogue(settings, store, recover)
    services = make_services(settings, store, catalogue, table.namespaces(uses))
    start = Start(loaded, environ, services, observers, resources, warn, progress)
    running = [await use.start(start) for use in uses]
    routes = server_table(
        services,
        ConsoleServices(services, Overview(catalogue)),
        [use.routes for use in running],
    )
    policy = _applied(Policy(bound_host, port), settings)
    retained = {
        use.namespace.prefix: fitting(loaded, use.retention(loaded))
        for use in uses
        if use.retention is not None
    }
    application = Application(services, policy, observers, routes)
    return Assembly(application, services, running, retained)


def _applied(policy: Policy, settings: Settings) -> Policy:
    """Return ``policy`` with what the settings say; where it listens stays as it is."""
    return replace(
        policy,
        allowed_hosts=tuple(settings.allowed_hosts),
        cors_origins=tuple(settings.cors_origins),
        token=settings.token or None,
        insecure=settings.insecure,
    )


def make_services(
    settings: Settings,
    store: Store,
    catalogue: Catalogue,
    namespaces: Sequence[Namespace] = (),
) -> Services:
    """Put together what handlers work with."""
    return Services(
        catalogue=catalogue,
        store=store,
        namespaces=Namespaces(namespaces),
        max_body=settings.max_body,
        bodies=Bodies(settings.max_bodies),
        turns=Turns(),
        max_messages=settings.max_messages,
        rules=StreamRules(
            viewer_timeout=settings.viewer_timeout,
            long_poll_timeout=settings.long_poll_timeout,
            sse_lifetime=settings.sse_lifetime,
        ),
        long_polls=Allowance(
            settings.max_long_polls,
            "As many long-polls wait as may; ask again in a moment, or use live=sse.",
        ),
    )


def fitting(loaded: Loaded, bounds: Bounds) -> Bounds:
    """``bounds``, as far as the store has room.

    Where what does not fit ends running streams, those that ended have to go first: a quarter is
    left to what comes between two looks of retention.
    """
    room = capacity(loaded.settings.store, loaded)
    return bounds if room is None else bounds._replace(size=min(bounds.size, room * 3 // 4))


def make_catalogue(
    settings: Settings, store: Store, recover: Mapping[str, Recover] | None = None
) -> Catalogue:
    """The streams of ``store``, not opened yet. Call it on the event loop.

    ``recover``: by kind of source, what becomes of a stream whose source died with its process.
    """
    loop = asyncio.get_running_loop()
    shared = Machinery(
        store=store,
        commits=Commits(store),
        bell=Doorbell(loop),
        history=History(store),
        encodings=Encodings(),
        heartbeats=Heartbeats(loop, settings.heartbeat),
        window=settings.window,
        wall=lambda: time.time_ns() // 1_000_000,
        clock=loop.time,
        max_streams=settings.max_streams,
        max_producers=settings.max_producers,
    )
    return Catalogue(shared, patience=settings.viewer_timeout, recover=recover or {})
