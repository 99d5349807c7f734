"""Bytes of others in a real browser: whatever type they are given, none of them is our page.

A corpus of content types and bodies is put into streams and into an upstream's mouth, and every
URL that returns it is opened in Chromium, in frames of our own origin, which is more than any other
site can do. The same corpus, served without us, shows that the scripts in it do run.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Download

from tailrace.testing.chunks import DONE, chunk
from tests.e2e.harness import WITHIN, Server, Viewer, get, serving
from tests.e2e.raw_upstream import Peer, RawUpstream

TOKEN = "t" * 32
# Frames that load at a time: enough to keep both sides busy, few enough for one process.
_BATCH: Final = 60
_HTML: Final = "http://www.w3.org/1999/xhtml"
_SVG: Final = "http://www.w3.org/2000/svg"


def script(mark: str) -> str:
    """What says that it ran, wherever that is possible. Without a character that XML minds."""
    return (
        f"console.log('pwned {mark}');fetch('/pwned/{mark}');"
        f"try{{localStorage.pwned='{mark}';document.cookie='pwned={mark}'}}catch(e){{}}"
    )


def html(mark: str) -> str:
    """Both HTML and XML."""
    js = script(mark)
    return (
        f'<!DOCTYPE html><html xmlns="{_HTML}"><body><script>{js}</script>'
        f'<img src="x:" onerror="{js}"/><svg xmlns="{_SVG}" onload="{js}"/></body></html>'
    )


def svg(mark: str) -> str:
    return f'<svg xmlns="{_SVG}" onload="{script(mark)}"><script>{script(mark)}</script></svg>'


def xsl(mark: str) -> str:
    """A document that is made of by a stylesheet, which is another stream."""
    return (
        f'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="/streams/xslt"?><a>{mark}</a>'
    )


def stylesheet() -> str:
    return (
        '<?xml version="1.0"?><xsl:stylesheet version="1.0" '
        'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">'
        f"{html('xslt').removeprefix('<!DOCTYPE html>')}</xsl:template></xsl:stylesheet>"
    )


def parts(mark: str) -> str:
    part = f"--b\r\nContent-Type: text/html\r\n\r\n{html(mark)}\r\n"
    return f"MIME-Version: 1.0\r\n\r\n{part}{part}--b--\r\n"


def pdf(mark: str) -> str:
    action = f'/OpenAction<</S/JavaScript/JS(app.launchURL\\("javascript:{script(mark)}"\\))>>'
    return (
        f"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R{action}>>endobj\n"
        "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n"
        f"%%EOF\n{html(mark)}"
    )


def json_text(mark: str) -> str:
    return '["' + html(mark).replace("\\", "\\\\").replace('"', '\\"') + '"]'


def utf7(mark: str) -> str:
    return html(mark).replace("<", "+ADw-").replace(">", "+AD4-")


class Case(NamedTuple):
    """What somebody sends: the values of its Content-Type fields, and a body."""

    types: tuple[str, ...]
    body: bytes


# Well-formed types, which a stream may have.
_WELL_FORMED: Final = {
    html: [
        "text/html", "text/html; charset=utf-8", "TEXT/HTML", "text/html;", "application/xhtml+xml",
        "application/vnd.wap.xhtml+xml", "text/xml", "application/xml", "application/rss+xml",
        "application/mathml+xml", "text/plain", "text/plain; charset=utf-8", "text/event-stream",
        "text/markdown", "text/css", "text/javascript", "text/unknown", "unknown/unknown", "*/*",
        "application/unknown", "application/octet-stream", "application/x-ndjson", "image/png",
        "image/unheard-of", "audio/mpeg", "video/mp4", "application/x-shockwave-flash",
        "text/plain; x='; y=\"'a, text/html;z=\"", 'text/plain; x="\\", text/html; y="',
        'text/plain; x="a, text/html"', 'text/plain; charset="text/html"',
    ],
    svg: ["image/svg+xml", "image/svg+xml; charset=utf-8", "text/xml", "image/png", "text/plain"],
    xsl: ["text/xml", "application/xml", "text/xsl", "application/xslt+xml"],
    parts: [
        "multipart/x-mixed-replace; boundary=b", "multipart/related; boundary=b",
        "multipart/mixed; boundary=b", "message/rfc822", "application/x-mimearchive",
    ],
    pdf: ["application/pdf", "text/html", "text/plain", "application/octet-stream"],
    json_text: ["application/json", "application/problem+json", "application/ld+json"],
    utf7: ["text/plain; charset=utf-7", "text/html; charset=utf-7"],
}  # fmt: skip
# What no stream may be, but an upstream may say.
_ILL_FORMED: Final[list[tuple[str, ...]]] = [
    ("text/plain; x=y, text/html",), ("text/plain, text/html",), ("text/html, text/plain",),
    ("text/plain;, text/html",), ("application/json, text/html",), (", text/html",),
    ('text/plain; x="y, text/html',), ("text/html text/plain",), ("text",), ("",), (),
    ("text/plain", "text/html"), ("text/html", "text/plain"), ("image/png", "image/svg+xml"),
    ("; text/html",), ("text/plain/html",),
]  # fmt: skip


def _cases() -> Iterator[Case]:
    number = itertools.count()
    for make, types in _WELL_FORMED.items():
        for kind in types:
            yield Case((kind,), make(str(next(number))).encode())
    for kind in ("text/plain", "text/html"):
        yield Case((kind,), b"\xff\xfe" + html(str(next(number))).encode("utf-16-le"))
        yield Case((kind,), b"\xef\xbb\xbf" + html(str(next(number))).encode())
    yield Case(("image/gif",), b"GIF89a" + html(str(next(number))).encode())
    for values in _ILL_FORMED:
        yield Case(values, html(str(next(number))).encode())


CASES: Final = list(_cases())
OF_STREAMS: Final = [n for n, case in enumerate(CASES) if case.types not in _ILL_FORMED]


# --- who serves it ----------------------------------------------------------------------------


def say(peer: Peer) -> None:
    """The upstream: a case, with the status that its URL asks for; an answer to any POST."""
    head = peer.ask()
    target = head.split(b" ", 2)[1].decode()
    asked = re.search(r"case=(\d+)(?:&status=(\d+))?", target)
    if head.startswith(b"POST"):
        peer.take_all()
        body = chunk(html("answer")) + DONE
        types: tuple[str, ...] = ("text/event-stream",)
    elif asked is None:
        types, body = ("text/xsl",), stylesheet().encode()
    else:
        types, body = CASES[int(asked[1])]
    status = asked[2] if asked is not None and asked[2] else "200"
    lines = [f"HTTP/1.1 {status} X", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {value}" for value in types]
    peer.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@pytest.fixture(scope="module")
def foreign() -> Iterator[RawUpstream]:
    upstream = RawUpstream(say)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module", params=["without a token", "with a token"])
def holding(
    request: pytest.FixtureRequest,
    foreign: RawUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server that holds a stream of each case that may be one."""
    env = {"TAILRACE_TOKEN": TOKEN} if request.param == "with a token" else {}
    data = tmp_path_factory.mktemp("foreign")
    with serving(foreign.base_url, data, "--max-streams", "10000", env=env) as server:
        _put(server, "xslt", "text/xsl", stylesheet().encode())
        _put(server, "js", "text/javascript", script("js").encode())
        for number in OF_STREAMS:
            _put(server, f"s{number}", CASES[number].types[0], CASES[number].body)
        yield server


def _put(server: Server, name: str, kind: str, body: bytes) -> None:
    fields = [("Content-Type", kind), ("Stream-Closed", "true"), ("Connection", "close")]
    fields.append(("Authorization", f"Bearer {TOKEN}"))
    with Viewer(server, "PUT", f"/streams/{name}", fields, body) as viewer:
        assert viewer.head().status == 201, (kind, viewer.rest())


_READ: Final = ("/v1/stream/s{}", "/streams/s{}?view=text", "/streams/s{}?view=sse",
                "/streams/s{}?offset=-1&live=long-poll", "/streams/s{}?offset=-1&live=sse",
                "/streams/s{}?view=ndjson")  # fmt: skip
_PASSED: Final = ("/v1/models?case={}", "/v1/x?case={}&status=404",
                  "/v1/files/x/content?case={}", "/v1/models?case={}&status=400")  # fmt: skip


def urls(server: Server, turn: int) -> list[str]:
    """URLs that return bytes of others: each case at some of them, other ones by ``turn``."""
    found = [f"/streams/s{number}" for number in OF_STREAMS]
    found += [_READ[(number + turn) % len(_READ)].format(number) for number in OF_STREAMS]
    found += [_PASSED[(n // 2 + turn) % len(_PASSED)].format(n) for n in range(len(CASES))]
    return found + _of_an_answer(server)


def _of_an_answer(server: Server) -> list[str]:
    """What a model says, in every view; and ourselves."""
    shown = ("Authorization", f"Bearer {TOKEN}")
    with get(server, "/stream?content=Hi", shown) as viewer:
        viewer.rest()
        answer = viewer.fields["content-location"]
    found = [answer, *(f"{answer}?view={view}" for view in ("sse", "text", "ndjson", "openai"))]
    identity = _identity(server, answer, shown)
    found += [f"/v1/chat/completions/{identity}", f"/v1/chat/completions/{identity}?stream=true"]
    return [*found, "/stream?content=Hi", "/streams", "/health", "/streams/%3Cscript%3E"]


def _identity(server: Server, answer: str, shown: tuple[str, str]) -> str:
    with get(server, f"{answer}?view=ndjson", shown) as viewer:
        found = re.search(rb'"id": ?"([^"]+)"', viewer.rest().data)
    assert found is not None
    return found[1].decode()


# --- who looks at it --------------------------------------------------------------------------

_FRAMES = """(urls) => {
  window.shown = 0
  const frames = urls.map((url) => Object.assign(document.createElement("iframe"), {src: url}))
  for (const frame of frames) frame.addEventListener("load", () => (window.shown += 1))
  document.body.replaceChildren(...frames)
}"""
# A frame that is made after all others have come, and runs.
_LAST = """() => {
  const frame = document.createElement("iframe")
  frame.srcdoc = "<script>console.log('last')</script>"
  document.body.append(frame)
}"""


class Witness:
    """A browser of its own that opens URLs in frames and notes what ran."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.origin = origin
        self.context: BrowserContext = browser.new_context(accept_downloads=False)
        self.context.set_default_timeout(WITHIN * 1000)
        self.ran: set[str] = set()
        self._downloads = 0
        self._lasts = 0
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("download", self._downloaded)

    def _said(self, message: ConsoleMessage) -> None:
        if message.text.startswith("pwned "):
            self.ran.add(message.text.removeprefix("pwned "))
        self._lasts += message.text == "last"

    def _downloaded(self, _: Download) -> None:
        self._downloads += 1

    def open(self, targets: list[str]) -> None:
        """Load all of them; return when each has been shown, or saved, and had its turn to run."""
        for start in range(0, len(targets), _BATCH):
            batch = [self.origin + target for target in targets[start : start + _BATCH]]
            self._downloads = 0
            self.page.evaluate(_FRAMES, batch)
            self._until(lambda: self._shown() + self._downloads >= len(batch))  # noqa: B023
            lasts = self._lasts
            self.page.evaluate(_LAST)
            self._until(lambda: self._lasts > lasts)  # noqa: B023

    def _shown(self) -> int:
        shown: int = self.page.evaluate("window.shown")
        return shown

    def _until(self, condition: Callable[[], bool]) -> None:
        for _ in range(int(WITHIN * 100)):
            if condition():
                return
            self.page.wait_for_timeout(10)  # where Playwright hears what happened
        raise AssertionError(f"waited in vain: {self._shown()} shown, {self._downloads} saved")


@contextmanager
def witness(browser: Browser, origin: str, start: str) -> Iterator[Witness]:
    """A witness that stands on a document of ``origin``."""
    found = Witness(browser, origin)
    try:
        found.page.goto(origin + start)
        yield found
    finally:
        found.context.close()


def _as_scripts_of_our_page(looking: Witness) -> int:
    """Have our page load streams that say they are scripts; how many it refused."""
    looking.page.goto(f"{looking.origin}/page/chat")
    refused: int = looking.page.evaluate(
        """async () => {
          const load = (src) => new Promise((go) => {
            const script = Object.assign(document.createElement("script"), {src})
            script.onerror = () => go(1)
            script.onload = () => go(0)
            document.body.append(script)
          })
          return await load("/streams/js") + await load("/page/../v1/stream/js")
        }"""
    )
    return refused


def test_the_corpus_runs_where_nobody_isolates_it(browser: Browser, foreign: RawUpstream) -> None:
    origin = foreign.base_url.removesuffix("/v1")
    plain = next(n for n, case in enumerate(CASES) if case.types == ("application/json",))
    with witness(browser, origin, f"/?case={plain}") as looking:
        looking.open([f"/v1/?case={number}" for number in range(len(CASES))])
        ran = {CASES[int(mark)].types for mark in looking.ran if mark.isdigit()}
    # Those that every Chromium runs: HTML, XML, SVG, a list of types, what has no type at all.
    for types in (
        ("text/html",), ("application/xhtml+xml",), ("text/xml",), ("image/svg+xml",),
        ("text/plain; x=y, text/html",), ("text/plain", "text/html"), (),
    ):  # fmt: skip
        assert types in ran, sorted(ran)


def test_no_byte_of_others_runs_on_our_origin_whatever_its_type_and_url(
    browser: Browser, holding: Server, request: pytest.FixtureRequest
) -> None:
    with witness(browser, holding.url, "/health") as looking:
        login = "t => fetch('/page/login', {method: 'POST', body: JSON.stringify({token: t})})"
        looking.page.evaluate(f"async (t) => {{ await ({login})(t) }}", TOKEN)
        targets = urls(holding, turn=int("with a token" in request.node.name))
        # What the upstream says is reached, with the login where there is a token.
        reached = looking.page.evaluate("fetch('/v1/models?case=0').then((r) => r.text())")
        assert reached == CASES[0].body.decode()
        looking.open(targets)
        assert looking.ran == set()
        assert looking.page.evaluate("localStorage.pwned") is None
        assert "pwned" not in looking.page.evaluate("document.cookie")
        assert _as_scripts_of_our_page(looking) == 2
        assert looking.ran == set()
        # As the whole tab, too, where a browser does some things that it does not in frames.
        for kind in ("text/html", "image/svg+xml", "multipart/x-mixed-replace; boundary=b"):
            number = next(n for n in OF_STREAMS if CASES[n].types == (kind,))
            for target in (f"/streams/s{number}", f"/v1/models?case={number}"):
                looking.page.goto(holding.url + target)
        assert looking.ran == set()


def test_what_is_not_one_media_type_makes_no_stream(holding: Server) -> None:
    for values in _ILL_FORMED:
        fields = [("Content-Type", value) for value in values]
        fields += [("Authorization", f"Bearer {TOKEN}"), ("Connection", "close")]
        with Viewer(holding, "PUT", "/streams/ill", fields) as viewer:
            # No type, and an empty one, are application/octet-stream.
            assert viewer.head().status == (400 if any(values) else 201), values
        with Viewer(holding, "DELETE", "/streams/ill", fields[-2:]) as viewer:
            viewer.head()
