"""The table of fuzzers."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tests.fuzz import http_requests, store_files, upstream_answers
from tests.fuzz.campaign import Opener

FUZZERS: Final = MappingProxyType[str, Opener](
    {
        "requests": http_requests.opened,
        "upstreams": upstream_answers.opened,
        "stores": store_files.opened,
    }
)
"""Name → how to open it."""
