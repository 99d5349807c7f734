"""The media type of a stream, as far as anything here depends on it (RFC 9110, 8.3.1)."""

from __future__ import annotations


def essence(content_type: str) -> str:
    """``type/subtype`` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether each ``data`` event of such a stream is one JSON value."""
    return essence(content_type) == "application/json"


def parameter(content_type: str, name: str) -> str:
    """The value of a parameter, without quotes and in lower case; empty where there is none."""
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""
