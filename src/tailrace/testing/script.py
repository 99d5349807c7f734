"""What a scripted upstream answers, as values, and how these become writes.

A script is a sequence of steps. `plan` turns it into the few things that a connection can do:
write these bytes, stand before a gate, sleep, close. It knows HTTP/1.1 framing (RFC 9112) and
no socket, so what a script puts on the wire can be read and tested here.

    Head     the status line and fields; says how the body is delimited
    Send     bytes of the body, framed as the head says
    Raw      bytes on the wire as they are: broken framing, another protocol
    Wait     until the test opens the gate of that name, or the client leaves
    Pause    some seconds
    Cut      FIN now, whatever the framing still owes
    Reset    RST now

After the last step the body ends as its framing asks (the last chunk; FIN where the end of the
connection is the end of the body), and a connection that may be kept is kept. A script without
a head ends with FIN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final, TypeAlias

Split: TypeAlias = int | tuple[int, ...]
"""How bytes are divided into writes: 0 not at all, n every n bytes, a tuple at these places."""

EVENT_STREAM: Final = ("content-type", "text/event-stream")
JSON: Final = ("content-type", "application/json")


class Framing(StrEnum):
    """How a client knows where the body ends."""

    CHUNKED = "chunked"
    LENGTH = "content-length"
    EOF = "eof"
    """The end of the connection: the only way of HTTP/1.0, and allowed in HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and fields.

    ``length`` is what Content-Length says under Framing.LENGTH; None says the truth, the sum of
    the script's Send steps. A Date field is not sent: an answer is the same every time.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (EVENT_STREAM,)
    framing: Framing = Framing.CHUNKED
    version: str = "1.1"
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body. Under chunked framing every piece is an HTTP chunk of its own."""

    data: bytes
    split: Split = 0


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that go on the wire exactly as given."""

    data: bytes
    split: Split = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing until the gate is opened or the client leaves."""

    gate: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for a time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection with FIN."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Close the connection with RST. What the client has not read yet may be lost with it."""


Step: TypeAlias = Head | Send | Raw | Wait | Pause | Cut | Reset

STALL: Final = Wait("stall")
"""Silence for as long as the test does not open the gate ``stall``."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. ``wire`` > 0 divides everything on the wire, framing too, every so many bytes."""

    steps: tuple[Step, ...]
    wire: int = 0


@dataclass(frozen=True, slots=True)
class Write:
    """Hand these bytes to the kernel before anything else is done."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection, with RST or with FIN."""

    reset: bool = False


Action: TypeAlias = Write | Wait | Pause | Close


def script(*steps: Step, wire: int = 0) -> Script:
    """A script of these steps."""
    return Script(steps, wire)


def stream(*events: bytes, gate: str = "", delay: float = 0.0, wire: int = 0) -> Script:
    """A streamed answer: an event-stream head, then each of ``events`` in a chunk of its own.

    Before each event it waits at ``gate`` and then for ``delay`` seconds, where these are given.
    """
    steps: list[Step] = [Head()]
    for data in events:
        steps += [Wait(gate)] if gate else []
        steps += [Pause(delay)] if delay else []
        steps.append(Send(data))
    return Script(tuple(steps), wire)


def respond(status: int, body: bytes, *headers: tuple[str, str]) -> Script:
    """An answer that is not streamed: JSON with a Content-Length, and further ``headers``."""
    fields = headers if any(name == "content-type" for name, _ in headers) else (JSON, *headers)
    return Script((Head(status, fields, Framing.LENGTH), Send(body)))


def pieces(data: bytes, split: Split) -> Iterator[bytes]:
    """``data`` in the pieces that ``split`` says; none of them is empty."""
    start = 0
    for place in (*_places(split, len(data)), len(data)):
        if start < place <= len(data):
            yield data[start:place]
            start = place


def _places(split: Split, size: int) -> Sequence[int]:
    if isinstance(split, tuple):
        return split
    return range(split, size, split) if split else ()


def inside_characters(data: bytes) -> tuple[int, ...]:
    """The places that cut every multi-byte character of ``data`` into single bytes."""
    return tuple(place for place, byte in enumerate(data) if byte & 0xC0 == 0x80)


def plan(answer: Script, *, keep: bool) -> Iterator[Action]:
    """What a connection has to do for ``answer``.

    ``keep`` says whether the request allows the connection to be used again.
    """
    for action in _unsplit(answer.steps, keep=keep):
        if not isinstance(action, Write) or not answer.wire:
            yield action
            continue
        for piece in pieces(action.data, answer.wire):
            yield Write(piece)


def _unsplit(steps: Sequence[Step], *, keep: bool) -> Iterator[Action]:
    framing: Framing | None = None
    for step in steps:
        match step:
            case Head():
                framing = step.framing
                yield Write(_head(step, steps))
            case Send(data, split):
                for piece in pieces(data, split):
                    yield Write(_chunk(piece) if framing is Framing.CHUNKED else piece)
            case Raw(data, split):
                for piece in pieces(data, split):
                    yield Write(piece)
            case Wait() | Pause():
                yield step
            case Cut() | Reset():
                yield Close(reset=isinstance(step, Reset))
                return
    if framing is Framing.CHUNKED:
        yield Write(b"0\r\n\r\n")
    if not keep or framing is None or framing is Framing.EOF:
        yield Close()


def _head(head: Head, steps: Sequence[Step]) -> bytes:
    fields = list(head.headers)
    if head.framing is Framing.CHUNKED:
        fields.append(("transfer-encoding", "chunked"))
    elif head.framing is Framing.LENGTH:
        truth = sum(len(step.data) for step in steps if isinstance(step, Send))
        fields.append(("content-length", str(truth if head.length is None else head.length)))
    lines = [f"HTTP/{head.version} {head.status} {_reason(head.status)}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
