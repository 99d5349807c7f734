"""The request target (RFC 9112 §3.2), sans-I/O: what is asked for, and of whom."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from tailrace.errors import BadRequest

_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
# Credentials (``@``) are no part of an http URL in a request (RFC 9110 §4.2.4).
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE | re.DOTALL)


class RequestTarget(NamedTuple):
    """A target's parts."""

    authority: bytes | None
    """Host and port of the absolute form; they replace the Host field (RFC 9112 §3.2.2)."""
    raw_path: bytes
    path: str
    """Decoded; bytes that are not UTF-8 became U+FFFD."""
    query: bytes


def parse_target(target: bytes) -> RequestTarget:
    """Split a target in origin, absolute or asterisk form. Raises BadRequest for others."""
    absolute = _ABSOLUTE.fullmatch(target)
    authority = None
    if absolute is not None:
        authority, target = absolute[1], absolute[2]
        target = target if target.startswith(b"/") else b"/" + target
    if not (target.startswith(b"/") or target == b"*") or b"#" in target:
        raise BadRequest("The request target must be a path or an http URL without a fragment.")
    raw_path, _, query = target.partition(b"?")
    path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
    return RequestTarget(authority, raw_path, path, query)


def percent_encode_line(data: bytes) -> tuple[bytes, bool]:
    """Percent-encode raw bytes of the line that ``data`` begins in; and whether it ended there.

    ``curl 'http://…/stream?content=é'`` sends UTF-8 as it is. The article's server reads it,
    llhttp refuses it.
    """
    line, feed, rest = data.partition(b"\n")
    if line.isascii():
        return data, bool(feed)
    encoded = _NOT_ASCII.sub(lambda match: b"%%%02X" % match[0][0], line)
    return encoded + feed + rest, bool(feed)
