"""Requests come in pieces, and are the same wherever the pieces were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import BadRequest
from tailrace.http1.head_limits import Limits
from tailrace.http1.request_reader import RequestHead, RequestReader, Stage

REQUESTS = (
    b"POST /a?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
    b"GET http://other/b%20c HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST /d HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"
    b"PUT /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n"
    b"GET /f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
)


class Requests:
    """What was read; each request with a reader of its own, unless it came in the same bytes."""

    def __init__(self) -> None:
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        self.ends = 0
        self.reader: RequestReader | None = None

    def feed(self, data: bytes) -> None:
        reader = self.reader = self.reader or RequestReader(self, Limits())
        reader.feed(data)
        if reader.stage is Stage.AFTER:
            reader.close()
            self.reader = None

    def on_head(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.bodies.append(b"")

    def on_body(self, data: bytes) -> None:
        self.bodies[-1] += data

    def on_end(self) -> None:
        self.ends += 1


def read(*pieces: bytes) -> Requests:
    requests = Requests()
    for piece in pieces:
        requests.feed(piece)
    return requests


def test_a_request_is_read_as_it_was_sent() -> None:
    found = read(REQUESTS)
    assert [head.method for head in found.heads] == ["POST", "GET", "POST", "PUT", "GET"]
    assert found.bodies == [b"hello", b"", b"hi", b"abc", b""]
    assert found.ends == 5
    first, second, *_, old = found.heads
    assert (first.target.path, first.target.query) == ("/a", b"q=1")
    assert first.expects_continue
    assert not second.expects_continue
    assert (second.target.path, second.headers) == ("/b c", [(b"host", b"other")])
    assert first.modern
    assert first.keep_alive
    assert not old.modern
    assert not old.keep_alive
    assert found.reader is None


@given(st.lists(st.integers(1, len(REQUESTS) - 1), max_size=8))
def test_where_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), len(REQUESTS)]
    found = read(*(REQUESTS[a:b] for a, b in pairwise(places)))
    whole = read(REQUESTS)
    assert (found.heads, found.bodies, found.ends) == (whole.heads, whole.bodies, whole.ends)


def test_what_comes_byte_by_byte_is_the_same_too() -> None:
    found = read(*(REQUESTS[n : n + 1] for n in range(len(REQUESTS))))
    whole = read(REQUESTS)
    assert (found.heads, found.bodies, found.ends) == (whole.heads, whole.bodies, whole.ends)


def test_a_reader_of_half_a_request_is_kept() -> None:
    assert read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /").reader is not None


@pytest.mark.parametrize("data", [b"rubbish\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n"])
def test_what_is_not_http_1_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read(data)


def test_what_the_receiver_raises_comes_out_of_feed_as_it_is() -> None:
    class Refusing(Requests):
        def on_head(self, head: RequestHead) -> None:
            raise BadRequest(f"not {head.target.path}")

    with pytest.raises(BadRequest, match="not /x"):
        Refusing().feed(b"GET /x HTTP/1.1\r\n\r\n")
