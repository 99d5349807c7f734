"""Requests and responses as h11 and plain Python read them: they share no code with ours."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

import h11

from tests.fuzz.campaign import Finding

_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [\x20-\x7e]*")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e\x80-\xff]*)")
# Below /page/, to a person with a browser, in a checkout in which nobody built the page.
_NO_PAGE: Final = b"The page is not built here"
_CHUNK: Final = re.compile(rb"[0-9a-fA-F]{1,16}")


@dataclass
class Asked:
    """What h11 makes of a client's bytes."""

    methods: list[bytes] = field(default_factory=list)
    """Of each whole request."""
    targets: list[bytes] = field(default_factory=list)
    sound: bool = True
    """Whether there was nothing that h11 refuses."""
    pending: bool = False
    """Whether a request has begun and is not whole."""


def read_requests(data: bytes) -> Asked:
    """The requests in ``data``, each answered at once as far as h11 is concerned."""
    asked = Asked()
    while data and asked.sound:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(data)
        begun = None
        try:
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Request):
                    begun = event
                elif isinstance(event, h11.EndOfMessage) and begun is not None:
                    asked.methods.append(begun.method)
                    asked.targets.append(begun.target)
                    break
                elif not isinstance(event, h11.Data):
                    asked.pending = True
                    return asked
        except h11.RemoteProtocolError:
            asked.sound = False
            return asked
        data = connection.trailing_data[0]
    return asked


@dataclass
class Answered:
    """One response."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes
    whole: bool

    @property
    def closes(self) -> bool:
        return b"close" in self.fields.get(b"connection", b"").lower()


class Incomplete(Exception):
    """More is to come."""


def read_responses(data: bytes, methods: list[bytes], *, ended: bool) -> list[Answered]:
    """All responses in ``data``; raises Finding where they break RFC 9112.

    ``methods`` are those of the requests. ``ended``: nothing more will come; otherwise a last
    response that is not whole is left out.
    """
    found: list[Answered] = []
    at, finals = 0, 0
    while at < len(data):
        method = methods[finals] if finals < len(methods) else b""
        try:
            answer, at = _read_response(data, at, method, ended=ended)
        except Incomplete:
            if ended and data[at:]:
                raise Finding("a response ends within its head", repr(data[at:][:300])) from None
            return found
        if answer.status >= 200:
            found.append(answer)
            finals += 1
    return found


def _read_response(data: bytes, at: int, method: bytes, *, ended: bool) -> tuple[Answered, int]:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        raise Incomplete
    first, *lines = data[at:end].split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Finding("bytes that are no response", repr(data[at : at + 300]))
    fields: dict[bytes, bytes] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Finding("a malformed header field", repr(line[:300]))
        name = match[1].lower()
        if name in fields and name not in (b"set-cookie", b"vary"):
            raise Finding("a header field that comes twice", repr(line[:300]))
        fields[name] = match[2]
    code, at = int(status[1]), end + 4
    if code < 200 or code in (204, 304) or method == b"HEAD":
        if code < 200 or code == 204:
            _no_framing(code, fields)
        answer = Answered(code, fields, b"", True)
        if method == b"HEAD" and answer.closes and len(data) - at == _length(fields):
            # Who cannot read a request may not know its method; nothing follows that could be
            # taken for something else.
            return answer, len(data)
        return answer, at
    if not method and data[at : at + 9] == b"HTTP/1.1 ":
        # h11 did not read the request; it was a HEAD.
        return Answered(code, fields, b"", True), at
    return _read_body(data, at, Answered(code, fields, b"", False), ended=ended)


def _length(fields: dict[bytes, bytes]) -> int:
    return int(fields.get(b"content-length", b"0"))


def _no_framing(code: int, fields: dict[bytes, bytes]) -> None:
    if b"content-length" in fields or b"transfer-encoding" in fields:
        raise Finding("framing of a body where there is none", f"{code} {fields}")


def _read_body(data: bytes, at: int, answer: Answered, *, ended: bool) -> tuple[Answered, int]:
    fields = answer.fields
    if b"content-length" in fields and b"transfer-encoding" in fields:
        raise Finding("two framings", repr(fields))
    if fields.get(b"transfer-encoding") == b"chunked":
        return _read_chunks(data, at, answer, ended=ended)
    if b"content-length" in fields:
        size = int(fields[b"content-length"])
        answer.body = data[at : at + size]
        answer.whole = len(answer.body) == size
        if not answer.whole and not ended:
            raise Incomplete
        return answer, at + size
    if not ended:
        raise Incomplete
    answer.body, answer.whole = data[at:], True
    return answer, len(data)


def _read_chunks(data: bytes, at: int, answer: Answered, *, ended: bool) -> tuple[Answered, int]:
    body = bytearray()
    while True:
        end = data.find(b"\r\n", at)
        size = data[at : end if end >= 0 else len(data)]
        if size and not _CHUNK.fullmatch(size):
            raise Finding("a malformed chunk", repr(data[at : at + 100]))
        stop = end + 2 + int(size, 16) if end >= 0 and size else 0
        if end < 0 or len(data) < stop + 2:
            if not ended:
                raise Incomplete
            answer.body = bytes(body)
            return answer, len(data)
        if data[stop : stop + 2] != b"\r\n":
            raise Finding("a chunk without its end", repr(data[stop - 50 : stop + 50]))
        if not int(size, 16):
            answer.body, answer.whole = bytes(body), True
            return answer, stop + 2
        body += data[end + 2 : stop]
        at = stop + 2


def check_refusal(answer: Answered, *, head: bool) -> None:
    """A refusal says why, as JSON."""
    if answer.status == 500 or (answer.status >= 500 and not answer.body and not head):
        raise Finding("an internal error", f"{answer.status} {answer.body[:500]!r}")
    if answer.status < 400 or head or not answer.whole or answer.body.startswith(_NO_PAGE):
        return
    content_type = answer.fields.get(b"content-type", b"")
    if content_type not in (b"application/json", b"application/problem+json"):
        raise Finding("a refusal that is no JSON", f"{answer.status} {content_type!r}")
    try:
        json.loads(answer.body)
    except ValueError:
        raise Finding("a refusal that is no JSON", repr(answer.body[:300])) from None
