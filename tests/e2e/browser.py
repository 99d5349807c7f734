"""The page in Debian's Chromium, driven by Playwright, and all that must not happen in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
)

from tailrace.testing.chunks import DONE, chunk, role_chunk
from tailrace.testing.script import Script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import WITHIN

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "src/tailrace/page/dist/index.html"
AXE = ROOT / "page/node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run")

DESKTOP = (1280, 800)
PHONE = (390, 844)

# Runs before anything of the page's; the policy reports to it, whatever was refused.
_WITNESS = """
window.violations = []
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`))
"""


def needs() -> None:
    """Skip, and say why, where there is nothing to drive or nothing to show."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's chromium to test with a browser")
    if not BUILT.exists():
        pytest.skip("the page is not built: make page (needs Node.js)")


class Visitor:
    """One person with a browser of their own: its tabs, and what went wrong in any of them."""

    def __init__(
        self, browser: Browser, origin: str, size: tuple[int, int], **options: Any
    ) -> None:
        self.origin = origin
        viewport: Any = {"width": size[0], "height": size[1]}
        self.context: BrowserContext = browser.new_context(viewport=viewport, **options)
        self.context.set_default_timeout(WITHIN * 1000)
        self.context.add_init_script(_WITNESS)
        self.wrong: list[str] = []
        self.requests: list[Request] = []

    def open(self, path: str = "/") -> Page:
        """A new tab."""
        page = self.context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("request", self._asked)
        page.goto(self.origin + path)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        # A server that is away, or says 401, is reported by the browser itself.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith((self.origin, "data:")):
            self.wrong.append(f"asked somebody else: {request.url}")

    def check(self) -> None:
        """Nothing was executed, refused by the policy, or failed without being shown."""
        for page in self.context.pages:
            assert page.evaluate("window.pwned") is None
            assert page.evaluate("window.violations") == []
        assert self.wrong == []


@contextmanager
def visitor(
    browser: Browser, origin: str, size: tuple[int, int] = DESKTOP, **options: Any
) -> Iterator[Visitor]:
    """A visitor to whom nothing bad happened."""
    person = Visitor(browser, origin, size, **options)
    try:
        yield person
        person.check()
    finally:
        person.context.close()


def ask(page: Page, question: str) -> None:
    """Ask in the conversation that is open, by keyboard."""
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def axe(page: Page) -> list[str]:
    """What axe-core finds, a line each. The tab's own policy has to be bypassed for it."""
    page.evaluate(AXE.read_text())
    # Drawn as it will stay: a colour in mid-fade has no contrast of its own.
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def gated(gate: str, *texts: str) -> Script:
    """An answer that says the next word when it is let."""
    return stream(role_chunk(), *map(chunk, texts), chunk(finish_reason="stop"), DONE, gate=gate)


def asked(upstream: ThreadedUpstream) -> int:
    return sum(request.method == "POST" for request in upstream.requests)


def answer_of(page: Page, number: int = -1) -> str:
    return page.locator(".answer .markdown").nth(number).inner_text()


def shows(page: Page, text: str) -> None:
    expect(page.locator(".answer .markdown").last).to_have_text(text)


def is_whole(page: Page) -> None:
    expect(page.locator(".answer").last).not_to_have_class(re.compile("running"))
    expect(page.locator(".ending")).to_have_count(0)
