"""Errors as responses, and the page that lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tailrace import errors
from tailrace.errors import (
    MethodNotAllowed,
    ProducerFenced,
    ProducerGap,
    StartupError,
    TailraceError,
)
from tailrace.web.error_responses import anthropic_json, openai_json, problem, problem_json

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def every_error() -> list[type[TailraceError]]:
    def below(kind: type[TailraceError]) -> Iterator[type[TailraceError]]:
        for child in kind.__subclasses__():
            if child.__module__.startswith(f"{errors.__name__}."):
                yield child
                yield from below(child)

    return sorted(set(below(TailraceError)), key=lambda kind: kind.__name__)


def sample(kind: type[TailraceError]) -> TailraceError:
    special = {
        MethodNotAllowed: MethodNotAllowed(("GET", "HEAD")),
        ProducerFenced: ProducerFenced(3),
        ProducerGap: ProducerGap(4, 6),
    }
    return special.get(kind) or kind("This went wrong.")


SHOWN = [kind for kind in every_error() if not issubclass(kind, StartupError)]


@pytest.mark.parametrize("kind", SHOWN)
def test_problem_details_say_status_code_and_sentence(kind: type[TailraceError]) -> None:
    error = sample(kind)
    answer = problem(error, "/streams/x")
    assert answer.status == kind.status
    fields = dict(answer.headers)
    assert fields[b"content-type"] == b"application/problem+json"
    assert int(fields[b"content-length"]) == len(answer.body)
    assert json.loads(answer.body) == {
        "title": HTTPStatus(kind.status).phrase,
        "status": kind.status,
        "detail": str(error),
        "code": kind.code,
    }


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("path", ["/v1", "/v1/chat/completions"])
def test_under_v1_errors_have_openais_shape(kind: type[TailraceError], path: str) -> None:
    error = sample(kind)
    answer = problem(error, path)
    inner = json.loads(answer.body)["error"]
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    assert set(inner) == {"message", "type", "param", "code"}
    assert (inner["message"], inner["code"], inner["param"]) == (str(error), kind.code, None)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.BadRequest, "invalid_request_error"),
        (errors.BodyTooLarge, "invalid_request_error"),
        (errors.Unauthorized, "authentication_error"),
        (errors.Forbidden, "permission_error"),
        (errors.NotFound, "not_found_error"),
        (errors.UpstreamBroken, "api_error"),
        (errors.StoreFull, "api_error"),
    ],
)
def test_openais_types_follow_the_status(kind: type[TailraceError], expected: str) -> None:
    assert json.loads(openai_json(kind("x")))["error"]["type"] == expected


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_under_messages_errors_have_anthropics_shape(kind: type[TailraceError], path: str) -> None:
    error = sample(kind)
    answer = problem(error, path)
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    body = json.loads(answer.body)
    assert set(body) == {"type", "error"}
    assert body["type"] == "error"
    assert body["error"] == {"type": body["error"]["type"], "message": str(error)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (errors.BadRequest, "invalid_request_error"),
        (errors.BodyTooLarge, "request_too_large"),
        (errors.Unauthorized, "authentication_error"),
        (errors.Forbidden, "permission_error"),
        (errors.NotFound, "not_found_error"),
        (errors.ShuttingDown, "overloaded_error"),
        (errors.UpstreamBroken, "api_error"),
    ],
)
def test_anthropics_types_follow_the_status(kind: type[TailraceError], expected: str) -> None:
    assert json.loads(anthropic_json(kind("x")))["error"]["type"] == expected


def test_v1_messages_is_a_path_of_its_own() -> None:
    for path in ("/v1/messages2", "/v1/stream/messages", "/v1/responses"):
        assert b'"code"' in problem(errors.NotFound("x"), path).body


def test_v1_is_a_path_segment() -> None:
    answer = problem(errors.NotFound("x"), "/v10/models")
    assert dict(answer.headers)[b"content-type"] == b"application/problem+json"


@pytest.mark.parametrize(
    "error",
    [ValueError("a secret"), KeyError("secret"), errors.StoreLocked("/home/secret is locked")],
)
def test_what_is_not_for_clients_is_a_bare_500(error: Exception) -> None:
    for path in ("/v1/models", "/stream"):
        answer = problem(error, path)
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert b'"code":"internal"' in answer.body


def test_405_lists_what_is_allowed() -> None:
    answer = problem(MethodNotAllowed(("GET", "HEAD")), "/health")
    assert dict(answer.headers)[b"allow"] == b"GET, HEAD"


def test_401_says_how_to_authenticate() -> None:
    answer = problem(errors.Unauthorized("x"), "/stream")
    assert dict(answer.headers)[b"www-authenticate"].startswith(b"Bearer")


@pytest.mark.parametrize("kind", [kind for kind in SHOWN if kind.status in (429, 503, 507)])
def test_what_passes_by_itself_says_when_to_try_again(kind: type[TailraceError]) -> None:
    assert int(dict(problem(sample(kind), "/stream").headers)[b"retry-after"]) > 0


def test_a_message_is_one_line_of_ascii_json_whatever_it_quotes() -> None:
    error = errors.BadRequest("a\nb \ud800 \u2028 é")
    for body in (problem_json(error), openai_json(error), anthropic_json(error)):
        assert body.isascii()
        assert b"\n" not in body
        assert json.loads(body)


def test_an_error_without_words_gets_those_of_its_status() -> None:
    assert json.loads(problem_json(errors.NotFound()))["detail"] == "Not Found."


def test_the_page_of_errors_lists_exactly_the_codes_there_are() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}|–) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {(code, status) for code, status in rows}
    assert len(listed) == len(rows)
    kinds: set[type[TailraceError]] = {*every_error(), TailraceError}
    kinds.remove(StartupError)
    existing = {
        (kind.code, "–" if issubclass(kind, StartupError) else str(kind.status)) for kind in kinds
    }
    assert listed == existing
