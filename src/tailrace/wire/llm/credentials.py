"""The header fields in which clients of model APIs show who they are."""

from __future__ import annotations

import hmac
import re
from typing import Final

API_KEYS: Final = (b"x-api-key", b"api-key")
"""Anthropic's, and Azure's: the key alone."""

FIELDS: Final = (b"authorization", *API_KEYS)
"""All, ``Authorization`` with its scheme first."""

_BEARER: Final = re.compile(r"bearer +([!-~]+) *", re.IGNORECASE | re.ASCII)


def shown_in(name: bytes, value: str) -> str:
    """The key that a field of ``FIELDS`` shows, as a server reads it; empty where it shows none."""
    if name in API_KEYS:
        return value
    bearer = _BEARER.fullmatch(value)
    return bearer[1] if bearer is not None else ""


def holds(value: str, token: str) -> bool:
    """Whether ``token`` stands in a field's value, whatever stands before or behind it.

    Less strict than ``shown_in``: what is no valid way to show a token gives it away as well.
    Takes a time that tells nothing of the token.
    """
    words = [value, *value.split(), *re.split(r"[\s,;]+", value)]
    return any(same(word, token) for word in words)


def same(one: str, other: str) -> bool:
    """Whether two keys are equal, in a time that tells nothing of them."""
    return hmac.compare_digest(one.encode(), other.encode())
