"""Fixtures of the tests that drive the page in a browser.

They are a module's each: while Playwright's loop runs, nobody else can run one in this thread.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.browser import CHROMIUM, FLAGS, needs
from tests.e2e.harness import WITHIN, Server, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs()
    expect.set_options(timeout=WITHIN * 1000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    upstream: ThreadedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    needs()
    with serving(upstream.base_url, tmp_path_factory.mktemp("data")) as running:
        yield running
