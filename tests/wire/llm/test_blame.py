"""Which errors blame the request: by code and type, never by message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.llm.blame import LONGEST, blames_request, status_blames

# As they were seen; what comes of one row of the module's table each.
REQUEST: dict[str, Any] = {
    "llama.cpp": {
        "error": {
            "code": 400,
            "message": "the request exceeds the available context size",
            "type": "exceed_context_size_error",
        }
    },
    "a number": {"error": {"code": 400, "message": "the request exceeds the context size"}},
    "a number in a string": {"error": {"code": "422", "message": "x"}},
    "OpenAI": {
        "error": {
            "message": "x",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    },
    "OpenAI, no code": {"error": {"message": "x", "type": "invalid_request_error", "code": None}},
    "Anthropic": {"type": "error", "error": {"type": "invalid_request_error", "message": "x"}},
    "vLLM": {"object": "error", "message": "x", "type": "BadRequestError", "code": 400},
    "Responses": {"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}},
    "Responses, error": {"type": "error", "code": "context_length_exceeded", "message": "x"},
    "Google": {"error": {"code": 400, "status": "INVALID_ARGUMENT"}},
    "a word with a server's number": {"error": {"code": 500, "type": "invalid_request_error"}},
}
NOT: dict[str, Any] = {
    "a refused key of OpenAI's": {
        "error": {"message": "x", "type": "invalid_request_error", "code": "invalid_api_key"}
    },
    "a quota": {"error": {"type": "invalid_request_error", "code": "insufficient_quota"}},
    "a limit": {"error": {"type": "invalid_request_error", "code": 429}},
    "a server's error": {"error": {"code": 500, "message": "context size", "type": "server_error"}},
    "a message": {"error": {"message": "invalid_request_error: 400 context_length_exceeded"}},
    "an overload": {"type": "error", "error": {"type": "overloaded_error", "message": "x"}},
    "a string": {"error": "invalid_request_error"},
    "nothing": {},
    "a bool": {"error": {"code": True}},
    "a list": [{"error": {"code": 400}}],
}


@pytest.mark.parametrize("name", REQUEST)
def test_an_error_blames_the_request_by_its_code_or_type(name: str) -> None:
    assert blames_request(json.dumps(REQUEST[name]).encode())


@pytest.mark.parametrize("name", NOT)
def test_any_other_error_does_not(name: str) -> None:
    assert not blames_request(json.dumps(NOT[name]).encode())


@pytest.mark.parametrize("number", [401, 403, 408, 429])
@pytest.mark.parametrize("kind", ["invalid_request_error", "BadRequestError", None])
def test_four_numbers_never_blame_the_request(number: int, kind: str | None) -> None:
    for code in (number, str(number)):
        assert not blames_request(json.dumps({"error": {"code": code, "type": kind}}).encode())
    assert not status_blames(number)


def test_every_other_status_of_a_client_does() -> None:
    blaming = {status for status in range(100, 600) if status_blames(status)}
    assert blaming == set(range(400, 500)) - {401, 403, 408, 429}


@given(st.binary() | st.text().map(str.encode))
def test_anything_can_be_looked_at(data: bytes) -> None:
    blames_request(data)
    blames_request(b'{"error":' + data + b"}")


def test_what_is_very_long_is_not_looked_at() -> None:
    error = b'{"error":{"code":400,"message":"%b"}}'
    assert blames_request(error % b"a")
    assert not blames_request(error % (b"a" * LONGEST))


@given(st.text())
def test_a_message_never_counts(message: str) -> None:
    assert not blames_request(json.dumps({"error": {"message": message}}).encode())
    assert blames_request(json.dumps({"error": {"code": 400, "message": message}}).encode())
