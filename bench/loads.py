"""Loads: what is done to a server that runs, and the figures that come of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from bench.driver import Load, LoadFailed
from bench.servers import Place

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
    climb: float = 1.2
    """How much more each step to the most has."""

    @property
    def span(self) -> dict[str, Any]:
        """What the load is told of it."""
        return {"seconds": self.seconds, "warmup": self.warmup}


def loaded(do: str, path: str, *, publish: str = "", make: str = "", **fields: Any) -> Measure:
    """The load does it to a path; ``make`` is one that is PUT first.

    ``{n}`` in a path is the number of each stream. ``publish`` is a path, too, or one behind
    ``control``: on the server's second port.
    """

    def measure(load: Load, pid: int, place: Place) -> Figures:
        if make:
            for number in range(fields["streams"] if "{n}" in make else 1):
                _put(place.url + make.replace("{n}", str(number)))
        where = f"http://127.0.0.1:{place.control}" if publish.startswith("control") else place.url
        address = where + publish.removeprefix("control")
        return load.run(do, pids=[pid], url=place.url + path, publish=address, **fields)

    return measure


def by_stream(effort: Effort, streams: int = 300, rate: float = 50) -> Measure:
    """The article's request: GET /stream?content=…, answered with the text alone."""
    path = "/stream?content=Tell%20me."
    return loaded("relay", path, method="GET", streams=streams, rate=rate, **effort.span)


def by_stream_in_company(effort: Effort) -> Measure:
    """The same, while 1000 viewers of another stream are served."""
    other = "/streams/beside"
    return loaded(
        "relay",
        "/stream?content=Tell%20me.",
        make=other,
        publish=other,
        method="GET",
        streams=300,
        rate=50,
        beside=1000,
        size=100,
        **effort.span,
    )


def by_chat(effort: Effort, streams: int = 300, rate: float = 50) -> Measure:
    """The API's own request: POST /v1/chat/completions, answered with the chunks."""
    return loaded(
        "relay",
        "/v1/chat/completions",
        method="POST",
        body=_CHAT,
        headers=_JSON,
        streams=streams,
        rate=rate,
        **effort.span,
    )


def fanned_out(
    effort: Effort, view: str, publish: str, viewers: int = 1000, rate: float = 50, **more: Any
) -> Measure:
    """One stream, many viewers, 50 events of 100 bytes a second."""
    return loaded(
        "fanout",
        view,
        publish=publish,
        headers=_EVENTS,
        viewers=viewers,
        rate=rate,
        size=100,
        **effort.span,
        **more,
    )


def idle(view: str, viewers: int, seconds: float, make: str = "") -> Measure:
    """Viewers of a stream in which nothing happens."""
    common: dict[str, Any] = {"headers": _EVENTS, "viewers": viewers, "seconds": seconds}
    return loaded("idle", view, make=make, warmup=2.0, **common)


def appended(effort: Effort, path: str) -> Measure:
    """64 writers, each with a stream of its own, 100 bytes an append, one after the other."""
    return loaded("append", path + "{n}", writers=64, size=100, **effort.span)


def held(path: str, streams: int) -> Measure:
    """Streams that are made, and in which nothing happens."""
    return loaded("hold", path + "{n}", streams=streams, writers=16, warmup=3.0)


def replayed(effort: Effort, path: str) -> Measure:
    """100 000 events of 100 bytes, read from the first to the last, again and again."""

    def measure(load: Load, pid: int, place: Place) -> Figures:
        load.run("fill", url=place.url + path, count=100_000, size=100)
        return loaded("replay", path, seconds=effort.seconds)(load, pid, place)

    return measure


# Tokens a second in all of the first step.
_FIRST: Final = 20_000.0
# Enough steps for a server ten times as fast.
_STEPS: Final = 16
# The longest that a token may take at the 99th percentile: who reads along does not notice that.
_LATE: Final = 100_000
_FULL: Final = 0.95


@dataclass(frozen=True)
class Climb:
    """Ever more tokens a second, until the server, or the load, can no more."""

    effort: Effort

    def climb(self, measured: Callable[[Measure], Figures]) -> Figures:
        """The best of the steps, and why there were no more. Each has a server of its own.

        What a server kept of the earlier steps would count as theirs. Raises LoadFailed where
        not even the first could be run.
        """
        span = replace(self.effort, seconds=2.0, warmup=1.5)
        rate, best, why = _FIRST, Figures(), ""
        for _ in range(_STEPS):
            try:
                figures = measured(by_stream(span, rate=rate / 300))
            except LoadFailed:
                if not best:
                    raise
                return {**best, "limit": "an answer was cut"}
            figures["per_second"] = figures["count"] / figures["wall"]
            if not best or (figures["p99"] <= _LATE and figures["per_second"] > best["per_second"]):
                best = figures
            why = _limit(figures)
            if why:
                break
            rate *= self.effort.climb
        return {**best, "limit": why}


def _limit(figures: Figures) -> str:
    if figures["cores"] > _FULL:
        return "its core is full"
    if figures["p99"] > _LATE:
        return "p99 over 100 ms"
    return "the load's core is full" if figures["load_cpu"] > _FULL else ""


def _put(url: str) -> None:
    request = urllib.request.Request(url, b"", {"Content-Type": "text/plain"}, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
