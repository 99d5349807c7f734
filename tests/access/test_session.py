"""The cookie that stands for the token, and of whom it is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.access.request_facts import PAGE
from tailrace.access.session import (
    begin_session,
    end_session,
    session_name,
    session_value,
    shows_session,
)
from tailrace.contracts import Right
from tests.access.test_principal import (
    ASKERS,
    BEARER,
    FRIEND,
    HOST,
    LETTERS,
    TOKEN,
    policy,
    seen,
    verdict,
)

COOKIE = (b"cookie", f"a=b; tailrace-8080={session_value(TOKEN)}; c=d".encode())
OWN = ("our page", "our page that posts", "our page in an old browser", "our page behind TLS",
       "the address bar")  # fmt: skip
PROGRAMS = ("a program", "a program that posts", "our page's referer")


@pytest.mark.parametrize("asker", ASKERS, ids=str)
@pytest.mark.parametrize("letter", "PLAM")
def test_a_cookie_stands_for_the_token_in_requests_of_our_own_page_alone(
    asker: str, letter: str
) -> None:
    method, fields, _, _ = ASKERS[asker]
    right = LETTERS[letter]
    rules = policy(TOKEN, ("http://other.example", FRIEND.decode()))
    without = verdict(rules, right, HOST, *fields, method=method)
    shown = verdict(rules, right, HOST, COOKIE, *fields, method=method)
    assert shown == ("granted" if asker in OWN else without)
    # Over plain HTTP a browser does not say that a GET is our page's, so that says it itself.
    marked = verdict(rules, right, HOST, COOKIE, (PAGE, b"1"), *fields, method=method)
    assert marked == ("granted" if asker in OWN + PROGRAMS else without)
    assert verdict(rules, right, HOST, (PAGE, b"1"), *fields, method=method) == without


@pytest.mark.parametrize("asker", ASKERS, ids=str)
def test_only_our_own_page_and_programs_log_in_and_out(asker: str) -> None:
    method, fields, _, _ = ASKERS[asker]
    for rules in (policy(TOKEN, (FRIEND.decode(),)), policy(TOKEN, ("*",)), policy()):
        for more in ((), (BEARER,), (COOKIE,)):
            found = verdict(rules, Right.LOGIN, HOST, *more, *fields, method=method)
            assert found == ("granted" if asker in OWN + PROGRAMS else "Forbidden")


def test_no_cookie_opens_anything_where_another_token_or_none_is_set() -> None:
    page = (b"sec-fetch-site", b"same-origin")
    assert verdict(policy("another"), Right.ASK, HOST, COOKIE, page) == "Unauthorized"
    empty = (b"cookie", f"tailrace-8080={session_value('')}".encode())
    assert verdict(policy("another"), Right.ASK, HOST, empty, page) == "Unauthorized"


def test_no_cookie_is_seen_behind_the_decision() -> None:
    fields = [HOST, COOKIE, (b"cookie", b"x=y"), (b"x-other", b"v")]
    for rules in (policy(TOKEN), policy()):
        assert seen(rules, fields) == [HOST, (b"x-other", b"v")]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8080", "tailrace-8080"),
        ("localhost:8081", "tailrace-8081"),
        ("[::1]:8080", "tailrace-8080"),
        ("[::1]", "tailrace"),
        ("tail.example", "tailrace"),
        ("", "tailrace"),
    ],
)
def test_servers_on_two_ports_of_a_host_do_not_log_each_other_out(host: str, name: str) -> None:
    assert session_name(host) == name


def test_the_cookie_is_not_the_token_and_out_of_reach_of_scripts_and_other_sites() -> None:
    name, value = begin_session("localhost:8080", TOKEN, secure=False)
    assert name == b"set-cookie"
    cookie, *attributes = value.decode().split("; ")
    assert cookie == f"tailrace-8080={session_value(TOKEN)}"
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert TOKEN not in value.decode()
    assert begin_session("h", TOKEN, secure=True)[1].endswith(b"; Secure")
    assert b"=; Max-Age=0; Path=/;" in end_session("h", secure=False)[1]


@pytest.mark.parametrize(
    ("cookies", "shown"),
    [
        ([f"tailrace-1={session_value(TOKEN)}"], True),
        ([f"x=y;tailrace-1={session_value(TOKEN)}"], True),
        (["x=y", f"tailrace-1={session_value(TOKEN)}"], True),
        # Set by another port, for a longer path: it comes first.
        ([f"tailrace-1=junk; tailrace-1={session_value(TOKEN)}"], True),
        ([f"tailrace-2={session_value(TOKEN)}"], False),
        ([f"tailrace={session_value(TOKEN)}"], False),
        ([f"tailrace-1={session_value(TOKEN)[:-1]}"], False),
        ([f"tailrace-1={session_value(TOKEN)}0"], False),
        ([f"tailrace-1={session_value('other')}"], False),
        ([f"tailrace-1={TOKEN}"], False),
        (["tailrace-1="], False),
        ([], False),
    ],
)
def test_the_cookie_is_found_among_others(cookies: list[str], shown: bool) -> None:
    assert shows_session(cookies, "localhost:1", TOKEN) is shown


@given(st.lists(st.text(st.characters(max_codepoint=0xFF), max_size=40), max_size=3))
def test_no_other_text_is_taken_for_it(cookies: list[str]) -> None:
    assert not shows_session(cookies, "localhost:1", TOKEN)
