"""The built page as files: which path is which, what is sent with it, and what is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailrace.console import assets
from tests.web.app_harness import Answer, House, asking

INDEX = b"<!doctype html><title>Tailrace</title>"
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SECURITY = {n.decode(): value.decode() for n, value in assets.security(b"127.0.0.1:80")}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of a page, beside which lies what is nobody's business."""
    (tmp_path / "secret.txt").write_bytes(b"secret")
    dist = tmp_path / "page" / "dist"
    files = {
        "index.html": INDEX,
        "icon.svg": b"<svg/>",
        ".stamp": b"",
        "assets/index-B3kd_90a.js": b"plain",
        "assets/index-B3kd_90a.js.br": b"brotli",
        "assets/index-B3kd_90a.js.gz": b"gzip",
        "assets/words.json": b"{}",
    }
    for name, data in files.items():
        path = dist / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    monkeypatch.setattr(assets, "files", lambda _: tmp_path)
    return dist


def secure(answer: Answer) -> bool:
    return SECURITY.items() <= answer.fields.items()


def test_a_browser_gets_the_page_and_a_program_the_list(built: Path) -> None:
    async def test(h: House) -> None:
        shown = await h.ask("GET", "/", HTML)
        assert (shown.status, shown.body) == (200, INDEX)
        assert shown.fields["content-type"] == "text/html; charset=utf-8"
        assert secure(shown)
        listed = await h.ask("GET", "/")
        assert b"/v1/chat/completions" in listed.body
        assert "Accept" in shown.fields["vary"]
        assert "Accept" in listed.fields["vary"]
        (built / "index.html").unlink()
        assert (await h.ask("GET", "/", HTML)).body == listed.body

    asking(test)


@pytest.mark.parametrize(
    "path", ["/page", "/page/", "/page/chat", "/page/chat/x-1", "/page/wire/chat/%3Cscript%3E"]
)
def test_the_pages_own_addresses_are_all_the_page(built: Path, path: str) -> None:
    async def test(h: House) -> None:
        answer = await h.ask("GET", path)
        assert (answer.status, answer.body, secure(answer)) == (200, INDEX, True)
        assert answer.fields["cache-control"] == "no-cache"
        again = await h.ask("GET", path, {"if-none-match": answer.fields["etag"]})
        assert (again.status, again.body, secure(again)) == (304, b"", True)
        head = await h.ask("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.fields["content-length"] == str(len(INDEX))

    asking(test)


@pytest.mark.parametrize(
    ("accepted", "coding", "body"),
    [
        (None, None, b"plain"),
        ("gzip, deflate, br, zstd", "br", b"brotli"),
        ("gzip;q=0.5, br;q=0", "gzip", b"gzip"),
        ("GZIP", "gzip", b"gzip"),
        ("deflate, identity", None, b"plain"),
    ],
)
def test_an_asset_comes_compressed_as_it_was_built_and_is_kept_for_ever(
    built: Path, accepted: str | None, coding: str | None, body: bytes
) -> None:
    async def test(h: House) -> None:
        fields = {} if accepted is None else {"accept-encoding": accepted}
        answer = await h.ask("GET", "/page/assets/index-B3kd_90a.js", fields)
        assert (answer.status, answer.body) == (200, body)
        assert answer.fields.get("content-encoding") == coding
        assert answer.fields["content-type"] == "text/javascript; charset=utf-8"
        assert answer.fields["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.fields["vary"] == "Accept-Encoding"
        assert secure(answer)

    asking(test)


def test_each_coding_has_a_tag_of_its_own(built: Path) -> None:
    async def test(h: House) -> None:
        target = "/page/assets/index-B3kd_90a.js"
        answers = [await h.ask("GET", target, {"accept-encoding": c}) for c in ("br", "gzip", "x")]
        tags = {answer.fields["etag"] for answer in answers}
        assert len(tags) == 3

    asking(test)


def test_what_has_no_hash_in_its_name_is_asked_for_again(built: Path) -> None:
    async def test(h: House) -> None:
        for target, kind in {
            "/page/assets/words.json": "application/json",
            "/page/icon.svg": "image/svg+xml",
        }.items():
            answer = await h.ask("GET", target)
            assert answer.fields["content-type"] == kind
            assert answer.fields["cache-control"] == "no-cache"
            again = await h.ask("GET", target, {"if-none-match": answer.fields["etag"]})
            assert again.status == 304

    asking(test)


@pytest.mark.parametrize(
    "path",
    [
        "/page/assets/nothing.js",
        "/page/assets/",
        "/page/assets/../../../secret.txt",
        "/page/assets/%2e%2e/%2e%2e/%2e%2e/secret.txt",
        "/page/assets/..%2f..%2f..%2fsecret.txt",
        "/page/assets//etc/passwd",
        "/page/assets/index-B3kd_90a.js.br",
        "/page/../secret.txt",
        "/page/.stamp",
    ],
)
def test_no_path_leads_out_of_the_build(built: Path, path: str) -> None:
    async def test(h: House) -> None:
        answer = await h.ask("GET", path)
        assert b"secret" not in answer.body
        assert answer.body == INDEX or answer.status == 404
        assert (answer.status == 404) is path.startswith("/page/assets")

    asking(test)


def test_a_new_build_is_seen_at_once(built: Path) -> None:
    async def test(h: House) -> None:
        await h.ask("GET", "/page/")
        (built / "index.html").write_bytes(b"new")
        (built / "assets" / "new-00000000.css").write_bytes(b"css")
        assert (await h.ask("GET", "/page/")).body == b"new"
        assert (await h.ask("GET", "/page/assets/new-00000000.css")).body == b"css"

    asking(test)


def test_where_it_is_not_built_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "files", lambda _: tmp_path)

    async def test(h: House) -> None:
        for path in ("/page/", "/page/assets/index-B3kd_90a.js"):
            answer = await h.ask("GET", path, HTML)
            assert (answer.status, answer.body.count(b"\n"), secure(answer)) == (404, 1, True)
            assert b"make page" in answer.body
        assert b"/v1/chat/completions" in (await h.ask("GET", "/", HTML)).body

    asking(test)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:80"}, 200),
        # A link to the page on another site, clicked.
        (
            {
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "document",
            },
            200,
        ),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"host": "evil.example"}, 421),
    ],
)
def test_who_may_see_it(built: Path, fields: dict[str, str], status: int) -> None:
    async def test(h: House) -> None:
        assert (await h.ask("GET", "/page/chat", fields)).status == status

    asking(test, settings=_with_token())


def _with_token() -> Any:
    """The page itself is public: it asks its user for the token."""
    from tailrace.config import Settings

    return Settings(token="t" * 32)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        (b"127.0.0.1:8080", b"127.0.0.1:8080/page/assets/"),
        (b"localhost", b"localhost/page/assets/"),
        (b"tail.example.org:443", b"tail.example.org:443/page/assets/"),
        # A policy has no way to write these.
        (b"[::1]:8080", b"'self'"),
        (b"192.168.1.7:8080", b"'self'"),
        (b"localhost.", b"'self'"),
        (b"", b"'self'"),
        (b"a; script-src *", b"'self'"),
    ],
)
def test_its_scripts_and_styles_come_from_the_build_alone(host: bytes, source: bytes) -> None:
    policy = dict(assets.security(host))[b"content-security-policy"]
    assert b"; script-src %b; style-src %b; " % (source, source) in policy
