"""Errors as responses: a model API's shape below ``/v1``, RFC 9457 problem details elsewhere.

Problem details, and OpenAI's shape, say the same three things: a stable ``code`` (docs/errors.md
lists all), the HTTP status, and a sentence for a person; Anthropic's shape has no room for a
code. Only errors of our own tree are put into words. Whatever else was
raised, and what only the operator should read, is a bare 500: its text may hold a path, a
prompt or a key.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from tailrace.errors import (
    MethodNotAllowed,
    ProducerFenced,
    ProducerGap,
    StartupError,
    TailraceError,
    UpstreamsDown,
)
from tailrace.web.paths import ROOTS, Roots, root_of
from tailrace.wire.llm.apis import MESSAGES, ErrorShape

# Seconds until a retry has a chance, by code.
_RETRY_AFTER: Final = {
    "store_overloaded": 1,  # one group commit takes milliseconds; a second is ample
    "store_unavailable": 5,  # the store tries to reopen its medium every few seconds
    "store_full": 60,  # space is made by retention or by a person
    "bodies_full": 1,  # most bodies are held for as long as it takes to send them on
    "shutting_down": 2,  # a restart takes about as long
    "too_many": 1,  # whoever holds one gives it back sooner or later
    "upstreams_busy": 1,  # as above
    "upstream_queue_timeout": 1,  # as above, and it has waited already
}

# OpenAI's ``type``, which SDKs show but do not decide by; any other 4xx is the request's fault.
_OPENAI_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

# Anthropic's, by which its SDKs' users do decide.
_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}

_MESSAGES: Final = f"/v1{MESSAGES.path}"
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
    shape = None if root_of(path, roots) is not None else _shape(path)
    body = problem_json(error) if shape is None else _BODIES[shape](error)
    media_type = b"application/problem+json" if shape is None else b"application/json"
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *_explaining_headers(error),
    ]
    return Problem(_words(error).status, headers, body)


def _shape(path: str) -> ErrorShape | None:
    """How the API at ``path`` words its errors; None where there is none."""
    if path == _MESSAGES or path.startswith(f"{_MESSAGES}/"):
        return MESSAGES.errors
    return ErrorShape.OPENAI if path == "/v1" or path.startswith("/v1/") else None


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


def anthropic_json(error: BaseException) -> bytes:
    """``{"type":"error","error":{…}}`` alone, on one line: for a ``data:`` line, too."""
    _, status, message = _words(error)
    default = "invalid_request_error" if status < 500 else "api_error"
    kind = _ANTHROPIC_TYPES.get(status, default)
    return _dump({"type": "error", "error": {"type": kind, "message": message}})


_BODIES: Final = {ErrorShape.OPENAI: openai_json, ErrorShape.ANTHROPIC: anthropic_json}


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
    seconds = _RETRY_AFTER.get(code, 0)
    if isinstance(error, UpstreamsDown):
        seconds = math.ceil(error.retry_after)
    return [(b"retry-after", b"%d" % seconds)] if seconds else []


def _dump(value: dict[str, Any]) -> bytes:
    # ASCII: a lone surrogate that a message quotes cannot be encoded otherwise.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
