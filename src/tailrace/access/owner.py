"""Whose request this is: a digest of the credentials that it shows.

Credentials are what a client would show to the upstream. This server's own token is not among
them: whoever has it may do everything here, and it is removed from a request before a handler
sees it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tailrace.contracts import Headers
from tailrace.wire.llm import credentials


def owner_of(headers: Headers, guest: bytes = b"") -> bytes:
    """Return a digest of the credentials in ``headers``; one digest for all requests without any.

    The order of the fields does not count: proxies change it. ``guest``: the foreign origin that
    asks, where it may do no more than that.
    """
    shown = sorted(value.strip() for name, value in headers if name in credentials.FIELDS)
    from_page = [b"origin", guest] if guest else []
    return hashlib.sha256(joined([*shown, *from_page])).digest()


def joined(parts: Iterable[bytes]) -> bytes:
    """Return ``parts`` as one text, such that no two lists of parts make the same text."""
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)
