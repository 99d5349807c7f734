"""The page, as people use it: in a browser, against the real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tailrace.testing.chunks import chat_chunks, chunk, role_chunk
from tailrace.testing.script import Cut, Head, Send, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tailrace.upstream.local import server
from tests.e2e.browser import (
    PHONE,
    ROOT,
    answer_of,
    ask,
    asked,
    gated,
    is_whole,
    shows,
    visitor,
)  # fmt: skip
from tests.e2e.harness import Server, Viewer, serving
from tests.e2e.network import Network

HOSTILE: list[str] = json.loads((ROOT / "page/tests/hostile.json").read_text())
WORDS = ("One", " two", " three", " four", " five.")


def test_a_refresh_and_a_second_tab_show_the_same_answer_live_from_its_start(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    before = asked(upstream)
    upstream.script(gated("refresh", *WORDS))
    with visitor(browser, server.url) as one, visitor(browser, server.url, PHONE) as other:
        page = one.open()
        ask(page, "Count.")
        upstream.admit("refresh", 3)
        shows(page, "One two")
        page.reload()
        shows(page, "One two")
        second = other.open(page.url.removeprefix(server.url))
        shows(second, "One two")
        upstream.admit("refresh", 1)
        shows(page, "One two three")
        shows(second, "One two three")
        upstream.open("refresh")
        for each in (page, second):
            shows(each, "".join(WORDS))
            is_whole(each)
            expect(each.locator(".figures")).to_contain_text("tokens")
        assert asked(upstream) == before + 1


def test_what_one_tab_asks_is_seen_in_the_other_and_retried_edited_and_leafed(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(*(stream(*chat_chunks([text])) for text in ("First.", "Second.", "Third.")))
    with visitor(browser, server.url) as one:
        page = one.open("/page/chat")
        ask(page, "Who?")
        shows(page, "First.")
        second = one.open(page.url.removeprefix(server.url))
        page.get_by_label("Ask again").click()
        shows(page, "Second.")
        shows(second, "Second.")
        page.get_by_label("Earlier answer").click()
        shows(page, "First.")
        page.get_by_label("Edit the question").click()
        page.get_by_role("textbox", name="Edit the question").fill("Who, then?")
        page.keyboard.press("Enter")
        for each in (page, second):
            shows(each, "Third.")
            expect(each.locator(".question")).to_have_text("Who, then?")
        sent = upstream.requests[-1].json()["messages"]
        assert sent == [{"role": "user", "content": "Who, then?"}]


def test_conversations_are_kept_switched_between_renamed_and_deleted_by_keyboard(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(stream(*chat_chunks(["Apples."])), stream(*chat_chunks(["Pears."])))
    with visitor(browser, server.url) as one:
        page = one.open("/page/chat")
        ask(page, "About apples")
        shows(page, "Apples.")
        listed = page.get_by_role("navigation", name="Conversations")
        listed.get_by_role("link", name="New conversation").press("Enter")
        ask(page, "About pears")
        shows(page, "Pears.")
        listed.get_by_role("link", name="About apples").press("Enter")
        shows(page, "Apples.")
        expect(page.locator(".question")).to_have_text("About apples")
        listed.get_by_label("Rename this conversation").press("Enter")
        expect(listed.get_by_role("textbox")).to_be_focused()
        page.keyboard.type("Fruit")
        page.keyboard.press("Enter")
        expect(listed.get_by_role("link", name="Fruit")).to_be_visible()
        item = listed.get_by_role("listitem").filter(has_text="About pears")
        item.get_by_role("button").press("Enter")
        item.get_by_role("button", name="Really delete").press("Enter")
        expect(item).to_have_count(0)
        page.reload()
        expect(page).to_have_title("Fruit · Tailrace")
        page.goto(f"{server.url}/page/streams")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the view")


def test_stop_stops_the_upstream_and_the_answer_does_not_look_complete(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(gated("stop", *WORDS))
    with visitor(browser, server.url) as one:
        page = one.open()
        ask(page, "Go on and on.")
        upstream.admit("stop", 2)
        shows(page, "One")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator('.ending[data-ending="cancelled"]')).to_be_visible()
        assert upstream.disconnected(upstream.requests[-1])


def test_an_answer_that_is_cut_says_so(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(script(Head(), Send(role_chunk() + chunk("Half an ans")), Cut()))
    with visitor(browser, server.url) as one:
        page = one.open()
        ask(page, "Break off.")
        shows(page, "Half an ans")
        expect(page.locator('.ending[data-ending="cut"]')).to_contain_text("Cut off")


def test_a_tab_outlives_the_server_and_goes_on_from_its_place(
    browser: Browser, upstream: ThreadedUpstream, tmp_path: Path
) -> None:
    upstream.script(gated("kill", *WORDS))
    with serving(upstream.base_url, tmp_path) as first, visitor(browser, first.url) as one:
        page = one.open()
        ask(page, "Live through it.")
        upstream.admit("kill", 3)
        shows(page, "One two")
        first.kill()
        expect(page.get_by_role("status").first).to_contain_text("reconnecting")
        with serving(upstream.base_url, tmp_path, "--port", str(first.port)):
            expect(page.locator('.ending[data-ending="interrupted"]')).to_be_visible()
            shows(page, "One two")
            expect(page.get_by_role("status").first).to_contain_text("Live")
            upstream.script(stream(*chat_chunks(["Still here."])))
            ask(page, "And now?")
            shows(page, "Still here.")
            is_whole_last = page.locator(".turn").last.locator(".ending")
            expect(is_whole_last).to_have_count(0)


def test_a_viewer_that_was_offline_gets_what_it_missed_and_nothing_twice(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(gated("offline", *WORDS))
    with Network(server) as network, visitor(browser, network.url) as one:
        page = one.open()
        ask(page, "Wait for me.")
        upstream.admit("offline", 2)
        shows(page, "One")
        network.cut()
        one.context.set_offline(True)
        expect(page.get_by_role("status").first).to_contain_text("reconnecting")
        upstream.open("offline")
        assert upstream.finished(upstream.requests[-1])
        assert answer_of(page) == "One"
        network.mend()
        one.context.set_offline(False)
        shows(page, "".join(WORDS))
        is_whole(page)


def test_the_page_has_one_event_connection_whatever_it_shows(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(gated("one", *WORDS))
    with visitor(browser, server.url) as one:
        open_now: set[str] = set()
        most = [0]
        page = one.open()
        page.on("request", lambda r: _began(r.url, id(r), open_now, most))
        page.on("requestfinished", lambda r: open_now.discard(f"{id(r)}"))
        page.on("requestfailed", lambda r: open_now.discard(f"{id(r)}"))
        ask(page, "One.")
        upstream.admit("one", 2)
        shows(page, "One")
        page.get_by_role("link", name="Streams", exact=True).click()
        page.get_by_role("link", name="Wire: chat").first.click()
        expect(page.locator(".frame").first).to_be_visible()
        page.go_back()
        page.go_back()
        shows(page, "One")
        upstream.open("one")
        is_whole(page)
        assert most == [1]


def _began(url: str, number: int, open_now: set[str], most: list[int]) -> None:
    if url.endswith("/page/follow"):
        open_now.add(f"{number}")
        most[0] = max(most[0], len(open_now))


def test_the_wire_pauses_and_resumes_from_any_offset(browser: Browser, server: Server) -> None:
    _put(server, "notes", "text/plain")
    for text in ("alpha", "beta"):
        _post(server, "notes", text)
    with visitor(browser, server.url) as one:
        page = one.open("/page/wire/notes")
        frames = page.locator(".frame")
        expect(frames).to_have_count(2)
        expect(page.locator(".badge")).to_have_text("live")
        page.get_by_role("button", name="Pause").click()
        _post(server, "notes", "gamma")
        newest = frames.last.locator(".value").first.inner_text()
        expect(page.locator(".command code")).to_contain_text(f"Last-Event-ID: {newest}")
        page.get_by_role("button", name="Resume", exact=True).click()
        expect(frames).to_have_count(3)
        expect(frames.last).to_contain_text("gamma")
        _post(server, "notes", "delta")
        expect(frames).to_have_count(4)
        frames.nth(1).get_by_label("Resume from here").click()
        expect(frames).to_have_count(4)
        again = frames.nth(1).locator(".value").first.inner_text()
        expect(page.locator(".command code")).to_contain_text(f"Last-Event-ID: {again}")


def test_streams_are_seen_stopped_and_deleted(browser: Browser, server: Server) -> None:
    _put(server, "to-be-deleted", "text/plain")
    with visitor(browser, server.url) as one:
        page = one.open("/page/streams")
        row = page.get_by_role("row").filter(has_text="to-be-deleted")
        expect(row).to_contain_text("open")
        row.get_by_label("Stop to-be-deleted").click()
        expect(row).to_contain_text("complete")
        row.get_by_label("Delete to-be-deleted").click()
        row.get_by_role("button", name="Really delete").click()
        expect(row).to_have_count(0)
        expect(page.locator(".chart canvas")).to_have_count(5)


def test_hostile_answers_and_names_do_nothing(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    # Each by itself, and in pieces, since what is cut may be something else for a moment.
    text = "\n\n".join(HOSTILE)
    pieces = [text[at : at + 37] for at in range(0, len(text), 37)]
    upstream.script(stream(*chat_chunks(pieces)))
    # As hostile as a name may be (docs/streams.md, "Names and limits").
    refused = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028-\u202e\u2066-\u2069]|/(?=/)")
    names = [refused.sub("", each)[:120].strip("/. ") for each in HOSTILE]
    for name in names:
        _put(server, name, "text/markdown")
        _post(server, name, name)
    with visitor(browser, server.url) as one:
        page = one.open()
        ask(page, "<img src=x onerror=window.pwned=99> **bold**")
        expect(page.locator(".answer")).not_to_have_class(re.compile("running"))
        made = page.locator(".block :is(img, script, iframe, svg, math, form, input, style)")
        assert made.count() == 0
        for link in page.locator(".markdown a[href]").all():
            assert re.match(r"https?:|mailto:", link.get_attribute("href") or "")
        page.reload()
        expect(page.locator(".answer .markdown")).to_contain_text("window.pwned = 1")
        page.get_by_role("link", name="Streams", exact=True).click()
        expect(page.get_by_role("row").filter(has_text=names[1]).first).to_be_visible()
        for name in names[:3]:
            for view in ("wire", "read"):
                page.goto(f"{server.url}/page/{view}/{quote(name)}")
                expect(page.get_by_role("heading", level=1)).to_contain_text(name)


def test_a_server_with_a_token_asks_for_it_once_and_no_script_can_read_what_it_kept(
    browser: Browser, upstream: ThreadedUpstream, tmp_path: Path
) -> None:
    upstream.script(*[stream(*chat_chunks(["Let in."]))] * 2)
    env = {"TAILRACE_TOKEN": "open-sesame"}
    with (
        serving(upstream.base_url, tmp_path, env=env) as guarded,
        visitor(browser, guarded.url) as one,
    ):
        page = one.open()
        _log_in(page, "wrong")
        expect(page.get_by_role("alert")).to_have_text("This is not the server's token.")
        _log_in(page, "open-sesame")
        expect(page.get_by_role("dialog")).to_have_count(0)
        ask(page, "May I?")
        shows(page, "Let in.")
        page.reload()
        shows(page, "Let in.")
        kept = "document.cookie + JSON.stringify({...localStorage, ...sessionStorage})"
        cookie = next(c for c in one.context.cookies() if c["name"] == f"tailrace-{guarded.port}")
        for secret in ("open-sesame", cookie["value"]):
            assert not any(secret in request.url for request in one.requests)
            assert secret not in page.evaluate(kept)
            assert secret not in guarded.output
            assert all(secret not in value for _, value in upstream.requests[-1].headers)
        # What the article types into the address bar, and a tab that is opened beside.
        assert "Let in." in one.open("/stream?content=Hello").inner_text("body")
        second = one.open("/page/streams")
        expect(second.get_by_role("row").filter(has_text="chat/").first).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert one.context.cookies() == []


def _log_in(page: Page, token: str) -> None:
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Use it").click()


def test_it_speaks_chinese_and_remembers_a_choice(browser: Browser, server: Server) -> None:
    with visitor(browser, server.url, locale="zh-CN") as one:
        page = one.open("/page/streams")
        expect(page.get_by_role("heading", level=1)).to_have_text("流")
        assert page.evaluate("document.documentElement.lang") == "zh-Hans"
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Streams")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Streams")


def _put(server: Server, name: str, kind: str) -> None:
    _send(server, "PUT", name, kind)


def _post(server: Server, name: str, text: str) -> None:
    kind = "text/plain" if name == "notes" else "text/markdown"
    _send(server, "POST", name, kind, text.encode())


def _send(server: Server, method: str, name: str, kind: str, body: bytes = b"") -> None:
    fields = [("Content-Type", kind), ("Connection", "close")]
    with Viewer(server, method, f"/streams/{quote(name)}", fields, body) as sent:
        assert sent.head().status in {200, 201, 204}, (name, sent.status)


@pytest.mark.skipif(not server.available(), reason="needs tailrace[local]")
def test_the_local_model_is_asked_without_any_upstream(browser: Browser, tmp_path: Path) -> None:
    """As whoever has just said ``make serve`` does it."""
    server = Server("--data", str(tmp_path))
    try:
        with visitor(browser, server.url) as one:
            page = one.open()
            ask(page, "Say hello.")
            answer = page.locator(".answer .markdown").last
            expect(answer).to_have_text(re.compile(r"\w+"))
            begun = re.findall(r"\w+", answer.inner_text())[0]
            page.reload()
            # However far it has come: it may take its time on a busy machine.
            expect(page.locator(".answer .markdown").last).to_contain_text(begun)
    finally:
        server.kill()
