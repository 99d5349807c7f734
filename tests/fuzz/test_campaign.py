"""What a campaign does with what its fuzzer finds, and whether the judges see what they should."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.fuzz.answers_grammar import make_answer
from tests.fuzz.answers_model import parse_response, understand
from tests.fuzz.campaign import Campaign, Finding, dice_of, shorter
from tests.fuzz.requests_grammar import make_requests
from tests.fuzz.requests_model import read_requests, read_responses
from tests.fuzz.store_files import is_torn
from tests.fuzz.store_images import commits
from tests.fuzz.views_grammar import Shown, blocks_of, check_own, strict_json


class NoZero:
    """Breaks its only rule where there is a zero byte."""

    name = "no-zero"

    def make(self, dice: random.Random) -> bytes:
        return dice.randbytes(300)

    def check(self, case: bytes) -> None:
        if b"\0" in case:
            raise Finding("a zero", f"at {case.index(0)}")

    def smaller(self, case: bytes) -> Iterator[bytes]:
        return shorter(case)

    def show(self, case: bytes) -> str:
        return f"    {case!r}"

    def renew(self) -> None:
        pass

    def statistics(self) -> str:
        return ""


def test_a_finding_names_its_seed_and_case_and_the_smallest_input() -> None:
    said: list[str] = []
    outcome = Campaign(NoZero(), 7, cases=1000, say=said.append).run()
    (report,) = outcome.reports
    assert report in said
    assert f"TAILRACE_SEED=7 python -m tests.fuzz no-zero --case {outcome.cases}" in report
    assert report.endswith(r"b'\x00'")
    again = Campaign(NoZero(), 7, only=outcome.cases, say=said.append).run()
    assert again.reports == [report]


def test_a_case_depends_on_its_seed_and_number_alone() -> None:
    for make in (make_answer, make_requests):
        first, second = (make(dice_of(5, "x", number)) for number in (0, 1))
        assert first != second
        assert make(dice_of(5, "x", 1)) == second


def test_each_of_the_first_thousand_cases_can_be_made() -> None:
    for number in range(1000):
        make_answer(dice_of(1, "answers", number))
        make_requests(dice_of(1, "requests", number))


# --- judges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: 1\r\nX: 1\r\n\r\n",
        b"HTTP/1.1 204 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokx\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nok",
    ],
)
def test_a_response_that_is_no_http_is_a_finding(said: bytes) -> None:
    with pytest.raises(Finding):
        read_responses(said, [b"GET"], ended=True)


def test_responses_behind_each_other_are_told_apart() -> None:
    said = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        b"HTTP/1.1 404 No\r\n\r\nrest"
    )
    answers = read_responses(said, [b"HEAD", b"GET", b"GET"], ended=True)
    assert [(a.status, a.body, a.whole) for a in answers] == [
        (200, b"", True), (200, b"ok", True), (404, b"rest", True),
    ]  # fmt: skip


def test_requests_are_counted_as_h11_reads_them() -> None:
    get = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(get), get)
    assert read_requests(get + post + get).targets == [b"/a", b"/b", b"/a"]
    assert read_requests(post[:-1]).pending
    assert not read_requests(get + b"\0" + get).sound


DONE = b'data: {"choices":[]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("api", "body", "completed"),
    [
        ("chat", DONE, True),
        ("chat", b'data: {"error":{"message":"no"}}\n\n' + DONE, False),
        ("chat", b"data: {\n\n" + DONE, False),
        ("chat", DONE.replace(b"[DONE]", b"[]"), False),
        ("messages", b'event: message_stop\ndata: {"type":"message_stop"}', True),
        ("messages", DONE, False),
        ("responses", b'data: {"type":"response.failed"}\n\n', False),
        ("responses", b'data: {"type":"response.completed"}\r\r', True),
    ],
)
def test_what_an_answer_tells_is_understood(api: str, body: bytes, completed: bool) -> None:
    told = understand(api, body)
    assert told.may_be_completed == told.must_be_completed == completed


def test_a_response_is_parsed_as_far_as_it_is_sound() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parse_response(head + b"2\r\nok\r\n0\r\n\r\n").whole
    broken = parse_response(head + b"2\r\nok\r\nzz\r\n")
    assert (broken.body, broken.whole, broken.sound) == (b"ok", False, False)


@pytest.mark.parametrize("data", [b"data: x", b"data: x\r\n\r\n", b"x: y\n\n", b"data: x\n"])
def test_an_event_stream_that_is_none_is_a_finding(data: bytes) -> None:
    with pytest.raises(Finding):
        blocks_of("sse", data)


@pytest.mark.parametrize("text", ["NaN", '{"a":}', "'a'", "", "[1,]"])
def test_what_is_no_json_is_a_finding(text: str) -> None:
    with pytest.raises(Finding):
        strict_json("ndjson", text)


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (DONE, "cut"),
        (b'data: {"error":{}}\n\n', "completed"),
        (b'data: {"choices":[]}\n\n', "cut"),
        (DONE + DONE, "completed"),
    ],
)
def test_an_answer_whose_end_does_not_tell_the_ending_is_a_finding(
    data: bytes, ending: str
) -> None:
    with pytest.raises(Finding):
        check_own("chat", Shown(data, True), ending)


def test_only_the_end_of_a_log_is_torn() -> None:
    def frame(last: int) -> bytes:
        return b"\0\0\0\1" + last.to_bytes(4) + b"s" * 8 + bytes(8) + b"p" * 512

    head = bytes(8) + (512).to_bytes(4) + bytes(4) + b"s" * 8 + bytes(8)
    whole = head + frame(0) + frame(1) + frame(1)
    assert [commit.end for commit in commits(whole)] == [32 + 2 * 536, 32 + 3 * 536]
    assert is_torn(whole, whole[:-1])
    assert is_torn(whole, whole[:700])
    assert is_torn(whole, b"")
    assert not is_torn(whole, whole[:100] + b"x" + whole[101:])
    assert not is_torn(whole, b"x" + whole[1:])
