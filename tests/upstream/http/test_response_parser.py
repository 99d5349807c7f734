"""The response parser, cut everywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.upstream.http.response import MAX_HEAD, ResponseHead, ResponseParser

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-a: 2\r\n"
FIELDS = [(b"x-a", b"1"), (b"x-a", b"2")]
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
COUNTED = HEAD + b"Content-Length: 11\r\n\r\n"

RESPONSES = {
    "chunked": EARLY + CHUNKED + b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: v\r\n\r\n",
    "counted": COUNTED + b"hello world",
    "closed": HEAD + b"\r\nhello world",
    "surplus": COUNTED + b"hello worldHTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nevil",
    "junk": COUNTED + b"hello worldjunk",
    "broken chunk": CHUNKED + b"b\r\nhello world\r\nxyz\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "both framings": COUNTED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: y\r\n Set-Cookie: z\r\n\r\n",
    "no http": b"220 mail.example ESMTP\r\n",
}


class Outcome:
    """All that can be seen of a parser that was fed so many pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        parser = ResponseParser()
        body = []
        for piece in pieces:
            body.append(parser.feed(piece))
            if parser.failure:
                break
        self.head = parser.head
        self.body = b"".join(body)
        self.states = (
            parser.complete,
            parser.failure,
            parser.reusable,
            parser.ends_with_connection,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.body)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_cut_at_any_byte_changes_nothing(name: str) -> None:
    response = RESPONSES[name]
    whole = Outcome([response])
    for place in range(1, len(response)):
        assert Outcome([response[:place], response[place:]]) == whole, place


@given(st.sampled_from(sorted(RESPONSES)), st.lists(st.integers(0, 200), max_size=20))
def test_any_cuts_change_nothing(name: str, places: list[int]) -> None:
    response = RESPONSES[name]
    edges = [0, *sorted({place for place in places if 0 < place < len(response)}), len(response)]
    pieces = [response[start:end] for start, end in pairwise(edges)]
    assert Outcome(pieces) == Outcome([response])


@pytest.mark.parametrize("name", ["chunked", "counted", "closed", "surplus", "junk"])
def test_head_and_body_come_out_as_they_were_sent(name: str) -> None:
    outcome = Outcome([RESPONSES[name]])
    assert outcome.head is not None
    assert outcome.head.status == 200
    assert list(outcome.head.headers)[:2] == FIELDS
    assert outcome.body == b"hello world"


@pytest.mark.parametrize(
    ("name", "complete", "reusable", "ends_with_connection"),
    [
        ("chunked", True, True, False),
        ("counted", True, True, False),
        ("closed", False, False, True),
        ("surplus", True, False, False),
        ("junk", True, False, False),
    ],
)
def test_the_framing_says_where_the_body_ends(
    name: str, complete: bool, reusable: bool, ends_with_connection: bool
) -> None:
    assert Outcome([RESPONSES[name]]).states == (complete, "", reusable, ends_with_connection)


@pytest.mark.parametrize("name", ["broken chunk", "two lengths", "both framings", "folded"])
def test_ambiguous_framing_is_a_failure(name: str) -> None:
    outcome = Outcome([RESPONSES[name]])
    assert outcome.states[1]
    assert not any(outcome.states[i] for i in (0, 2, 3))


@pytest.mark.parametrize("status", [b"000", b"099", b"600", b"999"])
def test_a_status_that_http_does_not_have_is_a_failure(status: bytes) -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 " + status + b" Odd\r\nContent-Length: 0\r\n\r\n")
    assert parser.head is None
    assert "status" in parser.failure


@pytest.mark.parametrize("first", [b"HTTP/1.1 999 Odd\r\n", b"HTTP/1.1 101 Switching\r\n"])
def test_what_follows_a_failure_is_no_answer_however_it_is_cut(first: bytes) -> None:
    data = first + b"Content-Length: 0\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    for cut in range(len(data)):
        parser = ResponseParser()
        for piece in (data[:cut], data[cut:]):
            if piece and not parser.failure:
                parser.feed(piece)
        assert (parser.head, bool(parser.failure)) == (None, True), cut


@pytest.mark.parametrize(
    ("fields", "reusable"),
    [
        (b"", True),
        (b"Connection: close\r\n", False),
        (b"Connection: keep-alive\r\n", True),
    ],
)
def test_the_connection_field_decides_about_reuse(fields: bytes, reusable: bool) -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n")
    assert parser.reusable is reusable


def test_http_1_0_keeps_a_connection_only_where_it_says_so() -> None:
    for fields, reusable in ((b"", False), (b"Connection: keep-alive\r\n", True)):
        parser = ResponseParser()
        parser.feed(b"HTTP/1.0 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n")
        assert parser.reusable is reusable


def test_a_head_just_below_the_limit_is_taken_and_one_above_is_not() -> None:
    start, end = b"HTTP/1.1 204 No Content\r\nX: ", b"\r\n\r\n"
    parser = ResponseParser()
    parser.feed(start + b"y" * (MAX_HEAD - 100) + end)
    assert parser.head == ResponseHead(204, [(b"x", b"y" * (MAX_HEAD - 100))])
    parser = ResponseParser()
    parser.feed(start + b"y" * MAX_HEAD + end)
    assert (parser.head, bool(parser.failure)) == (None, True)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 700),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 160),
        (CHUNKED + b"5;x=", b"y" * 4096),
        (CHUNKED + b"0\r\nT: ", b"y" * 4096),
    ],
    ids=["field", "fields", "informational", "chunk extension", "trailer"],
)
def test_what_is_no_body_is_bounded_wherever_it_stands(start: bytes, more: bytes) -> None:
    parser = ResponseParser()
    parser.feed(start)
    fed = 0
    while not parser.failure:
        parser.feed(more)
        fed += len(more)
        assert fed <= MAX_HEAD + len(more)


def test_a_body_of_small_chunks_may_be_of_any_size() -> None:
    parser = ResponseParser()
    parser.feed(CHUNKED)
    for _ in range(2 * MAX_HEAD // 60):
        assert parser.feed(b"1;" + b"e" * 60 + b"\r\nx\r\n") == b"x"
    assert parser.failure == ""
