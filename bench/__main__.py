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

from bench import plots, report, scenarios
from bench.driver import HERE, Load, LoadFailed, build, cores
from bench.scenarios import FULL, QUICK, Effort, Figures, Scenario, measure_once
from bench.servers import MissingPeer

CACHE: Final = HERE / ".cache"


def main() -> int:
    """Run what was asked for; the exit status says whether anything could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--rounds", type=int, default=0, help="how many; default: 3, or 1")
    parser.add_argument("--only", default="", help="scenarios, separated by commas")
    parser.add_argument("--out", type=Path, help="where to write the page; default: nowhere")
    chosen = parser.parse_args()
    effort = QUICK if chosen.quick else FULL
    effort = replace(effort, rounds=chosen.rounds or effort.rounds)
    CACHE.mkdir(exist_ok=True)
    load_core, server_core = cores()
    load = Load(build(HERE / "load", CACHE / "load"), load_core)
    try:
        wanted = [
            scenario
            for scenario in scenarios.scenarios(effort)
            if not chosen.only or scenario.key in chosen.only.split(",")
        ]
        found = {each.key: compare(each, effort, load, server_core) for each in wanted}
        pictures = []
        if effort.plots and chosen.out is not None and not chosen.only:
            pictures = plots.draw(load, server_core, CACHE, chosen.out.parent / "pictures")
    finally:
        load.close()
    page = report.page(wanted, found, effort, CACHE, pictures)
    print(page)
    if chosen.out is not None:
        chosen.out.write_text(page)
        chosen.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


def compare(
    scenario: Scenario, effort: Effort, load: Load, core: int | None
) -> dict[str, list[Figures] | str]:
    """The rounds of each server, in turns; a reason in place of those that could not be run."""
    found: dict[str, list[Figures] | str] = {}
    for number in range(effort.rounds):
        for entrant in scenario.entrants:
            rounds = found.setdefault(entrant.name, [])
            if isinstance(rounds, str):
                continue
            try:
                figures = measure_once(entrant, load, core, CACHE)
            except (MissingPeer, LoadFailed, OSError, subprocess.CalledProcessError) as error:
                found[entrant.name] = str(error)
                _say(f"{scenario.key:7} {entrant.name:38} skipped: {error}")
                continue
            figures["cost"] = scenarios.cost(scenario.key, figures)
            rounds.append(figures)
            middle = statistics.median(each["cost"] for each in rounds)
            _say(
                f"{scenario.key:7} {entrant.name:38} round {number + 1}/{effort.rounds}"
                f" {figures['cost']:9.1f} {scenario.unit} (median {middle:.1f},"
                f" load {100 * figures['load_cpu']:.0f} % of its core)"
            )
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
