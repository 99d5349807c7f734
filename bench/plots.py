"""Does a cost grow? One picture for each thing that may: streams, viewers, history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench import servers
from bench.driver import Load, LoadFailed
from bench.scenarios import Effort, Entrant, Measure, by_stream, fanned_out, measure_once
from bench.servers import MissingPeer, Place, Start

_EFFORT: Final = Effort(rounds=1, seconds=4.0, warmup=1.5, plots=True)
_STREAMS: Final = (10, 30, 100, 300, 700, 2000)
# Tokens a second in all at most, so that the server keeps up however many streams there are.
_TOKENS: Final = 20_000
_VIEWERS: Final = (1, 10, 100, 1000, 2500, 5000)
_DELIVERIES: Final = 50_000
_HISTORY: Final = (1_000, 10_000, 100_000, 1_000_000)

Points: TypeAlias = dict[int, float]
_Bench: TypeAlias = tuple[Load, int | None, Path]


def draw(load: Load, core: int | None, cache: Path, folder: Path) -> list[str]:
    """Measure and draw all; the pictures' names, for the page."""
    folder.mkdir(exist_ok=True)
    bench = (load, core, cache)
    sqlite = servers.tailrace()
    curves: Sequence[tuple[str, str, str, Mapping[str, Points]]] = (
        (
            "streams",
            "relayed answers at a time",
            "CPU, µs per token",
            {
                "Tailrace, SQLite": _sweep(sqlite, _tokens, _STREAMS, bench),
                "Go program": _sweep(servers.article, _tokens, _STREAMS, bench),
            },
        ),
        (
            "viewers",
            "viewers of one stream",
            "CPU, µs per delivery",
            {"Tailrace, SQLite": _sweep(sqlite, _deliveries, _VIEWERS, bench)},
        ),
        (
            "history",
            "events before the place that is resumed at",
            "CPU, µs per resume",
            {"Tailrace, SQLite": _sweep(sqlite, _resumes, _HISTORY, bench)},
        ),
    )
    for name, across, up, lines in curves:
        _picture(folder / f"{name}.png", across, up, lines)
    return [f"{name}.png" for name, *_ in curves]


def _tokens(streams: int) -> Measure:
    return by_stream(_EFFORT, streams, min(50.0, _TOKENS / streams))


def _deliveries(viewers: int) -> Measure:
    rate = min(50.0, _DELIVERIES / viewers)
    return fanned_out(_EFFORT, "/streams/b", "/streams/b", viewers, make=True, rate=rate)


def _resumes(events: int) -> Measure:
    def measure(load: Load, pid: int, place: Place) -> dict[str, Any]:
        url = f"{place.url}/streams/h"
        common: dict[str, Any] = {"pids": [pid], "size": 100}
        load.run("replay", url=url, count=events, seconds=0, **common)
        return load.run("resume", url=url, seconds=_EFFORT.seconds, **common)

    return measure


def _sweep(
    start: Start, measure: Callable[[int], Measure], values: Sequence[int], bench: _Bench
) -> Points:
    points: Points = {}
    for value in values:
        try:
            figures = measure_once(Entrant("", start, measure(value)), *bench)
        except (MissingPeer, LoadFailed) as error:
            print(f"plot: {value} left out: {error}", flush=True)
            continue
        points[value] = figures["us"]
        print(f"plot: {value:8} {figures['us']:.1f} µs", flush=True)
    return points


def _picture(path: Path, across: str, up: str, lines: Mapping[str, Points]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - it takes a second, and tables do without

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for (name, points), marker in zip(lines.items(), "os", strict=False):
        axes.plot(list(points), list(points.values()), marker=marker, label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
