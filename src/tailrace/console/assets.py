"""``/`` for browsers, and ``/page/…``: the built page, from the package.

    path                    answer
    ----------------------  --------------------------------------------------------------
    ``/page/assets/…``      that file of the build, or 404
    another of its files    that file
    any other               ``index.html``, which knows what its own addresses mean

What a path may name is looked up among the files that there are, so none leads out of them.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from tailrace.errors import NotFound
from tailrace.web.exchange import Exchange
from tailrace.wire.durable import matches

ROOT: Final = "/page/"
_ASSETS: Final = "assets/"
_INDEX: Final = "index.html"

# Nothing of anybody else's, nothing within the page itself, nothing evaluated, nobody around it.
# Scripts and styles come from the build alone: a stream may say that it is a script.
_POLICY: Final = (
    b"default-src 'none'; script-src %b; style-src %b; img-src 'self' data:; "
    b"connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'"
)
# Hosts by which a policy can name a folder: names, and of all addresses this one (CSP 3, 6.7.2.8).
_NAMED: Final = re.compile(
    rb"(?:127\.0\.0\.1|(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*)(?::[0-9]{1,5})?", re.IGNORECASE
)
_HOW_TO_GET_IT: Final = (
    b"The page is not built here: with Node.js and npm installed, run `make page` in a checkout; "
    b"GET / lists the APIs, which work all the same.\n"
)
# What the bundler puts a hash of its content into never changes under that name.
_HASHED: Final = re.compile(r"assets/(?:.*/)?[^/]+-[A-Za-z0-9_-]{8,}\.[A-Za-z0-9.]+", re.ASCII)
_FOR_EVER: Final = (b"cache-control", b"public, max-age=31536000, immutable")
_ASK_AGAIN: Final = (b"cache-control", b"no-cache")
# Not by the machine's own table, which may say anything (mimetypes reads the Windows registry).
_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "ico": b"image/x-icon",
    "js": b"text/javascript; charset=utf-8",
    "json": b"application/json",
    "map": b"application/json",
    "png": b"image/png",
    "svg": b"image/svg+xml",
    "txt": b"text/plain; charset=utf-8",
    "webmanifest": b"application/manifest+json",
    "webp": b"image/webp",
    "woff2": b"font/woff2",
}
# Beside a file, the same compressed; the first that the client takes is sent.
_CODINGS: Final = ((b"br", ".br"), (b"gzip", ".gz"))


def security(host: bytes) -> list[tuple[bytes, bytes]]:
    """The fields that belong to the page and its files, where ``host`` is the request's Host."""
    source = (
        b"%b%b%b" % (host, ROOT.encode(), _ASSETS.encode()) if _NAMED.fullmatch(host) else b"'self'"
    )
    return [
        (b"content-security-policy", _POLICY % (source, source)),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]


class File(NamedTuple):
    """One file of the build."""

    media_type: bytes
    plain: bytes
    coded: dict[bytes, bytes]
    """By content coding."""
    tag: bytes
    """Of what it says, without the quotes."""


class Build:
    """The files of one build, in memory: a few hundred kilobytes."""

    def __init__(self, folder: Traversable) -> None:
        self.index = (folder / _INDEX).read_bytes()
        data = dict(_walk(folder, ""))
        self.files = {name: _file(name, data) for name in data if not name.endswith((".br", ".gz"))}


def _walk(folder: Traversable, above: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{above}{entry.name}/")
        elif not entry.name.startswith("."):
            found.append((above + entry.name, entry.read_bytes()))
    return found


def _file(name: str, data: dict[str, bytes]) -> File:
    plain = data[name]
    coded = {coding: data[name + end] for coding, end in _CODINGS if name + end in data}
    media_type = _TYPES.get(name.rpartition(".")[2], b"application/octet-stream")
    return File(media_type, plain, coded, hashlib.sha256(plain).hexdigest()[:20].encode())


class _Pages:
    """Read at the first use, and again where it was built anew meanwhile."""

    def __init__(self) -> None:
        self._build: Build | None = None

    def build(self) -> Build | None:
        folder = files("tailrace").joinpath("page", "dist")
        try:
            index = folder.joinpath(_INDEX).read_bytes()
            # The index names all others by what is in them.
            if self._build is None or self._build.index != index:
                self._build = Build(folder)
        except OSError:
            self._build = None
        return self._build


_PAGES: Final = _Pages()


def is_built() -> bool:
    """Whether there is a page."""
    return _PAGES.build() is not None


async def page(exchange: Exchange, _services: object) -> None:
    """GET, HEAD /page/…, and what ``/`` is to a browser. Raises NotFound."""
    build = _PAGES.build()
    if build is None:
        kind = (b"content-type", b"text/plain; charset=utf-8")
        fields = [kind, (b"cache-control", b"no-store"), *security(_host(exchange))]
        await exchange.respond(404, fields, _HOW_TO_GET_IT)
        return
    name = exchange.path.removeprefix(ROOT)
    file = build.files.get(name)
    if file is None:
        if name.startswith(_ASSETS):
            raise NotFound("There is no such file in this build of the page.")
        name, file = _INDEX, build.files[_INDEX]
    await _send(exchange, name, file)


async def _send(exchange: Exchange, name: str, file: File) -> None:
    coding = _coding(exchange.header(b"accept-encoding") or b"", file)
    # Each coding is a representation of its own (RFC 9110, 8.8.3.3).
    tag = b'"%b%b"' % (file.tag, b"-" + coding if coding else b"")
    caching = _FOR_EVER if _HASHED.fullmatch(name) else _ASK_AGAIN
    # Accept, because ``/`` is something else to who does not ask for HTML.
    vary = (b"vary", b"Accept, Accept-Encoding" if name == _INDEX else b"Accept-Encoding")
    fields = [(b"etag", tag), caching, vary, *security(_host(exchange))]
    if matches(exchange.header(b"if-none-match") or b"", tag):
        await exchange.respond(304, fields)
        return
    fields.append((b"content-type", file.media_type))
    if coding:
        fields.append((b"content-encoding", coding))
    body = file.coded[coding] if coding else file.plain
    await exchange.respond(200, fields, body)


def _host(exchange: Exchange) -> bytes:
    return (exchange.header(b"host") or b"").strip()


def _coding(accepted: bytes, file: File) -> bytes:
    """The first of ours that the client takes (RFC 9110, 12.5.3); empty: none."""
    taken = set()
    for part in accepted.lower().split(b","):
        coding, _, weight = part.partition(b";")
        if weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"):
            taken.add(coding.strip())
    return next((coding for coding, _ in _CODINGS if coding in taken & file.coded.keys()), b"")
