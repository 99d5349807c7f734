"""Errors as responses: OpenAI's shape for the model APIs, RFC 9457 problem details elsewhere.

Both say the same three things: a stable ``code`` (docs/errors.md lists all), the HTTP status,
and a sentence for a person. Only errors of our own tree are put into words. Whatever else was
raised, and what only the operator should read, is a bare 500: its text may hold a path, a
prompt or a key.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from tailrace.errors import (
    MethodNotAllowed,
    ProducerFenced,
    ProducerGap,
    StartupError,
    TailraceError,
)
from tailrace.server.addresses import ROOTS, Roots, root_of

# Seconds until a retry has a chance, by code.
_RETRY_AFTER: Final = {
    "store_overloaded": 1,  # one group commit takes milliseconds; a second is ample
    "store_unavailable": 5,  # the store tries to reopen its medium every few seconds
    "store_full": 60,  # space is made by retention or by a person
    "shutting_down": 2,  # a restart takes about as long
    "too_many": 1,  # whoever holds one gives it back sooner or later
}

# OpenAI's ``type``, which SDKs show but do not decide by; any other 4xx is the request's fault.
_OPENAI_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

_HIDDEN: Final = "Something went wrong inside the server; its log says what."


class Problem(NamedTuple):
    """A whole response; ``headers`` have Content-Type, Content-Length and Cache-Control."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem(error: BaseException, path: str, roots: Roots = ROOTS) -> Problem:
    """The response for ``error``, in the shape that clients of ``path`` know. Never raises.

    ``roots``: below which paths the streams are, whose clients know nothing of models.
    """
    openai = (path == "/v1" or path.startswith("/v1/")) and root_of(path, roots) is None
    body = openai_json(error) if openai else problem_json(error)
    media_type = b"application/json" if openai else b"application/problem+json"
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *_explaining_headers(error),
    ]
    return Problem(_words(error).status, headers, body)


def problem_json(error: BaseException) -> bytes:
    """The RFC 9457 object alone, on one line: for an event in a stream too.

    ``type`` is left out, which means ``about:blank``, so ``title`` is the status's phrase.
    """
    code, status, message = _words(error)
    return _dump(
        {"title": HTTPStatus(status).phrase, "status": status, "detail": message, "code": code}
    )


def openai_json(error: BaseException) -> bytes:
    """``{"error":{…}}`` alone, on one line: for a ``data:`` line in mid-stream too."""
    code, status, message = _words(error)
    default = "invalid_request_error" if status < 500 else "api_error"
    kind = _OPENAI_TYPES.get(status, default)
    return _dump({"error": {"message": message, "type": kind, "param": None, "code": code}})


class _Words(NamedTuple):
    code: str
    status: int
    message: str


def _words(error: BaseException) -> _Words:
    if not isinstance(error, TailraceError) or isinstance(error, StartupError):
        return _Words(TailraceError.code, TailraceError.status, _HIDDEN)
    message = str(error) or f"{HTTPStatus(error.status).phrase}."
    return _Words(error.code, error.status, message)


def _explaining_headers(error: BaseException) -> list[tuple[bytes, bytes]]:
    """The fields that belong to certain errors (RFC 9110 §10.2.1, §10.2.3, §11.6.1, and the
    Durable Streams protocol, 5.2.1)."""
    code, status, _ = _words(error)
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allow).encode())]
    if isinstance(error, ProducerFenced):
        return [(b"producer-epoch", b"%d" % error.epoch)]
    if isinstance(error, ProducerGap):
        return [
            (b"producer-expected-seq", b"%d" % error.expected),
            (b"producer-received-seq", b"%d" % error.received),
        ]
    if status == 401:
        return [(b"www-authenticate", b'Bearer realm="tailrace"')]
    if code in _RETRY_AFTER:
        return [(b"retry-after", b"%d" % _RETRY_AFTER[code])]
    return []


def _dump(value: dict[str, Any]) -> bytes:
    # ASCII: a lone surrogate that a message quotes cannot be encoded otherwise.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
