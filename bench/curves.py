"""Does a cost grow? What may: streams, viewers, history."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bench import servers
from bench.driver import Bench, LoadFailed
from bench.loads import Effort, Figures, Measure, by_stream, fanned_out, loaded
from bench.scenarios import Entrant, measure_once, placed
from bench.servers import MissingPeer, Start, running

Rounds: TypeAlias = dict[str, dict[int, list[Figures]]]
"""By line and by place across."""

_EFFORT: Final = Effort(rounds=2, seconds=3.0, warmup=1.0, plots=True)
_STREAMS: Final = (10, 30, 100, 300, 1000, 2000)
# Tokens a second in all, however many streams there are: neither core is ever full.
_TOKENS: Final = 15_000
_HISTORY: Final = (1_000, 10_000, 100_000, 1_000_000)
# Viewers of each stream, streams, and events a second of each: as many deliveries as one can post
# for, and never more than 25 000 a second. No viewers: what it costs to publish.
_VIEWERS: Final = {
    0: (20, 50.0), 1: (20, 50.0), 10: (20, 50.0), 100: (5, 50.0), 1000: (1, 25.0),
    2500: (1, 10.0), 5000: (1, 5.0),
}  # fmt: skip


class _Line:
    """One server, at each place across."""

    def __init__(self, start: Start, measure: Callable[[int], Measure]) -> None:
        self._start, self._measure = start, measure

    def at(self, across: int, bench: Bench) -> list[Figures]:
        """The figures of a round. Raises MissingPeer or LoadFailed."""
        return [measure_once(Entrant("", self._start, self._measure(across)), bench)]


class _History(_Line):
    """A stream that is resumed by a server that was started anew, so that nothing is at hand."""

    def __init__(self, start: Start, path: str) -> None:
        self._start, self._path = start, path

    def at(self, across: int, bench: Bench) -> list[Figures]:
        with placed(bench) as place:
            with running(self._start, place):
                url = place.url + self._path
                filled = bench.load.run("fill", url=url, count=across, size=100)
            with running(self._start, place) as pid:
                path = f"{self._path}?offset={filled['offset']}"
                measure = loaded("replay", path, seconds=_EFFORT.seconds / 2)
                return [measure(bench.load, pid, place) for _ in range(_EFFORT.rounds)]


@dataclass(frozen=True)
class Curve:
    """A picture: what grows from left to right, and the lines in it."""

    key: str
    title: str
    across: str
    up: str
    places: Sequence[int]
    lines: Mapping[str, _Line]
    rounds: int = _EFFORT.rounds


def curves() -> tuple[Curve, ...]:
    """All of them."""
    return (
        Curve(
            "streams",
            "Cost of a relayed token, 15 000 tokens/s in all",
            "answers at a time",
            "CPU, µs per token",
            _STREAMS,
            {
                "Go program": _Line(servers.article, _tokens),
                "Tailrace, SQLite": _Line(servers.tailrace(), _tokens),
            },
        ),
        Curve(
            "viewers",
            "Cost of a delivery, without that of publishing",
            "viewers of each stream",
            "CPU, µs per delivery",
            tuple(_VIEWERS),
            {
                "nchan": _Line(servers.nchan, _published),
                "Tailrace, SQLite": _Line(servers.tailrace(), _deliveries),
            },
        ),
        Curve(
            "history",
            "Cost of a resume 10 events before the end, after a restart",
            "events in the stream",
            "CPU, µs per resume, connection included",
            _HISTORY,
            {"Tailrace, SQLite": _History(servers.tailrace(), "/streams/h")},
            rounds=1,
        ),
    )


def _tokens(streams: int) -> Measure:
    return by_stream(_EFFORT, streams, _TOKENS / streams)


def _deliveries(viewers: int) -> Measure:
    streams, rate = _VIEWERS[viewers]
    path = "/streams/{n}"
    return fanned_out(_EFFORT, path, path, viewers, rate, make=path, streams=streams)


def _published(viewers: int) -> Measure:
    streams, rate = _VIEWERS[viewers]
    return fanned_out(_EFFORT, "/subscribe/{n}", "/publish/{n}", viewers, rate, streams=streams)


def sweep(curve: Curve, bench: Bench, say: Callable[[str], None]) -> Rounds:
    """Measure all places of all lines, in turns."""
    found: Rounds = {}
    for _ in range(curve.rounds):
        for across in curve.places:
            for name, line in curve.lines.items():
                try:
                    figures = line.at(across, bench)
                except (MissingPeer, LoadFailed, OSError) as error:
                    say(f"{curve.key:8} {name:20} {across:8} left out: {error}")
                    continue
                found.setdefault(name, {}).setdefault(across, []).extend(figures)
                costs = ", ".join(f"{each['us']:.1f}" for each in figures)
                busy = max(each["load_cpu"] for each in figures)
                say(f"{curve.key:8} {name:20} {across:8} {costs} µs, load {100 * busy:.0f} %")
    return found


def costs(rounds: Mapping[int, Sequence[Figures]]) -> dict[int, list[float]]:
    """Of each place across; where publishing alone was measured, what comes on top of that."""
    alone = statistics.median(each["us"] for each in rounds[0]) if 0 in rounds else 0.0
    return {
        across: [each["us"] - alone / across for each in figures]
        for across, figures in sorted(rounds.items())
        if across
    }
