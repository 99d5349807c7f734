"""What the Durable Streams protocol writes into header fields and queries. Sans-I/O.

Everything here takes what a client sent, as it came, and returns a value or raises BadRequest
with a sentence that says what is allowed. Sections are those of the protocol's PROTOCOL.md.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tailrace.errors import BadRequest, MalformedOffset
from tailrace.model import Offset
from tailrace.wire.media_type import essence, is_json, parse

# JavaScript's largest exact integer, which the protocol sets as a bound (5.2.1).
_MAX_INTEGER: Final = 2**53 - 1
# A century: beyond, a stream that does not expire is meant.
_MAX_TTL: Final = 100 * 366 * 86400
# Ids and sequence tokens are kept for each stream; identifiers and dates are shorter.
_MAX_TOKEN: Final = 256
_MAX_CONTENT_TYPE: Final = 256
_ZERO: Final = "0000000000000000_0000000000000000"
_DIGITS: Final = re.compile(rb"[0-9]{1,16}")
_CANONICAL: Final = re.compile(rb"0|[1-9][0-9]{0,15}")
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e\x80-\xff]+")
# RFC 3339, 5.6.
_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)


def parse_ttl(value: bytes) -> int:
    """Seconds (5.1): decimal digits, no sign, no leading zeros."""
    if not _CANONICAL.fullmatch(value) or int(value) > _MAX_TTL:
        raise BadRequest("Stream-TTL must be whole seconds in plain digits, up to a century.")
    return int(value)


def parse_expires_at(value: bytes) -> int:
    """An RFC 3339 timestamp (5.1), in milliseconds since the epoch."""
    match = _TIMESTAMP.fullmatch(value.decode("latin-1"))
    time = match and _instant(match)
    if time is None:
        raise BadRequest("Stream-Expires-At must be a timestamp such as 2030-01-31T12:00:00Z.")
    return time


def _instant(match: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (int(match[n]) for n in range(1, 7))
    leap = second == 60  # the last second that a clock of ours has stands for it
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
        if match[8]:
            ahead = timedelta(hours=int(match[9]), minutes=int(match[10]))
            moment = moment - ahead if match[8] == "+" else moment + ahead
    except (ValueError, OverflowError):
        return None
    if leap and (moment.hour, moment.minute) != (23, 59):  # they come at midnight UTC (5.7)
        return None
    fraction = int(((match[7] or "") + "000")[:3])
    return int(moment.timestamp()) * 1000 + fraction


def format_expires_at(time: int) -> bytes:
    """Milliseconds since the epoch as RFC 3339, in UTC."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)
    # Not strftime: where its %Y has four digits for every year depends on the platform.
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z".encode()


def is_closed_flag(value: bytes | None) -> bool:
    """Whether ``Stream-Closed`` is set (4.1): any value but ``true`` counts as none."""
    return value is not None and value.strip().lower() == b"true"


def parse_producer(
    name: bytes | None, epoch: bytes | None, seq: bytes | None
) -> tuple[str, int, int] | None:
    """``Producer-Id``, ``-Epoch`` and ``-Seq`` (5.2.1): all three, or None for none."""
    if name is None and epoch is None and seq is None:
        return None
    if name is None or epoch is None or seq is None:
        raise BadRequest("Send Producer-Id, Producer-Epoch and Producer-Seq together.")
    if not _PRINTABLE.fullmatch(name) or len(name) > _MAX_TOKEN:
        raise BadRequest(f"Producer-Id must have 1 to {_MAX_TOKEN} printable characters.")
    numbers = [_integer(epoch, b"Producer-Epoch"), _integer(seq, b"Producer-Seq")]
    return name.decode("latin-1"), *numbers  # type: ignore[return-value]


def parse_sub_offset(value: bytes) -> int:
    """``Stream-Fork-Sub-Offset`` (4.2)."""
    if not _CANONICAL.fullmatch(value):
        raise BadRequest("Stream-Fork-Sub-Offset must be a whole number in plain digits.")
    return int(value)


def parse_writer_seq(value: bytes) -> str:
    """``Stream-Seq`` (5.2). Strings compare as its bytes do."""
    if not _PRINTABLE.fullmatch(value) or len(value) > _MAX_TOKEN:
        raise BadRequest(f"Stream-Seq must have 1 to {_MAX_TOKEN} printable characters.")
    return value.decode("latin-1")


def parse_offset(token: str | None) -> Offset | str:
    """``-1``, ``now``, or an offset (8). Raises MalformedOffset."""
    if token in ("-1", "now"):
        return token
    offset = None if token is None else Offset.parse(token)
    if offset is None:
        raise MalformedOffset(
            "'offset' must be -1, now, or an offset that this server gave, unchanged."
        )
    return offset


def parse_fork_offset(value: bytes) -> Offset | str:
    """``Stream-Fork-Offset`` (4.2). Raises MalformedOffset.

    The all-zero offset with which every stream of the reference server begins is taken for
    ``-1``: the protocol's test suite, and clients written against that server, write it.
    """
    token = value.decode("latin-1")
    return "-1" if token == _ZERO else parse_offset(token)


def parse_content_type(value: bytes) -> str:
    """A stream's content type, as it is to be given back, from a field value."""
    return check_content_type(value.decode("latin-1").strip(" \t"))


def check_content_type(content_type: str) -> str:
    """Return a content type that a stream may have. Raises BadRequest for any other text."""
    if len(content_type) > _MAX_CONTENT_TYPE:
        raise BadRequest(f"Content-Type must have at most {_MAX_CONTENT_TYPE} characters.")
    if parse(content_type) is None:
        raise BadRequest(
            "Content-Type must be one media type such as text/plain, or text/csv; charset=utf-8; "
            "a parameter's value with other characters than a name's stands in double quotes."
        )
    return content_type


def is_text(content_type: str) -> bool:
    """Whether a stream's bytes go into Server-Sent Events as they are (5.8), JSON apart."""
    return essence(content_type).startswith("text/")


def is_base64(content_type: str) -> bool:
    """Whether they go there as base64."""
    return not is_text(content_type) and not is_json(content_type)


def etag(generation: str, start: int, end: int, state: str) -> bytes:
    """The tag of an answer (10.1): which making, which part of it, and whether more follows it,
    nothing yet, or nothing for good: a word, since fields of the answer say that, too.
    """
    return f'"{generation}:{start}:{end}:{state}"'.encode()


def matches(if_none_match: bytes, tag: bytes) -> bool:
    """Whether the client has what ``tag`` stands for (RFC 9110, 13.1.2: weak comparison)."""
    candidates = (part.strip().removeprefix(b"W/") for part in if_none_match.split(b","))
    return if_none_match.strip() == b"*" or tag in candidates


def _integer(value: bytes, field: bytes) -> int:
    if not _DIGITS.fullmatch(value) or int(value) > _MAX_INTEGER:
        raise BadRequest(f"{field.decode()} must be a whole number from 0 to {_MAX_INTEGER}.")
    return int(value)
