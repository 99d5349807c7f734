"""What is measured: loads, and the servers that stand under each of them."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench import servers
from bench.driver import Load
from bench.servers import Place, Start, free_port, running

Figures: TypeAlias = dict[str, Any]
Measure: TypeAlias = Callable[[Load, int, Place], Figures]
"""Drives a server that runs (by its process id) and gives figures."""

_CHAT: Final = json.dumps(
    {"model": "bench", "stream": True, "messages": [{"role": "user", "content": "Tell me."}]}
)
_JSON: Final = {"Content-Type": "application/json"}
_EVENTS: Final = {"Accept": "text/event-stream"}


@dataclass(frozen=True)
class Effort:
    """How long and how often."""

    rounds: int
    seconds: float
    warmup: float
    plots: bool


FULL: Final = Effort(rounds=3, seconds=5.0, warmup=1.5, plots=True)
QUICK: Final = Effort(rounds=1, seconds=3.0, warmup=1.0, plots=False)


@dataclass(frozen=True)
class Entrant:
    """A server in a scenario."""

    name: str
    start: Start
    measure: Measure


@dataclass(frozen=True)
class Scenario:
    """Servers under one load, and what is said of it."""

    key: str
    title: str
    unit: str
    entrants: tuple[Entrant, ...]
    shown: Mapping[str, str] = field(default_factory=dict)
    """Figures beside the cost: name and column."""


def measure_once(entrant: Entrant, load: Load, core: int | None, cache: Path) -> Figures:
    """Start the server, measure, end it. Raises MissingPeer or LoadFailed."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=cache))
    place = Place(core, folder, free_port(), load.upstream, cache)
    try:
        with running(entrant.start, place) as pid:
            return entrant.measure(load, pid, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- the loads --------------------------------------------------------------------------------


def by_stream(effort: Effort, streams: int = 300, rate: float = 50, **more: Any) -> Measure:
    """The article's request: GET /stream?content=…, answered with the text alone."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        if more.get("beside"):
            _put(f"{place.url}/streams/beside", "text/plain")
        return load.run(
            "relay",
            pids=[pid],
            method="GET",
            url=f"{place.url}/stream?content=Tell%20me.",
            publish=f"{place.url}/streams/beside",
            streams=streams,
            rate=rate,
            size=100,
            seconds=effort.seconds,
            warmup=effort.warmup,
            **more,
        )

    return measure


def by_chat(effort: Effort, streams: int = 300, rate: float = 50) -> Measure:
    """The API's own request: POST /v1/chat/completions, answered with the chunks."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        return load.run(
            "relay",
            pids=[pid],
            method="POST",
            url=f"{place.url}/v1/chat/completions",
            body=_CHAT,
            headers=_JSON,
            streams=streams,
            rate=rate,
            seconds=effort.seconds,
            warmup=effort.warmup,
        )

    return measure


def fanned_out(
    effort: Effort, publish: str, view: str, viewers: int = 1000, *, make: bool, rate: float = 50
) -> Measure:
    """One stream, many viewers, 50 events of 100 bytes a second."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        if make:
            _put(place.url + publish, "text/plain")
        return load.run(
            "fanout",
            pids=[pid],
            url=place.url + view,
            publish=place.url + publish,
            headers=_EVENTS,
            viewers=viewers,
            rate=rate,
            size=100,
            seconds=effort.seconds,
            warmup=effort.warmup,
        )

    return measure


def idle(view: str, viewers: int, seconds: float, *, make: bool) -> Measure:
    """Viewers of a stream in which nothing happens."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        if make:
            _put(place.url + view, "text/plain")
        return load.run(
            "idle",
            pids=[pid],
            url=place.url + view,
            headers=_EVENTS,
            viewers=viewers,
            seconds=seconds,
            warmup=2.0,
        )

    return measure


def appended(effort: Effort, path: str) -> Measure:
    """64 writers, each with a stream of its own, 100 bytes an append, one after the other."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        return load.run(
            "append",
            pids=[pid],
            url=place.url + path,
            writers=64,
            size=100,
            seconds=effort.seconds,
            warmup=effort.warmup,
        )

    return measure


def replayed(effort: Effort, path: str) -> Measure:
    """100 000 events of 100 bytes, read from the first to the last, again and again."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        return load.run(
            "replay",
            pids=[pid],
            url=place.url + path,
            count=100_000,
            size=100,
            seconds=effort.seconds,
        )

    return measure


def _put(url: str, content_type: str) -> None:
    request = urllib.request.Request(url, b"", {"Content-Type": content_type}, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


# --- the table --------------------------------------------------------------------------------

_LATENCY: Final = {"p50": "p50 ms", "p99": "p99 ms"}


def scenarios(effort: Effort) -> tuple[Scenario, ...]:
    """Everything that is compared."""
    sqlite, memory = servers.tailrace(), servers.tailrace(store="memory")
    return (
        Scenario(
            "stream",
            "Relay: 300 answers at 50 tokens/s, `GET /stream`",
            "µs/token",
            (
                Entrant("Go program", servers.article, by_stream(effort)),
                Entrant("Tailrace, SQLite", sqlite, by_stream(effort)),
                Entrant("Tailrace, memory", memory, by_stream(effort)),
                Entrant(
                    "Tailrace, memory, plain ASGI",
                    servers.tailrace("--plain-asgi", store="memory"),
                    by_stream(effort),
                ),
                Entrant(
                    "Tailrace, SQLite, beside 1000 viewers", sqlite, by_stream(effort, beside=1000)
                ),
            ),
            {**_LATENCY, "first_p50": "first token ms"},
        ),
        Scenario(
            "chat",
            "Relay: 300 answers at 50 tokens/s, `POST /v1/chat/completions`",
            "µs/token",
            (
                Entrant("nginx", servers.nginx, by_chat(effort)),
                Entrant("HAProxy", servers.haproxy, by_chat(effort)),
                Entrant("Tailrace, memory", memory, by_chat(effort)),
                Entrant("Tailrace, SQLite", sqlite, by_chat(effort)),
                Entrant(
                    "Starlette and httpx (100 answers)", servers.starlette, by_chat(effort, 100)
                ),
                Entrant("LiteLLM's proxy (20 answers)", servers.litellm, by_chat(effort, 20)),
            ),
            {**_LATENCY, "first_p50": "first token ms"},
        ),
        Scenario(
            "fanout",
            "Fan-out: 1 stream, 1000 viewers, 50 events/s of 100 bytes",
            "µs/delivery",
            (
                Entrant(
                    "nchan", servers.nchan, fanned_out(effort, "/publish", "/subscribe", make=False)
                ),
                Entrant(
                    "Tailrace, SQLite",
                    sqlite,
                    fanned_out(effort, "/streams/b", "/streams/b", make=True),
                ),
                Entrant(
                    "@durable-streams/server",
                    servers.durable_streams,
                    fanned_out(effort, "/b", "/b?offset=-1&live=sse", 250, make=True),
                ),
            ),
            _LATENCY,
        ),
        Scenario(
            "idle",
            "2000 idle viewers (EventSource)",
            "bytes/viewer",
            (
                Entrant("nchan", servers.nchan, idle("/subscribe", 2000, 2.0, make=False)),
                Entrant("Tailrace, SQLite", sqlite, idle("/streams/i", 2000, 2.0, make=True)),
            ),
        ),
        Scenario(
            "crowd",
            "10 000 idle viewers for 31 s (two heartbeats each)",
            "% of a core",
            (Entrant("Tailrace, SQLite", sqlite, idle("/streams/i", 10_000, 31.0, make=True)),),
        ),
        Scenario(
            "append",
            "Append: 64 writers, 100 bytes, durable",
            "µs/append",
            (
                Entrant("@durable-streams/server", servers.durable_streams, appended(effort, "/a")),
                Entrant("Tailrace, SQLite", sqlite, appended(effort, "/streams/a")),
            ),
            _LATENCY,
        ),
        Scenario(
            "replay",
            "Replay: 100 000 events of 100 bytes",
            "µs/MB",
            (
                Entrant("@durable-streams/server", servers.durable_streams, replayed(effort, "/r")),
                Entrant("Tailrace, SQLite", sqlite, replayed(effort, "/streams/r")),
            ),
        ),
    )


def cost(key: str, figures: Figures) -> float:
    """The one figure of a scenario that is compared."""
    if key == "idle":
        return float(figures["bytes"])
    if key == "crowd":
        return float(100 * figures["cores"])
    if key == "replay":
        return float(figures["us_per_mb"])
    return float(figures["us"])
