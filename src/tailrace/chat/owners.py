"""Whose an answer is: it belongs to whoever shows the credentials that it was asked with.

An id that a model's server gave is neither a secret nor unique (Ollama has 999 of them), so it is
no permission. What leads to an answer by such an id, or by an ``Idempotency-Key``, is a name made
of the id *and* of the credentials:

    two requests name the same id and show      they mean
    ------------------------------------------  ------------------------------------------
    the same credentials                        the same answer
    different credentials                       different answers, or none
    no credentials, both of them                the same answer: they are the same local user
    none, one of them from a foreign page       different answers, or none: without a token such
                                                a page may ask, and may not manage

Credentials are what a client would show to the upstream. This server's own token is not among
them: whoever has it may do everything here, and it is removed from a request before a handler
sees it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from tailrace.contracts import Headers
from tailrace.web.services import CHAT
from tailrace.wire.llm import credentials


def owner_of(headers: Headers, guest: bytes = b"") -> bytes:
    """Return a digest of the credentials in ``headers``; one digest for all requests without any.

    The order of the fields does not count: proxies change it. ``guest``: the foreign origin that
    asks, where it may do no more than that.
    """
    shown = sorted(value.strip() for name, value in headers if name in credentials.FIELDS)
    from_page = [b"origin", guest] if guest else []
    return hashlib.sha256(_joined([*shown, *from_page])).digest()


def owned_name(kind: str, owner: bytes, *parts: bytes) -> str:
    """Return the alias that only the requests of ``owner`` arrive at.

    ``kind`` says what ``parts`` are; ``parts`` are bytes of any length and content. The name has
    always the same length and tells nothing of owner or parts: it is a keyed hash.
    """
    return f"{CHAT}={kind}/{hmac.digest(owner, _joined(parts), 'sha256').hex()}"


def _joined(parts: Iterable[bytes]) -> bytes:
    # Lengths before the parts, so that no two lists of parts make the same text.
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)
