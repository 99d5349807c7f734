"""From rounds to a page: ratios first, then every figure with its spread."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from bench import servers
from bench.scenarios import Effort, Figures, Scenario

Found: TypeAlias = Mapping[str, Mapping[str, "list[Figures] | str"]]


class Target(NamedTuple):
    """A ratio that was set before anything was measured."""

    what: str
    scenario: str
    ours: str
    peer: str
    most: float
    figure: str = "cost"


TARGETS: Final = (
    Target("`/stream`, CPU/token", "stream", "Tailrace, SQLite", "Go program", 0.85),
    Target("`/stream`, CPU/token", "stream", "Tailrace, memory", "Go program", 0.80),
    Target("`/v1`, CPU/token", "chat", "Tailrace, memory", "nginx", 1.8),
    Target("`/v1`, CPU/token", "chat", "Tailrace, SQLite", "LiteLLM's proxy (20 answers)", 0.06),
    Target("`/stream`, p99 latency", "stream", "Tailrace, SQLite", "Go program", 1.0, "p99"),
    Target(
        "p99 latency beside 1000 viewers",
        "stream",
        "Tailrace, SQLite, beside 1000 viewers",
        "Tailrace, SQLite",
        1.5,
        "p99",
    ),
    Target("fan-out, CPU/delivery", "fanout", "Tailrace, SQLite", "nchan", 1.1),
    Target("fan-out, CPU/delivery", "fanout", "Tailrace, SQLite", "@durable-streams/server", 0.3),
    Target("memory/idle viewer", "idle", "Tailrace, SQLite", "nchan", 1.0),
    Target("append, CPU", "append", "Tailrace, SQLite", "@durable-streams/server", 0.7),
    Target("replay, CPU/MB", "replay", "Tailrace, SQLite", "@durable-streams/server", 0.3),
)


def page(
    wanted: Sequence[Scenario],
    found: Found,
    effort: Effort,
    cache: Path,
    pictures: Sequence[str] = (),
) -> str:
    """The whole page, in Markdown."""
    parts = ["# Benchmarks", "", _INTRODUCTION, "", *_machine(effort), "", *_targets(found)]
    for scenario in wanted:
        parts += ["", *_table(scenario, found[scenario.key])]
    if pictures:
        parts += ["", "## What does not grow", ""]
        parts += [f"![{name}](pictures/{name})" for name in pictures]
    parts += ["", "## Versions", ""]
    parts += [f"- {name}: {what}" for name, what in servers.versions(cache).items()]
    ours = ("uvicorn", "uvloop", "httptools", "starlette", "httpx")
    parts += [f"- {name}: {version(name)}" for name in ours]
    return "\n".join(parts) + "\n"


_INTRODUCTION: Final = (
    "Written by `python -m bench`, as `make bench` calls it; nothing here was edited. "
    "Each server runs alone, pinned to one core, "
    "with the load and the model server on another; the servers take turns, round by round, and "
    "the figures are medians with the lowest and the highest round. CPU is user and system time "
    "of all the server's processes, and is what to compare: wall time depends on who else uses "
    "the machine. How to read it, and what limits it: [performance.md](performance.md)."
)


def _machine(effort: Effort) -> list[str]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [
        f"{now}; {_processor()}, {os.cpu_count()} cores; Linux {platform.release()};"
        f" CPython {platform.python_version()}; {effort.rounds} rounds of {effort.seconds:g} s.",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _targets(found: Found) -> list[str]:
    lines = ["## Targets", "", "| | against | at most | seen | |", "|---|---|--:|--:|---|"]
    for target in TARGETS:
        rounds = found.get(target.scenario, {})
        ours, peers = rounds.get(target.ours), rounds.get(target.peer)
        if not isinstance(ours, list) or not isinstance(peers, list) or not ours or not peers:
            continue
        ratio = _median(ours, target.figure) / _median(peers, target.figure)
        verdict = "met" if ratio <= target.most else "**not met**"
        lines.append(
            f"| {target.what}, {target.ours.removeprefix('Tailrace, ')} | {target.peer}"
            f" | {target.most:g} | {ratio:.2f} | {verdict} |"
        )
    crowd = found.get("crowd", {}).get("Tailrace, SQLite")
    if isinstance(crowd, list) and crowd:
        seen = _median(crowd, "cost")
        verdict = "met" if seen < 1 else "**not met**"
        lines.append(f"| 10 000 idle viewers | a core | 1 % | {seen:.2f} % | {verdict} |")
    return lines


def _table(scenario: Scenario, found: Mapping[str, list[Figures] | str]) -> list[str]:
    columns = [*scenario.shown.values()]
    head = ["", f"{scenario.unit}", "lowest to highest", *columns, "load's core"]
    lines = [f"## {scenario.title}", "", _row(head), _row(["---"] + ["--:"] * (len(head) - 1))]
    for name, rounds in found.items():
        if isinstance(rounds, str):
            lines.append(_row([name, f"not measured: {rounds}", *[""] * (len(head) - 2)]))
            continue
        costs = [each["cost"] for each in rounds]
        shown = [f"{_median(rounds, key) / 1000:.2f}" for key in scenario.shown]
        spread = f"{min(costs):.4g} to {max(costs):.4g}"
        busy = f"{100 * _median(rounds, 'load_cpu'):.0f} %"
        lines.append(_row([name, f"{statistics.median(costs):.4g}", spread, *shown, busy]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _median(rounds: Sequence[Figures], figure: str) -> float:
    return statistics.median(float(each[figure]) for each in rounds)
