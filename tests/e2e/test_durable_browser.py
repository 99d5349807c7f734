"""A browser's own EventSource on a stream that grows while its server is restarted.

The page is served from another origin, one that the server allows, and reports what its
EventSource saw. Chromium decides when to reconnect, with which Last-Event-ID, and when not to.
Appends go on all the time, so that both restarts, one of them by SIGKILL, come between events
that are on their way.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Server, wait_for

STREAM = "/streams/notes"
_SECONDS = 60.0
_PAGE = """<!doctype html><script>
let n = 0
const report = (event) =>
  fetch("/report", {method: "POST", body: JSON.stringify({...event, n: n++})})
const source = new EventSource("%s")
const tell = (e) => report({type: e.type, id: e.lastEventId, data: e.data})
source.onmessage = tell
source.addEventListener("end", tell)
source.onerror = () => report({type: "error", state: source.readyState})
</script>"""
# As a sandbox for a test: no profile, no services of its own, no GPU.
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Page(ThreadingHTTPServer):
    """Serves one page and collects what it reports."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.html = b""
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """In the order in which the page saw them: reports may overtake each other."""
        found = [report for report in self.reports if report["type"] == kind]
        return sorted(found, key=lambda report: int(report["n"]))

    def given_up(self) -> bool:
        """Whether its EventSource will ask no more, and all that it saw has been reported."""
        last = [report["n"] for report in self.of("error") if report["state"] == 2]
        return bool(last) and len(self.reports) > last[0]

    def wait_for_more(self) -> None:
        """Return once it has reported some more messages than until now."""
        enough = len(self.of("message")) + 20
        wait_for(lambda: len(self.of("message")) >= enough, _SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.html if found else b"")

    def do_POST(self) -> None:
        self.server.reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def chromium(url: str, profile: Path) -> Iterator[None]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium: install Debian's chromium to test with a browser")
    command = [program, *_FLAGS, f"--user-data-dir={profile}", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            yield
        finally:
            browser.kill()


def request(server: Server, method: str, body: bytes = b"", **fields: str) -> int:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=_SECONDS)
    try:
        headers = {key.replace("_", "-"): value for key, value in fields.items()}
        connection.request(method, STREAM, body or None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


class Growth:
    """A producer that appends without a pause, and again what was not answered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sent = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        # Often enough that each restart comes between some; each event is a report of the page.
        while not self._enough.wait(0.02):
            try:
                status = request(
                    self.server, "POST", b"event %d" % self.sent, Content_Type="text/plain",
                    Producer_Id="growth", Producer_Epoch="0", Producer_Seq=str(self.sent),
                )  # fmt: skip
            except (OSError, http.client.HTTPException):
                continue
            self.sent += status in (200, 204)

    def stop(self) -> int:
        """How many events there are."""
        self._enough.set()
        self._thread.join()
        return self.sent


def test_an_event_source_misses_nothing_over_two_restarts_and_stops_at_the_end(
    tmp_path: Path,
) -> None:
    page = Page()
    threading.Thread(target=page.serve_forever, daemon=True).start()

    def start(port: int) -> Server:
        flags = ("--upstream", "http://127.0.0.1:9/v1", "--model", "m", "--port", str(port))
        env = {"TAILRACE_CORS_ORIGINS": page.origin}
        return Server(*flags, "--data", str(tmp_path / "data"), env=env)

    server = start(0)
    assert request(server, "PUT", Content_Type="text/plain") == 201
    page.html = (_PAGE % f"{server.url}{STREAM}").encode()
    growth = Growth(server)
    try:
        with chromium(page.origin, tmp_path / "profile"):
            for end in (Server.terminate, Server.kill):
                page.wait_for_more()
                end(server)
                server = growth.server = start(server.port)
            page.wait_for_more()
            sent = growth.stop()
            assert request(server, "POST", Stream_Closed="true") == 204
            # The body ends, the browser asks once more, is told that this was all, and stops.
            wait_for(page.given_up, _SECONDS)
        assert [report["data"] for report in page.of("message")] == [
            f"event {number}" for number in range(sent)
        ]
        ids = [report["id"] for report in page.of("message")]
        assert ids == sorted(set(ids))
        (end_report,) = page.of("end")
        assert json.loads(end_report["data"])["ending"] == "completed"
        reads = [line for line in server.output.splitlines() if f"GET {STREAM[:9]}" in line]
        assert " 204 " in reads[-1]
        assert sum(" 204 " in line for line in reads) == 1
    finally:
        growth.stop()
        server.kill()
        page.shutdown()
        page.server_close()
