"""Many at once: a hundred writers and a hundred readers on one stream, and ten thousand streams.

Memory is printed, and bounded by what docs/streams.md says of an open stream.
"""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tailrace.wire.sse import Parser
from tests.e2e.harness import Server, serving

WRITERS = READERS = 100
LINES = 20
STREAMS = 10_000
CONNECTIONS = 20
# Of memory for an open stream with one short event: the stream, its tail and window, its rows.
BYTES_PER_STREAM = 8 * 1024
_UPSTREAM = "http://127.0.0.1:9/v1"


def connect(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.host, server.port, timeout=100)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"", **more: str
) -> bytes:
    fields = {"Content-Type": "text/plain", **{k.replace("_", "-"): v for k, v in more.items()}}
    connection.request(method, path, body or None, fields)
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status < 300, (answer.status, data)
    return data


def write(server: Server, number: int) -> None:
    connection = connect(server)
    for line in range(LINES):
        ask(
            connection, "POST", "/streams/one", b"%d:%d\n" % (number, line),
            Producer_Id=str(number), Producer_Epoch="0", Producer_Seq=str(line),
        )  # fmt: skip
    connection.close()


def follow(server: Server) -> bytes:
    connection = connect(server)
    connection.request("GET", "/streams/one?offset=-1&live=sse")
    answer = connection.getresponse()
    parser, found, closed = Parser(max_event=1 << 26), b"", False
    while piece := answer.read1(65536):
        for event in parser.feed(piece):
            if event.type == "data":
                found += event.data
            else:
                closed |= "streamClosed" in json.loads(event.data)
    connection.close()
    assert closed
    return found


@pytest.mark.slow
def test_a_hundred_write_and_a_hundred_read_one_stream(tmp_path: Path) -> None:
    with serving(_UPSTREAM, tmp_path) as server, ThreadPoolExecutor(WRITERS + READERS) as pool:
        connection = connect(server)
        ask(connection, "PUT", "/streams/one")
        readers = [pool.submit(follow, server) for _ in range(READERS)]
        for writer in [pool.submit(write, server, number) for number in range(WRITERS)]:
            writer.result()
        ask(connection, "POST", "/streams/one", Stream_Closed="true")
        whole = ask(connection, "GET", "/streams/one")
        for reader in readers:
            assert reader.result() == whole
        lines = whole.splitlines()
        assert len(lines) == WRITERS * LINES
        for number in range(WRITERS):
            mine = [line for line in lines if line.startswith(b"%d:" % number)]
            assert mine == [b"%d:%d" % (number, line) for line in range(LINES)]
        connection.close()
        print(f"{server.memory() >> 20} MiB with {WRITERS} writers and {READERS} readers")


@pytest.mark.slow
def test_ten_thousand_streams_keep_one_event_each(tmp_path: Path) -> None:
    def make(server: Server, first: int) -> None:
        connection = connect(server)
        for number in range(first, STREAMS, CONNECTIONS):
            ask(connection, "PUT", f"/streams/many/{number}", b"event %d" % number)
        connection.close()

    with serving(_UPSTREAM, tmp_path) as server, ThreadPoolExecutor(CONNECTIONS) as pool:
        before = server.memory()
        for done in [pool.submit(make, server, first) for first in range(CONNECTIONS)]:
            done.result()
        grown = server.memory() - before
        print(f"{before >> 20} MiB empty, {grown >> 20} MiB more with {STREAMS} open streams")
        assert grown < STREAMS * BYTES_PER_STREAM
        connection = connect(server)
        for number in range(0, STREAMS, 97):
            assert ask(connection, "GET", f"/streams/many/{number}") == b"event %d" % number
        connection.close()
