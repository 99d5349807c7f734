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

``access/owner.py`` says what credentials are.
"""

from __future__ import annotations

import hmac

from tailrace.access.owner import joined
from tailrace.chat.namespace import PREFIX


def owned_name(kind: str, owner: bytes, *parts: bytes) -> str:
    """Return the alias that only the requests of ``owner`` arrive at.

    ``kind`` says what ``parts`` are; ``parts`` are bytes of any length and content. The name has
    always the same length and tells nothing of owner or parts: it is a keyed hash.
    """
    return f"{PREFIX}={kind}/{hmac.digest(owner, joined(parts), 'sha256').hex()}"
