"""What is measured: loads, and the servers that stand under each of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from bench import servers
from bench.driver import Bench
from bench.loads import (
    Climb,
    Effort,
    Figures,
    Measure,
    appended,
    by_chat,
    by_stream,
    by_stream_in_company,
    fanned_out,
    held,
    idle,
    replayed,
)
from bench.servers import Place, Start, free_port, running

FULL: Final = Effort(rounds=3, seconds=3.0, warmup=1.0, plots=True)
QUICK: Final = Effort(rounds=1, seconds=3.0, warmup=1.0, plots=False, climb=1.5)


@dataclass(frozen=True)
class Entrant:
    """A server in a scenario."""

    name: str
    start: Start
    measure: Measure | Climb


class Column(NamedTuple):
    """A figure beside the cost."""

    figure: str
    title: str
    scale: float = 1.0
    form: str = ".2f"


@dataclass(frozen=True)
class Scenario:
    """Servers under one load, and what is said of it."""

    key: str
    title: str
    unit: str
    cost: str
    """The one figure that is compared."""
    entrants: tuple[Entrant, ...]
    shown: tuple[Column, ...] = ()
    rounds: int = 0
    """How many; 0: as many as the effort says."""


@contextmanager
def placed(bench: Bench) -> Iterator[Place]:
    """Where a server may be started, and what it leaves there is removed."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=bench.cache))
    try:
        yield Place(bench.core, folder, free_port(), free_port(), bench.load.upstream, bench.cache)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_once(entrant: Entrant, bench: Bench) -> Figures:
    """Start the server, measure, end it. Raises MissingPeer or LoadFailed."""

    def measured(measure: Measure) -> Figures:
        with placed(bench) as place, running(entrant.start, place) as pid:
            return measure(bench.load, pid, place)

    if isinstance(entrant.measure, Climb):
        return entrant.measure.climb(measured)
    return measured(entrant.measure)


# --- the table --------------------------------------------------------------------------------

_LATENCY: Final = (Column("p50", "p50 ms", 1e-3), Column("p99", "p99 ms", 1e-3))
_FIRST: Final = Column("first_p50", "first token ms", 1e-3)
_SQLITE: Final = servers.tailrace()
_MEMORY: Final = servers.tailrace(store="memory")
_PLAIN: Final = servers.tailrace("--plain-asgi", store="memory")
# What Pushpin is posted; the stamp of the load is where each event's has its place.
_GRIP: Final = (
    '{"items":[{"channel":"bench","formats":{"http-stream":{"content":"data: ~00000000'
    + "." * 91
    + '\\n\\n"}}}]}'
)


def scenarios(effort: Effort) -> tuple[Scenario, ...]:
    """Everything that is compared."""
    return (*_relays(effort), *_viewers(effort), *_logs(effort))


def _relays(effort: Effort) -> tuple[Scenario, ...]:
    return (
        Scenario(
            "stream",
            "Relay: 300 answers at 50 tokens/s, `GET /stream`",
            "µs/token",
            "us",
            (
                Entrant("Go program", servers.article, by_stream(effort)),
                Entrant("Tailrace, SQLite", _SQLITE, by_stream(effort)),
                Entrant("Tailrace, memory", _MEMORY, by_stream(effort)),
                Entrant("Tailrace, memory, plain ASGI", _PLAIN, by_stream(effort)),
                Entrant(
                    "Tailrace, SQLite, beside 1000 viewers", _SQLITE, by_stream_in_company(effort)
                ),
            ),
            (*_LATENCY, _FIRST),
        ),
        Scenario(
            "chat",
            "Relay: 300 answers at 50 tokens/s, `POST /v1/chat/completions`",
            "µs/token",
            "us",
            (
                Entrant("nginx", servers.nginx, by_chat(effort)),
                Entrant("HAProxy", servers.haproxy, by_chat(effort)),
                Entrant("Tailrace, memory", _MEMORY, by_chat(effort)),
                Entrant("Tailrace, SQLite", _SQLITE, by_chat(effort)),
                Entrant(
                    "Starlette and httpx (100 answers)", servers.starlette, by_chat(effort, 100)
                ),
                Entrant("LiteLLM's proxy (20 answers)", servers.litellm, by_chat(effort, 20)),
            ),
            (*_LATENCY, _FIRST),
        ),
        Scenario(
            "most",
            "Most on one core: 300 answers, ever faster, `GET /stream` (one climb)",
            "tokens/s",
            "per_second",
            (
                Entrant("Go program", servers.article, Climb(effort)),
                Entrant("Tailrace, SQLite", _SQLITE, Climb(effort)),
                Entrant("Tailrace, memory", _MEMORY, Climb(effort)),
            ),
            (
                *_LATENCY,
                Column("cores", "server's core", 100, ".0f"),
                Column("limit", "no more, because", form="s"),
            ),
            rounds=1,  # some eight steps each
        ),
    )


def _viewers(effort: Effort) -> tuple[Scenario, ...]:
    durable = servers.durable_streams
    ours = fanned_out(effort, "/streams/b", "/streams/b", make="/streams/b")
    # These two are full with a thousand.
    theirs = fanned_out(effort, "/b?offset=-1&live=sse", "/b", 250, make="/b")
    held_on = fanned_out(effort, "/viewers", "control/publish/", 250, body=_GRIP)
    return (
        Scenario(
            "fanout",
            "Fan-out: 1 stream, 1000 viewers, 50 events/s of 100 bytes",
            "µs/delivery",
            "us",
            (
                Entrant("nchan", servers.nchan, fanned_out(effort, "/subscribe/b", "/publish/b")),
                Entrant("Tailrace, SQLite", _SQLITE, ours),
                Entrant("Pushpin (250 viewers)", servers.pushpin, held_on),
                Entrant("@durable-streams/server (250 viewers)", durable, theirs),
            ),
            _LATENCY,
        ),
        Scenario(
            "idle",
            "2000 idle viewers (EventSource)",
            "bytes/viewer",
            "bytes",
            (
                Entrant("nchan", servers.nchan, idle("/subscribe/i", 2000, 2.0)),
                Entrant("Tailrace, SQLite", _SQLITE, idle("/streams/i", 2000, 2.0, "/streams/i")),
            ),
        ),
        Scenario(
            "crowd",
            "10 000 idle viewers for 31 s (two heartbeats each)",
            "% of a core",
            "percent",
            (Entrant("Tailrace, SQLite", _SQLITE, idle("/streams/i", 10_000, 31.0, "/streams/i")),),
            rounds=1,
        ),
    )


def _logs(effort: Effort) -> tuple[Scenario, ...]:
    durable = servers.durable_streams
    return (
        Scenario(
            "append",
            "Append: 64 writers, 100 bytes, durable",
            "µs/append",
            "us",
            (
                Entrant("@durable-streams/server", durable, appended(effort, "/a")),
                Entrant("Tailrace, SQLite", _SQLITE, appended(effort, "/streams/a")),
            ),
            _LATENCY,
        ),
        Scenario(
            "replay",
            "Replay: 100 000 events of 100 bytes",
            "µs/MB",
            "us_per_mb",
            (
                Entrant("@durable-streams/server", durable, replayed(effort, "/r")),
                Entrant("Tailrace, SQLite", _SQLITE, replayed(effort, "/streams/r")),
            ),
        ),
        Scenario(
            "open",
            "10 000 open streams, empty and idle",
            "bytes/stream",
            "bytes",
            (
                Entrant("@durable-streams/server", durable, held("/o", 10_000)),
                Entrant("Tailrace, SQLite", _SQLITE, held("/streams/o", 10_000)),
                Entrant("Tailrace, memory", _MEMORY, held("/streams/o", 10_000)),
            ),
            (Column("us", "µs to make one", form=".0f"),),
        ),
    )
