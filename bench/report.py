"""From rounds to a page: ratios first, then every figure with its spread, then the pictures."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import curves, pictures, profile, servers
from bench.curves import Rounds
from bench.loads import Effort, Figures
from bench.scenarios import Column, Scenario, scenarios


class Found(NamedTuple):
    """All that was measured, by part. A string says why there is nothing else."""

    when: dict[str, str]
    tables: dict[str, dict[str, list[Figures] | str]]
    curves: dict[str, Rounds]
    profile: dict[str, dict[str, float]] | str | None

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Found:
        """From JSON, whose keys are strings."""
        rounds = {
            key: {
                name: {int(across): each for across, each in line.items()}
                for name, line in lines.items()
            }
            for key, lines in kept.get("curves", {}).items()
        }
        return cls(kept.get("when", {}), kept.get("tables", {}), rounds, kept.get("profile"))


def now() -> str:
    """The time at which a part was measured."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


class Target(NamedTuple):
    """A ratio that was set before anything was measured."""

    what: str
    scenario: str
    ours: str
    peer: str
    most: float
    figure: str = "cost"


_NODE: Final = "@durable-streams/server (250 viewers)"
TARGETS: Final = (
    Target("`/stream`, CPU/token", "stream", "Tailrace, SQLite", "Go program", 0.85),
    Target("`/stream`, CPU/token", "stream", "Tailrace, memory", "Go program", 0.80),
    Target("`/v1`, CPU/token", "chat", "Tailrace, memory", "nginx", 1.8),
    Target("`/v1`, CPU/token", "chat", "Tailrace, SQLite", "LiteLLM's proxy (20 answers)", 0.06),
    Target("`/stream`, p99 latency", "stream", "Tailrace, SQLite", "Go program", 1.0, "p99"),
    Target(
        "`/stream`, p99 latency",
        "stream",
        "Tailrace, SQLite, beside 1000 viewers",
        "Tailrace, SQLite",
        1.5,
        "p99",
    ),
    Target("fan-out, CPU/delivery", "fanout", "Tailrace, SQLite", "nchan", 1.1),
    Target("fan-out, CPU/delivery", "fanout", "Tailrace, SQLite", _NODE, 0.3),
    Target("memory/idle viewer", "idle", "Tailrace, SQLite", "nchan", 1.0),
    Target("append, CPU", "append", "Tailrace, SQLite", "@durable-streams/server", 0.7),
    Target("replay, CPU/MB", "replay", "Tailrace, SQLite", "@durable-streams/server", 0.3),
)


def page(found: Found, effort: Effort, cache: Path) -> str:
    """The whole page, in Markdown: what was measured of it."""
    parts = ["# Benchmarks", "", _INTRODUCTION, "", *_machine(found, effort), *_targets(found)]
    for scenario in scenarios(effort):
        if scenario.key in found.tables:
            parts += ["", *_table(scenario, found.tables[scenario.key])]
    parts += [*_pictures(found), *_profile(found)]
    parts += ["", "## Versions", ""]
    parts += [f"- {name}: {what}" for name, what in servers.versions(cache).items()]
    ours = ("uvicorn", "uvloop", "httptools", "starlette", "httpx")
    parts += [f"- {name}: {version(name)}" for name in ours]
    return "\n".join(parts) + "\n"


def draw(found: Found, folder: Path) -> None:
    """The pictures that the page shows."""
    for curve in curves.curves():
        if found.curves.get(curve.key):
            pictures.draw_curve(folder / f"{curve.key}.png", curve, found.curves[curve.key])
    if isinstance(found.profile, dict):
        profile.draw(folder, found.profile)


def _pictures(found: Found) -> list[str]:
    there = [curve for curve in curves.curves() if found.curves.get(curve.key)]
    lines = ["", "## What does not grow", ""] if there else []
    if there:
        lines += ["Dots are medians, bars reach from the lowest round to the highest."]
    for curve in there:
        lines += ["", f"![{curve.title}](pictures/{curve.key}.png)"]
    return lines


def _profile(found: Found) -> list[str]:
    if found.profile is None:
        return []
    lines = ["", f"## {profile.TITLE}", ""]
    if isinstance(found.profile, str):
        return [*lines, f"Not measured: {found.profile}"]
    return [
        *lines,
        "`GET /stream`, 300 answers at 50 tokens/s; the same is reprinted by"
        " `python -m bench.profile`.",
        "",
        f"![{profile.TITLE}](pictures/profile.png)",
        "",
        *profile.table(found.profile),
    ]


_INTRODUCTION: Final = (
    "Written by `python -m bench`, as `make bench` calls it; nothing here was edited. "
    "Each server runs alone, pinned to one core, "
    "with the load and the model server on another; the servers take turns, round by round, and "
    "the figures are medians with the lowest and the highest round. CPU is user and system time "
    "of all the server's processes, and is what to compare: wall time depends on who else uses "
    "the machine. How to read it, and what limits it: [performance.md](performance.md)."
)


def _machine(found: Found, effort: Effort) -> list[str]:
    times = sorted(found.when.values())
    when = " to ".join(dict.fromkeys((times[0], times[-1]))) if times else now()
    return [
        f"{when}; {_processor()}, {os.cpu_count()} cores; Linux {platform.release()};"
        f" CPython {platform.python_version()}; {effort.rounds} rounds of {effort.seconds:g} s.",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _targets(found: Found) -> list[str]:
    lines = []
    for target in TARGETS:
        rounds = found.tables.get(target.scenario, {})
        ours, peers = rounds.get(target.ours), rounds.get(target.peer)
        if not isinstance(ours, list) or not isinstance(peers, list) or not ours or not peers:
            continue
        ratio = _median(ours, target.figure) / _median(peers, target.figure)
        verdict = "met" if ratio <= target.most else "**not met**"
        lines.append(
            f"| {target.what}, {target.ours.removeprefix('Tailrace, ')} | {target.peer}"
            f" | {target.most:g} | {ratio:.2f} | {verdict} |"
        )
    crowd = found.tables.get("crowd", {}).get("Tailrace, SQLite")
    if isinstance(crowd, list) and crowd:
        seen = _median(crowd, "cost")
        verdict = "met" if seen < 1 else "**not met**"
        lines.append(f"| 10 000 idle viewers | a core | 1 % | {seen:.2f} % | {verdict} |")
    head = ["", "## Targets", "", "| | against | at most | seen | |", "|---|---|--:|--:|---|"]
    return [*head, *lines] if lines else []


def _table(scenario: Scenario, found: Mapping[str, list[Figures] | str]) -> list[str]:
    titles = [column.title for column in scenario.shown]
    head = ["", scenario.unit, "lowest to highest", *titles, "load's core"]
    lines = [f"## {scenario.title}", "", _row(head), _row(["---"] + ["--:"] * (len(head) - 1))]
    for name, rounds in found.items():
        if isinstance(rounds, str):
            lines.append(_row([name, f"not measured: {rounds}", *[""] * (len(head) - 2)]))
            continue
        costs = [each["cost"] for each in rounds]
        shown = [_shown(rounds, column) for column in scenario.shown]
        spread = f"{_short(min(costs))} to {_short(max(costs))}"
        busy = f"{100 * _median(rounds, 'load_cpu'):.0f} %"
        lines.append(_row([name, _short(statistics.median(costs)), spread, *shown, busy]))
    return lines


def _shown(rounds: Sequence[Figures], column: Column) -> str:
    if isinstance(rounds[0][column.figure], str):
        return ", ".join(dict.fromkeys(each[column.figure] for each in rounds))
    return f"{_median(rounds, column.figure) * column.scale:{column.form}}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _median(rounds: Sequence[Figures], figure: str) -> float:
    return statistics.median(float(each[figure]) for each in rounds)
