"""One line for each request, and nothing in it that is nobody's business."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tailrace.web.access_log import AccessLog
from tailrace.web.outcome import Outcome


class Times:
    """Two clocks that go by themselves only as far as they are told."""

    def __init__(self) -> None:
        self.now = 1_795_600_361.123
        self.passed = 100.0


def logged(times: Times | None = None) -> tuple[AccessLog, list[str]]:
    lines: list[str] = []
    times = times or Times()
    return AccessLog(lines.append, lambda: times.now), lines


def begun(log: AccessLog, method: str, times: Times | None = None) -> Outcome:
    times = times or Times()
    return Outcome(log, method, lambda: times.passed)


def play(entry: Outcome, sent: list[dict[str, Any]], received: list[str]) -> None:
    """Run messages through the entry's watchers."""
    types = iter(received)

    async def receive() -> dict[str, Any]:
        return {"type": next(types)}

    async def send(message: Any) -> None:
        passed.append(message)

    async def run() -> None:
        watched_send, watched_receive = entry.watch_send(send), entry.watch_receive(receive)
        for message in sent:
            await watched_send(message)
        for expected in received:
            assert (await watched_receive())["type"] == expected

    passed: list[Any] = []
    asyncio.run(run())
    assert passed == sent


def start(status: int) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status}


def body(data: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_a_request_gives_one_line_when_it_is_over() -> None:
    times = Times()
    log, lines = logged(times)
    entry = begun(log, "GET", times)
    entry.route = "/streams/chat/{id}"
    play(entry, [start(200), body(b"abc", True), body(b"de", False)], ["http.disconnect"])
    assert lines == []
    times.passed += 0.0125
    entry.end()
    entry.end()
    assert lines == ["2026-11-25T09:52:41.123Z GET /streams/chat/{id} 200 5B 12.5ms"]


def test_a_request_that_got_no_answer_and_no_route_says_so() -> None:
    log, lines = logged()
    begun(log, "POST").end()
    assert lines[0].endswith(" POST - - 0B 0.0ms")


def test_a_client_that_left_before_the_end_is_marked() -> None:
    log, lines = logged()
    entry = begun(log, "GET")
    play(entry, [start(200), body(b"abc", True)], ["http.disconnect"])
    entry.end()
    assert lines[0].endswith(" 200 3B 0.0ms left")


def test_what_a_client_that_left_did_not_get_is_not_counted() -> None:
    log, lines = logged()
    entry = begun(log, "GET")
    play(entry, [start(200), body(b"abc", True)], ["http.disconnect"])
    play(entry, [body(b"abc", True)], [])
    entry.end()
    assert " 3B " in lines[0]


def test_a_body_that_we_cut_is_marked_and_its_client_has_not_left() -> None:
    log, lines = logged()
    entry = begun(log, "GET")
    entry.aborted = True
    play(entry, [start(200)], ["http.disconnect"])
    entry.end()
    assert lines[0].endswith(" 200 0B 0.0ms aborted")


def test_the_request_itself_is_not_a_leaving() -> None:
    log, lines = logged()
    entry = begun(log, "POST")
    play(entry, [], ["http.request"])
    entry.end()
    assert "left" not in lines[0]


@pytest.mark.parametrize("method", ["GET\nfake", "G\x1b[2J", "", "A" * 33, "GÉT", "G T"])
def test_a_method_cannot_write_lines_of_its_own(method: str) -> None:
    log, lines = logged()
    begun(log, method).end()
    assert lines[0].split(" ", 1)[1] == "- - - 0B 0.0ms"


def test_a_log_that_cannot_be_written_ends_no_request() -> None:
    def broken(_: str) -> None:
        raise BrokenPipeError

    begun(AccessLog(broken), "GET").end()


FACTS = {
    "stream": "01kb5x7q2m",
    "id": "chatcmpl-1",
    "model": "a model\nwith a line",
    "first_token": 0.25,
    "between_tokens": None,
    "tokens": {"input": 1, "output": 2, "estimated": True},
    "ending": "completed",
}


def test_an_answer_gives_one_line_of_what_is_known() -> None:
    log, lines = logged()
    log.source_ended("answer", FACTS)
    assert lines == [
        "2026-11-25T09:52:41.123Z answer completed stream=01kb5x7q2m id=chatcmpl-1 "
        r'model="a model\nwith a line" first_token=0.25 tokens_input=1 tokens_output=2 '
        "tokens_estimated=true"
    ]


def test_as_json_each_line_is_an_object() -> None:
    times = Times()
    lines: list[str] = []
    log = AccessLog(lines.append, lambda: times.now, as_json=True)
    entry = begun(log, "GET")
    play(entry, [start(200), body(b"abc", False)], [])
    entry.end()
    log.source_ended("answer", FACTS)
    request, answer = map(json.loads, lines)
    assert request == {
        "time": "2026-11-25T09:52:41.123Z",
        "event": "request",
        "method": "GET",
        "route": "-",
        "status": 200,
        "bytes": 3,
        "ms": 0.0,
        "left": False,
        "aborted": False,
    }
    assert answer == {"time": request["time"], "event": "answer", **FACTS}
