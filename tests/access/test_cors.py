"""What pages of other origins are told."""

from __future__ import annotations

import pytest

from tailrace.access import cors
from tailrace.access.cors import Fields, cors_headers, is_preflight
from tailrace.access.decide import decide
from tailrace.access.policy import Policy
from tailrace.access.principal import identify
from tailrace.access.request_facts import RequestFacts
from tailrace.contracts import OPEN, Right
from tailrace.errors import Forbidden, Misdirected

TOKEN = "s3cret-token"
HOST = (b"host", b"localhost:8080")
FRIEND = b"https://app.example.org"


def policy(token: str | None = None, origins: tuple[str, ...] = ()) -> Policy:
    return Policy("127.0.0.1", 8080, (), origins, token)


def facts_of(origin: bytes, *more: tuple[bytes, bytes]) -> RequestFacts:
    return RequestFacts.from_headers("OPTIONS", (HOST, (b"origin", origin), *more))


def preflight(rules: Policy, facts: RequestFacts, methods: tuple[str, ...]) -> Fields:
    return cors.preflight(rules, identify(rules, facts), facts, methods)


def test_without_cors_origins_no_response_speaks_of_cors() -> None:
    assert cors_headers(policy(), facts_of(FRIEND)) == ()


def test_an_allowed_origin_is_named_and_may_read_our_fields() -> None:
    fields = dict(cors_headers(policy(origins=(FRIEND.decode(),)), facts_of(FRIEND)))
    assert fields[b"access-control-allow-origin"] == FRIEND
    assert fields[b"vary"] == b"Origin"
    exposed = fields[b"access-control-expose-headers"].split(b", ")
    ours = {b"Content-Location", b"Stream-Next-Offset", b"Stream-Closed", b"Stream-Ending"}
    assert ours <= set(exposed)
    assert b"access-control-allow-credentials" not in fields


def test_another_origin_is_told_only_that_the_answer_varies() -> None:
    fields = cors_headers(policy(origins=(FRIEND.decode(),)), facts_of(b"https://evil.example"))
    assert fields == ((b"vary", b"Origin"),)


def test_a_star_is_said_to_everyone() -> None:
    fields = dict(cors_headers(policy(origins=("*",)), facts_of(b"https://any.example")))
    assert fields[b"access-control-allow-origin"] == b"*"
    assert b"vary" not in fields


def test_a_preflight_of_a_friend_is_answered_without_a_token() -> None:
    wanted = (b"access-control-request-headers", b"authorization,content-type")
    rules = policy(TOKEN, (FRIEND.decode(),))
    fields = dict(preflight(rules, facts_of(FRIEND, wanted), ("GET", "POST")))
    assert fields[b"access-control-allow-origin"] == FRIEND
    assert fields[b"access-control-allow-methods"] == b"GET, POST"
    assert fields[b"access-control-allow-headers"] == b"authorization,content-type"


def test_a_preflight_echoes_no_more_than_names() -> None:
    wanted = (b"access-control-request-headers", b"x: y")
    fields = preflight(policy(origins=("*",)), facts_of(FRIEND, wanted), ("GET",))
    assert b"access-control-allow-headers" not in dict(fields)


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b""])
def test_a_preflight_of_a_stranger_is_refused(origin: bytes) -> None:
    with pytest.raises(Forbidden):
        preflight(policy(origins=(FRIEND.decode(),)), facts_of(origin), ("GET",))


def test_a_preflight_to_a_foreign_host_is_misdirected() -> None:
    fields = ((b"host", b"evil.example"), (b"origin", FRIEND))
    facts = RequestFacts.from_headers("OPTIONS", fields)
    with pytest.raises(Misdirected):
        preflight(policy(origins=("*",)), facts, ("GET",))


def test_only_options_with_both_fields_is_a_preflight() -> None:
    both = ((b"origin", FRIEND), (b"access-control-request-method", b"POST"))
    assert is_preflight("OPTIONS", both)
    assert not is_preflight("GET", both)
    assert not is_preflight("OPTIONS", both[:1])
    assert not is_preflight("OPTIONS", both[1:])


@pytest.mark.parametrize(
    "origin", ["app://obsidian.md", "chrome-extension://abcdefgh", "capacitor://localhost"]
)
def test_a_page_that_an_application_brings_along_is_allowed_by_its_scheme_and_host(
    origin: str,
) -> None:
    fields = dict(cors_headers(policy(origins=(origin,)), facts_of(origin.encode())))
    assert fields[b"access-control-allow-origin"] == origin.encode()
    assert preflight(policy(origins=(origin,)), facts_of(origin.encode()), ("GET",))
    for other in (b"app://other", b"https://obsidian.md", origin.encode() + b":1"):
        with pytest.raises(Forbidden):
            preflight(policy(origins=(origin,)), facts_of(other), ("GET",))


@pytest.mark.parametrize("allowed", ["*", "null", "https://app.example.org"])
@pytest.mark.parametrize("right", Right)
def test_the_origin_null_is_refused_whatever_is_allowed(allowed: str, right: Right) -> None:
    for token in (None, TOKEN):
        bearer = (b"authorization", f"Bearer {TOKEN}".encode())
        fields = (HOST, (b"origin", b"null"), bearer)
        with pytest.raises(Forbidden):
            rules = policy(token, (allowed,))
            decide(
                rules, identify(rules, RequestFacts.from_headers("GET", fields)), right, OPEN
            ).enforce()
        with pytest.raises(Forbidden):
            preflight(policy(token, (allowed,)), facts_of(b"null"), ("GET",))
        told = dict(cors_headers(policy(token, (allowed,)), facts_of(b"null")))
        assert b"access-control-allow-origin" not in told
