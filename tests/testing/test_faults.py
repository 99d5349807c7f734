"""Every fault and every recording is on the wire what its table says it is."""

from __future__ import annotations

import gzip

import pytest

from tailrace.testing.faults import FAULTS, OVERSIZED, Fault
from tailrace.testing.recorded import RECORDED
from tailrace.testing.script import STALL, Head, Reset, Wait, Write, plan
from tailrace.testing.threaded import ThreadedUpstream

from .raw_client import ask, connected, content, dechunked, read_until, reads, request, said, split

NO_HTTP = ("not-http", "garbage", "closes", "resets", "half-a-head", "stall-head")


def seen(fault: Fault) -> bytes:
    """What a client reads of the fault until it ends or, where it never does, is silent."""
    wire = b"".join(step.data for step in plan(fault.script, keep=False) if isinstance(step, Write))
    with ThreadedUpstream(fault.script) as upstream, connected(upstream.base_url) as connection:
        for step in fault.script.steps:
            if isinstance(step, Wait) and step is not STALL and step.gate != "reset":
                upstream.open(step.gate)
        connection.sendall(request())
        if STALL in fault.script.steps:
            upstream.reached("stall")
            answer = read_until(connection, wire.removesuffix(b"0\r\n\r\n")) if wire else b""
            assert not upstream.request().answered
            return answer
        if Reset() in fault.script.steps:
            answer = read_until(connection, wire) if wire else b""
            upstream.open("reset")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
            return answer
        answer = b"".join(reads(connection))
        assert upstream.finished(upstream.request())
        return answer


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in NO_HTTP])
def test_a_fault_says_what_its_table_says(name: str) -> None:
    fault = FAULTS[name]
    body, _ = content(seen(fault))
    assert said(body) == (fault.text, fault.done)


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_answer_has_no_head(name: str) -> None:
    assert b"\r\n\r\n" not in seen(FAULTS[name])


CUT = ["cut", "cut-in-event", "cut-after-finish", "reset", "short-length", "bad-chunk-size"]
WHOLE = [
    "plain",
    "no-done",
    "no-done-after-finish",
    "empty-body",
    "eof-without-done",
    "error-event",
]


@pytest.mark.parametrize("name", CUT)
def test_a_cut_body_breaks_its_framing(name: str) -> None:
    assert content(seen(FAULTS[name]))[1] is False


@pytest.mark.parametrize("name", [*WHOLE, "http-1.0", "dribble", "byte-chunks", "html", "429"])
def test_other_bodies_end_as_their_framing_asks(name: str) -> None:
    assert content(seen(FAULTS[name]))[1] is True


def test_gzip_is_sent_though_nobody_asked() -> None:
    head, body = split(seen(FAULTS["gzip"]))
    assert b"content-encoding: gzip" in head
    assert said(gzip.decompress(dechunked(body)[0])) == (FAULTS["plain"].text, True)


@pytest.mark.parametrize(
    ("name", "start", "holds"),
    [
        ("429", b"HTTP/1.1 429 Too Many Requests", b"x-ratelimit-remaining-requests: 0"),
        ("500", b"HTTP/1.1 500 Internal Server Error", b"application/json"),
        ("307", b"HTTP/1.1 307 Temporary Redirect", b"location: "),
        ("502-html", b"HTTP/1.1 502 Bad Gateway", b"text/html"),
        ("no-content", b"HTTP/1.1 204 No Content", b""),
        ("early-hints", b"HTTP/1.1 103 Early Hints", b"link: </a>"),
        ("http-1.0", b"HTTP/1.0 200 OK", b"text/event-stream"),
    ],
)
def test_a_refusal_is_a_proper_response(name: str, start: bytes, holds: bytes) -> None:
    head = seen(FAULTS[name]).partition(b"\r\n\r\n")[0]
    assert head.startswith(start)
    assert holds in head


def test_the_oversized_event_and_the_endless_head_are_beyond_usual_limits() -> None:
    assert max(map(len, seen(FAULTS["oversized-event"]).split(b"\n"))) > OVERSIZED
    assert len(split(seen(FAULTS["endless-head"]))[0]) > OVERSIZED


@pytest.mark.parametrize("gate", ["late-head", "late-first-byte", "pause"])
def test_what_comes_late_comes_when_the_gate_opens(gate: str) -> None:
    with (
        ThreadedUpstream(FAULTS[gate].script) as upstream,
        connected(upstream.base_url) as connection,
    ):
        connection.sendall(request())
        upstream.reached(gate)
        early = upstream.request().sent
        upstream.open(gate)
        answer = b"".join(reads(connection))
    assert early < len(answer)
    assert (early == 0) == (gate == "late-head")
    assert said(content(answer)[0]) == (FAULTS[gate].text, True)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_is_played_byte_for_byte(name: str) -> None:
    recording = RECORDED[name]
    with ThreadedUpstream(recording.script) as upstream:
        answer = ask(upstream.base_url)
    assert content(answer) == (recording.body, not recording.cut)
    assert split(answer)[0].startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("name", [name for name, each in RECORDED.items() if each.strict_lines])
def test_a_recording_ends_with_done_where_it_says_so(name: str) -> None:
    recording = RECORDED[name]
    lines = [line.removesuffix(b"\r") for line in recording.body.split(b"\n")]
    assert (b"data: [DONE]" in lines) == recording.ends_done


def test_recordings_are_many_and_have_no_line_that_a_64_kib_reader_would_refuse() -> None:
    assert len(RECORDED) >= 25
    assert all(len(line) < 1 << 16 for each in RECORDED.values() for line in each.body.split(b"\n"))


def test_recorded_reads_are_chunks_of_their_own() -> None:
    recording = RECORDED["emoji-cut"]
    chunks = [action for action in plan(recording.script, keep=True) if isinstance(action, Write)]
    assert len(chunks) > 30
    with pytest.raises(UnicodeDecodeError):
        chunks[1].data.decode()


def test_every_script_has_a_head_or_is_meant_to_have_none() -> None:
    for name, fault in FAULTS.items():
        assert name in NO_HTTP or any(isinstance(step, Head) for step in fault.script.steps)
        assert fault.note
