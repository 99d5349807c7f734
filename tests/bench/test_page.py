"""The page has all that was measured, and says what was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.curves import costs, curves
from bench.driver import LoadFailed
from bench.loads import Climb, Figures, Measure
from bench.report import Found
from bench.scenarios import QUICK, Scenario, scenarios

from bench import report


def made_up(scenario: Scenario) -> dict[str, list[Figures] | str]:
    figures: dict[str, Any] = {"us": 2.0, "us_per_mb": 2.0, "bytes": 2.0, "percent": 50.0}
    figures |= {"p50": 1000.0, "p99": 2000.0, "first_p50": 3000.0, "load_cpu": 0.1}
    figures |= {"per_second": 20000.0, "cores": 0.5, "limit": "its core is full"}
    rounds: dict[str, list[Figures] | str] = {
        entrant.name: [{**figures, "cost": figures[scenario.cost]}] for entrant in scenario.entrants
    }
    rounds[scenario.entrants[0].name] = "apt install it"
    return rounds


def all_of_it() -> Found:
    tables = {each.key: made_up(each) for each in scenarios(QUICK)}
    rounds = {
        curve.key: {name: {place: [{"us": 9.0, "load_cpu": 0.1}] for place in curve.places}}
        for curve in curves()
        for name in curve.lines
    }
    profile = {"memory": {"uvloop, libuv": 2.0}}
    return Found({"stream": "2030-01-01 00:00 UTC"}, tables, rounds, profile)


def test_a_page_has_each_table_and_picture_and_names_what_is_missing(tmp_path: Path) -> None:
    page = report.page(all_of_it(), QUICK, tmp_path)
    for scenario in scenarios(QUICK):
        assert f"## {scenario.title}" in page
    for picture in ("streams", "viewers", "history", "profile"):
        assert f"(pictures/{picture}.png)" in page
    assert page.count("not measured: apt install it") == len(scenarios(QUICK))
    assert page.index("## Targets") < page.index(f"## {scenarios(QUICK)[0].title}")


def test_every_target_names_a_server_that_is_measured() -> None:
    names = {
        (scenario.key, entrant.name)
        for scenario in scenarios(QUICK)
        for entrant in scenario.entrants
    }
    for target in report.TARGETS:
        assert {(target.scenario, target.ours), (target.scenario, target.peer)} <= names


def test_what_was_not_measured_has_no_heading(tmp_path: Path) -> None:
    page = report.page(Found.read({}), QUICK, tmp_path)
    assert "## Targets" not in page
    assert "pictures" not in page


def test_the_cost_of_publishing_is_taken_from_that_of_delivering() -> None:
    rounds: dict[int, list[Figures]] = {0: [{"us": 100.0}], 1: [{"us": 110.0}], 10: [{"us": 20.0}]}
    assert costs(rounds) == {1: [10.0], 10: [10.0]}
    assert costs({5: [{"us": 7.0}]}) == {5: [7.0]}


def climb(*steps: dict[str, float] | None) -> Figures:
    left = list(steps)

    def measured(measure: Measure) -> Figures:
        assert callable(measure)
        figures = left.pop(0)
        if figures is None:
            raise LoadFailed("cut")
        return {"wall": 1.0, "p99": 1000.0, "cores": 0.5, "load_cpu": 0.5, **figures}

    return Climb(QUICK).climb(measured)


def test_the_most_is_that_of_the_last_step_in_time() -> None:
    full = climb({"count": 10}, {"count": 20, "cores": 0.99})
    assert (full["per_second"], full["limit"]) == (20, "its core is full")
    late = climb({"count": 10}, {"count": 20, "p99": 200_000.0, "cores": 0.99})
    assert (late["per_second"], late["limit"]) == (10, "its core is full")
    cut = climb({"count": 10}, None)
    assert (cut["per_second"], cut["limit"]) == (10, "an answer was cut")
    ours = climb({"count": 10, "load_cpu": 0.99})
    assert ours["limit"] == "the load's core is full"
