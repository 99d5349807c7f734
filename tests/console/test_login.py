"""Logging in and out of the page."""

from __future__ import annotations

import json

import pytest

from tailrace.access.session import session_value
from tailrace.config import Settings
from tests.web.app_harness import JSON, Answer, House, asking, code

TOKEN = "t0ken-" + "x" * 20
OWN = {**JSON, "origin": "http://127.0.0.1:80", "sec-fetch-site": "same-origin"}
PAGE = {"sec-fetch-site": "same-origin"}


async def login(house: House, token: object = TOKEN, fields: dict[str, str] = OWN) -> Answer:
    return await house.ask("POST", "/page/login", fields, json.dumps({"token": token}).encode())


def cookie_of(answer: Answer) -> dict[str, str]:
    return {"cookie": answer.fields["set-cookie"].partition(";")[0]}


def with_token() -> Settings:
    return Settings(token=TOKEN)


def test_the_token_once_given_opens_what_our_page_asks_for() -> None:
    async def test(h: House) -> None:
        assert (await h.ask("GET", "/streams", PAGE)).status == 401
        answer = await login(h)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.fields["cache-control"] == "no-store"
        cookie = cookie_of(answer)
        assert TOKEN not in answer.fields["set-cookie"]
        assert (await h.ask("GET", "/streams", {**PAGE, **cookie})).status == 200
        assert (await h.ask("PUT", "/streams/a", {**OWN, **cookie})).status == 201
        for foreign in ({"sec-fetch-site": "same-site"}, {"origin": "http://127.0.0.1:81"}):
            assert (await h.ask("GET", "/streams", {**foreign, **cookie})).status == 403
        assert (await h.ask("GET", "/streams", cookie)).status == 401
        out = await h.ask("POST", "/page/logout", {**OWN, **cookie})
        assert out.status == 204
        assert "Max-Age=0" in out.fields["set-cookie"]
        assert out.fields["set-cookie"].startswith("tailrace-80=;")

    asking(test, settings=with_token())


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\ud800", TOKEN.upper()])
def test_a_wrong_token_is_said_to_be_wrong_and_sets_nothing(token: str) -> None:
    async def test(h: House) -> None:
        answer = await login(h, token)
        assert (answer.status, code(answer)) == (401, "unauthorized")
        assert "not the server's token" in json.loads(answer.body)["detail"]
        assert "set-cookie" not in answer.fields

    asking(test, settings=with_token())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"token": 1}', b'{"token": null}'])
def test_what_is_no_login_is_a_bad_request(body: bytes) -> None:
    async def test(h: House) -> None:
        assert (await h.ask("POST", "/page/login", OWN, body)).status == 400
        assert (await h.ask("POST", "/page/login", OWN, b" " * 20_000)).status == 413

    asking(test, settings=with_token())


def test_where_no_token_is_set_everybody_is_in_and_no_cookie_is_set() -> None:
    async def test(h: House) -> None:
        answer = await login(h, "anything")
        assert (answer.status, answer.fields.get("set-cookie")) == (204, None)

    asking(test)


def test_a_restart_with_the_same_token_keeps_the_login_and_another_token_ends_it() -> None:
    cookie = {"cookie": f"tailrace-80={session_value(TOKEN)}"}

    async def same(h: House) -> None:
        assert cookie_of(await login(h)) == cookie
        assert (await h.ask("GET", "/streams", {**PAGE, **cookie})).status == 200

    async def other(h: House) -> None:
        assert (await h.ask("GET", "/streams", {**PAGE, **cookie})).status == 401

    asking(same, settings=with_token())
    asking(other, settings=Settings(token="another-token"))


def test_a_cookie_given_over_tls_is_never_sent_without() -> None:
    async def test(h: House) -> None:
        plain = await login(h)
        assert "Secure" not in plain.fields["set-cookie"]
        tls = await login(h, fields={**OWN, "origin": "https://127.0.0.1:80"})
        assert tls.fields["set-cookie"].endswith("; Secure")

    asking(test, settings=with_token())


@pytest.mark.parametrize(
    "foreign",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://app.example.org"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
    ],
)
def test_no_other_page_logs_a_browser_in_or_out(foreign: dict[str, str]) -> None:
    async def test(h: House) -> None:
        for path in ("/page/login", "/page/logout"):
            body = json.dumps({"token": TOKEN}).encode()
            answer = await h.ask("POST", path, {**JSON, **foreign}, body)
            assert (answer.status, answer.fields.get("set-cookie")) == (403, None)
            assert (await h.ask("GET", path, PAGE)).status == 405

    asking(test, settings=with_token(), cors_origins=("https://app.example.org", "*"))


def test_neither_token_nor_cookie_is_logged() -> None:
    async def test(h: House) -> None:
        cookie = cookie_of(await login(h))
        await login(h, "wrong-token")
        await h.ask("GET", "/streams", {**PAGE, **cookie})
        text = "".join(h.lines)
        assert "/page/login" in text
        for secret in (TOKEN, session_value(TOKEN), "wrong-token"):
            assert secret not in text

    asking(test, settings=with_token())
