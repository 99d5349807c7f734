"""``python -m bench``: every server under every load, side by side, and the tables of ratios."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench import curves, profile, report
from bench.driver import Bench, LoadFailed, ready
from bench.loads import Effort, Figures
from bench.report import Found
from bench.scenarios import FULL, QUICK, Scenario, measure_once, scenarios
from bench.servers import MissingPeer

# What stands between a server and its figures, and is said in their place.
_MISSING: Final = (MissingPeer, LoadFailed, OSError, subprocess.SubprocessError)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, no pictures")
    parser.add_argument("--rounds", type=int, default=0, help="how many; default: 3, or 1")
    parser.add_argument(
        "--only",
        default="",
        help="parts, separated by commas; the page keeps what was measured of the others",
    )
    parser.add_argument("--out", type=Path, help="the page to write; default: none")
    chosen = parser.parse_args()
    effort = QUICK if chosen.quick else FULL
    effort = replace(effort, rounds=chosen.rounds or effort.rounds)
    found, only = Found.read({}), {part for part in chosen.only.split(",") if part}
    kept = chosen.out.with_suffix(".json") if chosen.out else None
    if kept is not None and only and kept.exists():
        found = Found.read(json.loads(kept.read_text()))
    with ready() as bench:
        found = measure(found, only, effort, bench)
        page = report.page(found, effort, bench.cache)
    print(page)
    if kept is not None:
        kept.write_text(json.dumps(found._asdict(), indent=1) + "\n")
        chosen.out.write_text(page)
        report.draw(found, chosen.out.parent / "pictures")
    return 0


def measure(found: Found, only: set[str], effort: Effort, bench: Bench) -> Found:
    """Everything, or only some of it, put into what is there."""
    for scenario in scenarios(effort):
        if not only or scenario.key in only:
            found.tables[scenario.key] = compare(scenario, effort, bench)
            found.when[scenario.key] = report.now()
    for curve in curves.curves():
        if curve.key in only or (effort.plots and not only):
            found.curves[curve.key] = curves.sweep(curve, bench, _say)
            found.when[curve.key] = report.now()
    if "profile" in only or (effort.plots and not only):
        found.when["profile"] = report.now()
        try:
            found = found._replace(profile=profile.measure(bench))
        except _MISSING as error:
            found = found._replace(profile=str(error))
    return found


def compare(scenario: Scenario, effort: Effort, bench: Bench) -> dict[str, list[Figures] | str]:
    """The rounds of each server, in turns; a reason in place of those that could not be run."""
    found: dict[str, list[Figures] | str] = {}
    count = scenario.rounds or effort.rounds
    for number in range(count):
        for entrant in scenario.entrants:
            rounds = found.setdefault(entrant.name, [])
            if isinstance(rounds, str):
                continue
            try:
                figures = measure_once(entrant, bench)
            except _MISSING as error:
                found[entrant.name] = str(error)
                _say(f"{scenario.key:7} {entrant.name:38} skipped: {error}")
                continue
            figures["cost"] = figures[scenario.cost]
            rounds.append(figures)
            middle = statistics.median(each["cost"] for each in rounds)
            _say(
                f"{scenario.key:7} {entrant.name:38} round {number + 1}/{count}"
                f" {figures['cost']:9.1f} {scenario.unit} (median {middle:.1f},"
                f" load {100 * figures['load_cpu']:.0f} % of its core)"
            )
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
