"""The load generator counts what it says it counts, and notices what is missing."""

from __future__ import annotations

import os
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from bench.driver import HERE, Load, LoadFailed, build

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


def test_each_of_several_streams_has_its_own_viewers(load: Load, server: Server) -> None:
    url = f"{server.url}/streams/several"
    for number in range(3):
        put(f"{url}{number}")
    common: dict[str, Any] = {"pids": [os.getpid()], "streams": 3, "rate": 50, "size": 100}
    common |= {"url": url + "{n}", "publish": url + "{n}", "warmup": 0.1, "seconds": 0.3}
    events = {"Accept": "text/event-stream"}
    assert load.run("fanout", viewers=2, headers=events, **common)["count"] > 0
    assert load.run("fanout", viewers=0, **common)["count"] > 0  # what was posted


def test_what_is_posted_may_be_wrapped(load: Load, server: Server) -> None:
    url = f"{server.url}/streams/wrapped"
    put(url)
    events = {"Accept": "text/event-stream"}
    common: dict[str, Any] = {"pids": [os.getpid()], "viewers": 1, "rate": 50, "headers": events}
    body = '{"x":"~00000000"}'
    found = load.run("fanout", url=url, publish=url, body=body, warmup=0.1, seconds=0.3, **common)
    assert 0 < found["p50"] < 1e6  # µs, if the stamp was where it should be


def test_appends_replays_and_resumes_are_counted(load: Load, server: Server) -> None:
    common: dict[str, Any] = {"pids": [os.getpid()], "size": 100, "seconds": 0.2}
    url = f"{server.url}/streams/a{{n}}"
    appended = load.run("append", url=url, writers=3, warmup=0.1, **common)
    assert appended["count"] > 0
    url = f"{server.url}/streams/history"
    offset = load.run("fill", url=url, count=1000, **common)["offset"]
    # A JSON array of 1000 strings of 98 characters, once for each read; then of the last ten.
    replayed = load.run("replay", url=url, **common)
    assert replayed["bytes"] == replayed["count"] * (1000 * 101 + 1)
    resumed = load.run("replay", url=f"{url}?offset={offset}", **common)
    assert resumed["bytes"] == resumed["count"] * (10 * 101 + 1)


def test_open_streams_are_weighed(load: Load, server: Server) -> None:
    url = f"{server.url}/streams/open{{n}}"
    figures = load.run("hold", pids=[os.getpid()], url=url, streams=9, writers=2, warmup=0.0)
    assert figures["count"] == 9
    assert "bytes" in figures


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
