"""The load generator counts what it says it counts, and notices what is missing."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.driver import HERE, Load, LoadFailed, build
from bench.scenarios import QUICK, Scenario, cost, scenarios

from bench import report
from tests.e2e.harness import Server, serving


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    if shutil.which("go") is None:
        if os.environ.get("CI"):
            pytest.fail("no Go")
        pytest.skip("no Go: apt install golang-go for the bench")
    running = Load(build(HERE / "load", tmp_path_factory.mktemp("go") / "load"), None)
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(load: Load, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    upstream = f"http://{load.upstream}/v1"
    with serving(upstream, tmp_path_factory.mktemp("data"), "--store", "memory:") as running:
        yield running


def follow(load: Load, server: Server, **changed: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "pids": [os.getpid()],
        "method": "GET",
        "url": f"{server.url}/stream?content=hi",
        "streams": 3,
        "rate": 200,
        "warmup": 0.1,
        "seconds": 0.3,
    }
    return load.run("relay", **{**fields, **changed})


def put(url: str) -> None:
    request = urllib.request.Request(url, b"", {"Content-Type": "text/plain"}, method="PUT")
    urllib.request.urlopen(request).close()


def test_every_token_of_every_answer_is_counted_and_aged(load: Load, server: Server) -> None:
    figures = follow(load, server)
    assert figures["count"] > 0
    assert 0 < figures["p50"] <= figures["p99"]
    assert figures["first_p50"] > 0


def test_the_same_in_the_api_s_own_form(load: Load, server: Server) -> None:
    body = '{"model":"bench","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    url = f"{server.url}/v1/chat/completions"
    assert follow(load, server, method="POST", url=url, body=body)["count"] > 0


def test_an_answer_that_is_refused_fails_the_run(load: Load, server: Server) -> None:
    with pytest.raises(LoadFailed, match="relay"):
        follow(load, server, url=f"{server.url}/nothing")


def test_every_viewer_sees_every_event(load: Load, server: Server) -> None:
    url = f"{server.url}/streams/bench"
    put(url)
    figures = load.run(
        "fanout",
        pids=[os.getpid()],
        url=url,
        publish=url,
        headers={"Accept": "text/event-stream"},
        viewers=4,
        rate=50,
        size=100,
        warmup=0.1,
        seconds=0.3,
    )
    assert figures["count"] > 0


def test_appends_replays_and_resumes_are_counted(load: Load, server: Server) -> None:
    common: dict[str, Any] = {"pids": [os.getpid()], "size": 100, "seconds": 0.2}
    appended = load.run("append", url=f"{server.url}/streams/a", writers=3, warmup=0.1, **common)
    assert appended["count"] > 0
    url = f"{server.url}/streams/history"
    replayed = load.run("replay", url=url, count=1000, **common)
    # A JSON array of 1000 strings of 98 characters, once for each read.
    assert replayed["bytes"] == replayed["count"] * (1000 * 101 + 1)
    assert load.run("resume", url=url, **common)["count"] > 0


def test_what_is_idle_is_weighed(load: Load, server: Server) -> None:
    url = f"{server.url}/streams/idle"
    put(url)
    figures = load.run(
        "idle",
        pids=[os.getpid()],
        url=url,
        headers={"Accept": "text/event-stream"},
        viewers=5,
        warmup=0.0,
        seconds=0.1,
    )
    assert "bytes" in figures


def made_up(scenario: Scenario) -> dict[str, list[dict[str, Any]] | str]:
    figures = {"us": 2.0, "us_per_mb": 2.0, "bytes": 2.0, "cores": 0.5, "load_cpu": 0.1}
    figures |= {"p50": 1000.0, "p99": 2000.0, "first_p50": 3000.0}
    rounds: dict[str, list[dict[str, Any]] | str] = {
        entrant.name: [{**figures, "cost": cost(scenario.key, figures)}]
        for entrant in scenario.entrants
    }
    rounds[scenario.entrants[0].name] = "apt install it"
    return rounds


def test_a_page_has_each_table_and_names_what_is_missing(tmp_path: Path) -> None:
    wanted = scenarios(QUICK)
    page = report.page(wanted, {each.key: made_up(each) for each in wanted}, QUICK, tmp_path)
    for scenario in wanted:
        assert f"## {scenario.title}" in page
    assert page.count("not measured: apt install it") == len(wanted)
