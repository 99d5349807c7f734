"""How the page looks to axe-core and to a camera, what it weighs, and how soon a token is seen."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tailrace.testing.chunks import chat_chunks, chunk, role_chunk
from tailrace.testing.script import Cut, Head, Send, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.browser import (
    AXE,
    DESKTOP,
    PHONE,
    ROOT,
    ask,
    axe,
    gated,
    is_whole,
    shows,
    visitor,
)  # fmt: skip
from tests.e2e.harness import Server, serving

PICTURES = ROOT / "docs/pictures"
SAMPLE = """# A place in a log

Every stream is an **append-only log**; a reader is only a *place* in it:

1. resume is a seek,
2. late is the same as early.

```python
def read(log: list[bytes], offset: int) -> list[bytes]:
    # A refresh, a second tab, a lost connection: all the same.
    return log[offset:]
```

| word | meaning |
|---|---|
| offset | where a reader is |
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_violation(
    browser: Browser,
    server: Server,
    upstream: ThreadedUpstream,
    scheme: str,
    size: tuple[int, int],
) -> None:
    if not AXE.exists():
        pytest.skip("no axe-core: npm ci in page/")
    pieces = re.findall(r"\s*\S+", SAMPLE)
    upstream.script(
        stream(*chat_chunks(pieces, include_usage=True), delay=0.005),
        script(Head(), Send(role_chunk() + chunk("Half an ans")), Cut()),
    )
    options = {"color_scheme": scheme, "bypass_csp": True, "reduced_motion": "reduce"}
    with visitor(browser, server.url, size, **options) as one:
        page = one.open("/page/chat")
        expect(page.get_by_label("Your question")).to_be_visible()
        assert axe(page) == []
        ask(page, "What is a stream?")
        expect(page.locator(".hljs-keyword").first).to_be_visible()
        is_whole(page)
        ask(page, "And if it breaks?")
        expect(page.locator(".ending")).to_be_visible()
        assert axe(page) == []
        page.get_by_role("link", name="Streams", exact=True).click()
        expect(page.locator(".chart canvas")).to_have_count(5)
        assert axe(page) == []
        page.get_by_role("link", name="Wire: chat").first.click()
        expect(page.locator(".frame").first).to_be_visible()
        assert axe(page) == []


@pytest.mark.skipif("TAILRACE_WRITE_DOCS" not in os.environ, reason="writes docs/pictures")
def test_pictures(browser: Browser, upstream: ThreadedUpstream, tmp_path: Path) -> None:
    pieces = re.findall(r"\s*\S+", SAMPLE)
    long = [f"word {number}, " for number in range(2000)]
    with serving(upstream.base_url, tmp_path) as server:
        for size, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
            with visitor(browser, server.url, size) as one:
                page = one.open("/page/chat")
                upstream.script(stream(*chat_chunks(pieces, include_usage=True), delay=0.02))
                ask(page, "What is a stream?")
                expect(page.locator(".hljs-keyword").first).to_be_visible()
                expect(page.locator(".figures")).to_contain_text("first after")
                is_whole(page)
                _pictures(page, f"page-chat-{name}")
                upstream.script(stream(*chat_chunks(long), delay=0.03))
                ask(page, "And a long one?")
                expect(page.locator(".answer.running")).to_contain_text("word 9")
                link = page.get_by_role("link", name="Wire").last.get_attribute("href") or ""
                second = one.open("/page/streams")
                time.sleep(12)  # for the charts to have something to show
                _pictures(second, f"page-streams-{name}")
                second.goto(server.url + link)
                expect(second.locator(".badge")).to_have_text("live")
                _pictures(second, f"page-wire-{name}")


def _pictures(page: Page, name: str) -> None:
    for scheme in ("light", "dark"):
        page.get_by_label("Colours").select_option(scheme)
        page.wait_for_timeout(300)
        page.screenshot(path=PICTURES / f"{name}-{scheme}.png")


def test_what_it_weighs_and_how_soon_a_token_is_painted(
    browser: Browser, server: Server, upstream: ThreadedUpstream
) -> None:
    upstream.script(gated("paint", *(f"w{number} " for number in range(60))))
    with visitor(browser, server.url) as one:
        page = one.open()
        expect(page.get_by_label("Your question")).to_be_visible()
        page.wait_for_load_state("networkidle")
        files = [each for each in one.requests if _is_of_the_page(each.url)]
        weight = sum(request.sizes()["responseBodySize"] for request in files)
        print(f"\nfirst load: {weight / 1000:.1f} kB compressed in {len(files)} requests")
        ask(page, "Paint.")
        upstream.admit("paint", 2)
        shows(page, "w0")
        delays = sorted(_paint(page, upstream, number) for number in range(1, 50))
        upstream.open("paint")
        print(f"token to paint: median {delays[len(delays) // 2]:.1f} ms, p95 {delays[-3]:.1f} ms")
        assert weight <= 150_000


def _paint(page: Page, upstream: ThreadedUpstream, number: int) -> float:
    """Milliseconds from letting the upstream say a word to the end of the frame that shows it."""
    page.evaluate(
        """(word) => { window.painted = new Promise((resolve) => {
          const there = () => document.querySelector(".answer.running")?.textContent.includes(word)
          const observer = new MutationObserver(() => {
            if (!there()) return
            observer.disconnect()
            // It was made within a frame; a timer's turn comes when that has been painted.
            setTimeout(() => resolve(performance.timeOrigin + performance.now()))
          })
          observer.observe(document.body, {subtree: true, childList: true, characterData: true})
        }) }""",
        f"w{number} ".strip(),
    )
    began = time.time() * 1000
    upstream.admit("paint", 1)
    return float(page.evaluate("window.painted")) - began


def _is_of_the_page(url: str) -> bool:
    return re.search(r"^/$|^/page/(?!follow)", urlsplit(url).path) is not None
