"""From settings, a store and an upstream to a running application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tailrace.access.policy import Policy
from tailrace.chat.answers import Recorder
from tailrace.chat.assembled import AssemblyRoom
from tailrace.chat.idempotency import Keys
from tailrace.chat.relay.relay_request import RelayLimits
from tailrace.config import Settings
from tailrace.console.overview import Overview
from tailrace.contracts import Store, Upstreams
from tailrace.log.catalogue import Catalogue
from tailrace.log.commits import Commits
from tailrace.log.doorbell import Doorbell
from tailrace.log.encodings import Encodings
from tailrace.log.heartbeats import Heartbeats
from tailrace.log.history import History
from tailrace.log.machinery import Machinery
from tailrace.server.app import Application
from tailrace.stores import StoreOptions, capacity
from tailrace.web.access_log import AccessLog
from tailrace.web.body_budget import Bodies
from tailrace.web.concurrency_limit import Allowance
from tailrace.web.services import CHAT, Services, StreamRules
from tailrace.web.turns import Turns

# How often retention looks: an answer outlives its time, and the total its bound, by this much.
_RETENTION_INTERVAL: Final = 30.0


class Assembly:
    """Everything that lives as long as the server does."""

    def __init__(self, application: Application, services: Services, settings: Settings) -> None:
        self.application = application
        self._catalogue = services.catalogue
        self._recorder = services.recorder
        self._settings = settings
        self._retention: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the store, end what a crash left, begin to enforce retention.

        Raises StoreLocked, StoreTooNew or StoreCorrupt.
        """
        await self._catalogue.open()
        settings = self._settings
        self._retention = asyncio.get_running_loop().create_task(
            self._catalogue.retention.keep_retiring(
                CHAT,
                age=settings.retention_age,
                size=retained(settings),
                interval=_RETENTION_INTERVAL,
            )
        )

    async def close(self) -> None:
        """Flush the store and let it go. After the last request has ended."""
        if self._retention is not None:
            self._retention.cancel()
            with suppress(asyncio.CancelledError):
                await self._retention
        await self._recorder.close()
        await self._catalogue.close()


def assemble(
    settings: Settings,
    store: Store,
    upstreams: Upstreams,
    *,
    default_model: Callable[[], Awaitable[str]],
    bound_host: str,
    port: int,
    log: Callable[[str], None],
) -> Assembly:
    """Put together what one server needs; opens nothing. Call it on the event loop."""
    catalogue = make_catalogue(settings, store)
    access_log = AccessLog.of_format(log, settings.log_format)
    services = make_services(
        settings,
        store,
        catalogue,
        upstreams,
        Recorder(catalogue, access_log.answered),
        default_model=default_model,
        shared_caches=not settings.token,
    )
    policy = Policy(
        bound_host=bound_host,
        port=port,
        allowed_hosts=tuple(settings.allowed_hosts),
        cors_origins=tuple(settings.cors_origins),
        token=settings.token or None,
        insecure=settings.insecure,
    )
    return Assembly(Application(services, policy, access_log), services, settings)


def make_services(
    settings: Settings,
    store: Store,
    catalogue: Catalogue,
    upstreams: Upstreams,
    recorder: Recorder,
    *,
    default_model: Callable[[], Awaitable[str]],
    shared_caches: bool,
) -> Services:
    """What handlers work with. ``shared_caches``: what is read may be kept for others, too."""
    return Services(
        catalogue=catalogue,
        store=store,
        upstreams=upstreams,
        default_model=default_model,
        relay_limits=RelayLimits(
            max_event=settings.max_event,
            stall=settings.viewer_stall,
            content=settings.content_timeout,
        ),
        recorder=recorder,
        keys=Keys(catalogue),
        disconnect=settings.disconnect,
        keep=settings.unwatched_timeout,
        first_heartbeat=settings.first_heartbeat,
        continues=settings.continue_answers,
        ask_usage=settings.ask_usage,
        max_body=settings.max_body,
        bodies=Bodies(settings.max_bodies),
        turns=Turns(),
        max_messages=settings.max_messages,
        max_upload=settings.max_upload,
        rules=StreamRules(
            viewer_timeout=settings.viewer_timeout,
            long_poll_timeout=settings.long_poll_timeout,
            sse_lifetime=settings.sse_lifetime,
            shared_caches=shared_caches,
        ),
        long_polls=Allowance(
            settings.max_long_polls,
            "As many long-polls wait as may; ask again in a moment, or use live=sse.",
        ),
        token=settings.token,
        assembling=AssemblyRoom(settings.max_assembled),
        overview=Overview(catalogue),
    )


def retained(settings: Settings) -> int:
    """Bytes of ended answers that are kept.

    Where what does not fit ends running answers, those that ended have to go first: a quarter is
    left to what comes between two looks of retention.
    """
    room = capacity(settings.store, store_options(settings))
    return settings.retention_size if room is None else min(settings.retention_size, room * 3 // 4)


def store_options(settings: Settings) -> StoreOptions:
    """What the settings say of any store."""
    return StoreOptions(
        durability=settings.durability,
        memory_limit=settings.memory_limit,
        erase_within=settings.erase_within,
        commit_interval=settings.commit_interval,
        max_uncommitted=settings.max_uncommitted,
        journal_limit=settings.journal_limit,
    )


def make_catalogue(settings: Settings, store: Store) -> Catalogue:
    """The streams of ``store``, not opened yet. Call it on the event loop."""
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
    return Catalogue(shared, patience=settings.viewer_timeout)
