"""Whom the server trusts, changed while it runs: the file is written anew and SIGHUP is sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tailrace.testing.chunks import chat_chunks
from tailrace.testing.script import Head, Send, Wait, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer
from tests.e2e.test_upstreams import hang_up, serving_tables, table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

OLD, NEW = "the-old-token-of-all", "the-new-token-of-all"
ORIGIN = "https://app.example.org"
HOST = "tail.example"
JSON = ("Content-Type", "application/json")
PAGE = ("Sec-Fetch-Site", "same-origin")


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def status(server: Server, *fields: tuple[str, str]) -> int:
    """Of a request that may be made by who manages."""
    with Viewer(server, "GET", "/streams", fields).head() as viewer:
        return viewer.status


def cookie_for(server: Server, token: str) -> tuple[str, str]:
    body = json.dumps({"token": token}).encode()
    with Viewer(server, "POST", "/page/login", [JSON, PAGE], body).head() as viewer:
        assert viewer.status == 204
        return ("Cookie", viewer.fields["set-cookie"].partition(";")[0])


def test_after_a_reload_the_new_token_opens_and_the_old_one_does_not_while_streams_go_on(
    tmp_path: Path,
) -> None:
    first, *rest = (Send(chunk) for chunk in chat_chunks(["Hello", ", ", "world."]))
    with ThreadedUpstream(script(Head(), first, Wait("go"), *rest)) as upstream:
        upstreams = table("one", upstream.base_url)
        with serving_tables(tmp_path, f'token = "{OLD}"\n', upstreams) as server:
            session = cookie_for(server, OLD)
            assert status(server, PAGE, session) == status(server, bearer(OLD)) == 200
            assert status(server, bearer(NEW)) == 401
            asking = Viewer(server, "GET", "/stream?content=Hi", [bearer(OLD)]).head()
            with asking as running:
                upstream.reached("go")
                hang_up(
                    server, tmp_path, f'token = "{NEW}"\n', upstreams,
                    says="SIGHUP: changed for requests from now on: token",
                )  # fmt: skip
                assert status(server, bearer(NEW)) == 200
                assert status(server, bearer(OLD)) == 401
                assert status(server, PAGE, session) == 401
                assert status(server, PAGE, cookie_for(server, NEW)) == 200
                upstream.open("go")
                assert running.rest() == (b"Hello, world.", True)
            assert OLD not in server.output
            assert NEW not in server.output


def test_a_reload_applies_hosts_and_origins_too(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        upstreams = table("one", upstream.base_url)
        with serving_tables(tmp_path, upstreams) as server:
            named, friend = ("Host", HOST), ("Origin", ORIGIN)
            assert status(server, named) == 421
            assert ask_models(server, friend) == (403, None)
            opened = f'allowed_hosts = ["{HOST}"]\ncors_origins = ["{ORIGIN}"]\nheartbeat = 3\n'
            hang_up(server, tmp_path, opened, upstreams, says="to be changed: heartbeat")
            assert "from now on: allowed_hosts, cors_origins\n" in server.output
            assert status(server, named) == 200
            assert ask_models(server, friend) == (200, ORIGIN)
            hang_up(server, tmp_path, upstreams, says="from now on: allowed_hosts, cors_origins")


def ask_models(server: Server, *fields: tuple[str, str]) -> tuple[int, str | None]:
    """The status, and whose pages may read the answer."""
    with Viewer(server, "GET", "/v1/models", fields).head() as viewer:
        return viewer.status, viewer.fields.get("access-control-allow-origin")


def test_a_token_that_is_taken_away_on_loopback_is_no_longer_wanted(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream:
        upstreams = table("one", upstream.base_url)
        with serving_tables(tmp_path, f'token = "{OLD}"\n', upstreams) as server:
            assert status(server) == 401
            hang_up(server, tmp_path, upstreams, says="from now on: token")
            assert status(server) == 200
