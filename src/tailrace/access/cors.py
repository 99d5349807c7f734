"""What pages of other origins are let see, where they may use this server."""

from __future__ import annotations

from typing import Final

# What a page may read of our responses beyond the seven fields that CORS always shows.
EXPOSED: Final = (
    "Content-Location",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "OpenAI-Model",
    "OpenAI-Organization",
    "OpenAI-Processing-Ms",
    "OpenAI-Version",
    "Preference-Applied",
    "Producer-Epoch",
    "Producer-Expected-Seq",
    "Producer-Received-Seq",
    "Producer-Seq",
    "Retry-After",
    "Retry-After-Ms",
    "Stream-Closed",
    "Stream-Cursor",
    "Stream-Ending",
    "Stream-Expires-At",
    "Stream-Next-Offset",
    "Stream-SSE-Data-Encoding",
    "Stream-TTL",
    "Stream-Up-To-Date",
    "WWW-Authenticate",
    "X-RateLimit-Limit-Requests",
    "X-RateLimit-Limit-Tokens",
    "X-RateLimit-Remaining-Requests",
    "X-RateLimit-Remaining-Tokens",
    "X-RateLimit-Reset-Requests",
    "X-RateLimit-Reset-Tokens",
    "X-Request-Id",
)
# Seconds a browser may remember a preflight: Chromium's own upper limit.
PREFLIGHT_MAX_AGE: Final = 7200
