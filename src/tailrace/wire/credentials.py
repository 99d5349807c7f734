"""The header fields in which clients of model APIs show who they are."""

from __future__ import annotations

from typing import Final

API_KEYS: Final = (b"x-api-key", b"api-key")
"""Anthropic's, and Azure's: the key alone."""

FIELDS: Final = (b"authorization", *API_KEYS)
"""All, ``Authorization`` with its scheme first."""
