"""The commands in the docs, run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tailrace.testing.faults import fault_scripts
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import WITHIN, Server, serving, sse_events, wait_for
from tests.e2e.raw_upstream import Peer, RawUpstream

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> list[str]:
    """What stands behind a ``$`` in the page's console blocks, but for starting servers."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not re.match(r"(\w+=\S+ )*(tailrace|make) ", line)]


def run(server: Server, lines: list[str]) -> list[str]:
    """What each command prints. One shell for all: later ones use what earlier ones set."""
    mine = [line.replace("http://127.0.0.1:8080", server.url) for line in lines]
    script = "set -e\n" + "\n".join(
        f"printf '\\n--- {n}\\n'\n{line}" for n, line in enumerate(mine)
    )
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=WITHIN, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = re.split(r"\n--- \d+\n", done.stdout)[1:]
    assert len(outputs) == len(lines)
    for line, output in zip(lines, outputs, strict=True):
        assert output.strip() or re.match(r"[A-Z]+=", line), line
        assert not re.search(r'"status":[45]', output), (line, output)
    return outputs


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's")


@needs_curl
def test_every_command_of_the_quickstart_works(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        lines = commands("quickstart.md")
        assert len(lines) >= 10
        outputs = run(server, lines)
    assert outputs[-2].strip() == outputs[-1].strip() == "204"
    assert outputs[0] == outputs[1] == outputs[2]


@needs_curl
def test_every_command_of_the_page_on_views_works(tmp_path: Path) -> None:
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path) as server:
        link = next(line for line in commands("quickstart.md") if line.startswith("LINK="))
        text, lines = run(server, [link, *commands("views.md")])[1:]
    assert text.strip()
    assert '"ending":"completed"' in lines


@needs_curl
def test_every_command_of_the_page_on_streams_works(tmp_path: Path) -> None:
    with serving("http://127.0.0.1:9/v1", tmp_path) as server:
        outputs = run(server, commands("streams.md"))
    statuses = [int(match[1]) for o in outputs if (match := re.match(r"HTTP/1.1 (\d+)", o.strip()))]
    assert statuses == [201, 204, 204, 200, 200, 204, 201, 204, 200, 204, 201, 204]
    assert "first second" in outputs[3]
    assert '{"ending": "completed", "reason": ""}' in outputs[7]
    assert outputs[10].strip() == '[{"step":1},{"step":2.0}]'


@needs_curl
def test_every_command_of_the_page_on_the_page_works(tmp_path: Path) -> None:
    with serving("http://127.0.0.1:9/v1", tmp_path) as server:
        one, two, followed = run(server, commands("page.md"))
    assert one.strip() == two.strip() == "201"
    kinds = [(event.type, event.data) for event in sse_events(followed.encode())]
    assert [kind for kind, _ in kinds[:3]] == ["stream", "stream", "gone"]
    assert sorted(data for kind, data in kinds if kind == "message") == ['"a"', "1", "2"]
    assert [kind for kind, _ in kinds].count("end") == 2


FILE = 200_000_000


def keep_files(peer: Peer) -> None:
    """What the page's upstream answers to each of its requests."""
    target = peer.ask().split()[1]
    if target.endswith(b"/content"):
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FILE)
        for _ in range(FILE // 1_000_000):
            peer.socket.sendall(b"x" * 1_000_000)
        return
    peer.take_all()
    assert target.endswith(b"/embeddings") or peer.read > FILE
    answer = b'{"data":[{"embedding":[0.5]}]}' if target.endswith(b"gs") else b'{"id":"file-1"}'
    peer.say("200 OK", answer)


@needs_curl
def test_every_command_of_the_page_on_passing_through_works(tmp_path: Path) -> None:
    upstream = RawUpstream(keep_files)
    try:
        with serving(upstream.base_url, tmp_path) as server:
            outputs = run(server, commands("pass-through.md"))
    finally:
        upstream.close()
    assert [output.strip() for output in outputs] == [
        '{"data":[{"embedding":[0.5]}]}',
        '{"id":"file-1"}',
        str(FILE),
        "400",
    ]


@needs_curl
def test_every_command_of_the_page_on_the_relay_works(tmp_path: Path) -> None:
    with (
        ThreadedUpstream(scripts=fault_scripts()) as upstream,
        serving(upstream.base_url, tmp_path) as server,
    ):
        outputs = run(server, commands("relay.md"))
        assert len(upstream.requests) == 5
    rest, status, _, _, first, again, _, _, later, broken, note = outputs[2:]
    assert '"response.created"' not in rest
    assert '"response.completed"' in rest
    assert status.strip() == "completed"
    assert "idempotency-replayed: true" in again.lower()
    assert first.strip() in again
    assert later.strip() == first.strip()
    assert "cut" in broken
    assert "'tokens': {'input'" in note


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_tables_and_every_command_of_the_page_on_upstreams_work(tmp_path: Path) -> None:
    page = (DOCS / "upstreams.md").read_text(encoding="utf-8")
    tables = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    environ = {"OPENAI_KEY_1": "sk-1", "OPENAI_KEY_2": "sk-2"}
    with ThreadedUpstream(models=("gpt-4o", "llama-3.1-8b")) as upstream:
        config = tmp_path / "tailrace.toml"
        config.write_text(re.sub(r'(?<=url = ")[^"]+', upstream.base_url, tables))
        server = Server("--config", str(config), "--data", str(tmp_path / "data"), env=environ)
        try:
            lines = [
                line.replace("$TAILRACE_PID", str(server.pid)) for line in commands("upstreams.md")
            ]
            listed, text, _ = run(server, lines)
            wait_for(lambda: "SIGHUP: asking openai, gpu, spare" in server.output)
        finally:
            server.kill()
        asked = [each.asked["model"] for each in upstream.requests if each.method == "POST"]
    assert {"gpt-4o", "llama-3.1-8b", "fast"} == {each["id"] for each in json.loads(listed)["data"]}
    assert text.strip()
    assert asked == ["llama-3.1-8b"]


@needs_curl
@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
def test_every_command_of_the_page_on_listening_works() -> None:
    # Directly below the system's own: a socket's path is short.
    with ThreadedUpstream() as upstream, tempfile.TemporaryDirectory(prefix="tr") as directory:
        path = f"{directory}/tailrace.sock"
        lines = [
            line.replace("/run/user/1000/tailrace.sock", path) for line in commands("listening.md")
        ]
        with serving(upstream.base_url, Path(directory), "--uds", path) as server:
            health, text = run(server, lines)
    assert health.strip() == '{"status": "ok"}'
    assert text.strip()
