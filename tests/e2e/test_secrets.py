"""Canaries: a key, a token, a prompt and the rest of what is private, looked for everywhere.

They may be in the stream's own answer and nowhere else: not in what the server prints, not in
what it keeps, not in what it tells a client about an upstream that repeats them.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tailrace.testing.chunks import DONE, chat_chunks, chunk, error_body, event, role_chunk
from tailrace.testing.script import Head, Raw, Send, Wait, respond, script, stream
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.harness import Server, Viewer, get, serving

KEY = "sk-canary-5f0c1b7e9a"
CLIENT_KEY = "sk-client-canary-77aa01"
TOKEN = "token-canary-c41d88e2"
PROMPT = "prompt canary 90e1"
SYSTEM = "system canary 31bb"
QUERY = "query-canary-8d2f"
ANSWER = "answer canary 6c55"
SHOWN = ("Authorization", f"Bearer {TOKEN}")
JSON = ("Content-Type", "application/json")
EVENTS = ("Accept", "text/event-stream")
ECHO = f"key {KEY} may not say {PROMPT}"
ASK = f"/stream?content={quote(PROMPT)}&system={quote(SYSTEM)}&x={QUERY}"

# What an upstream says that repeats all it was given.
ECHOES = {
    "refusal": respond(401, error_body(ECHO), ("x-echo", KEY)),
    "html": respond(500, ECHO.encode(), ("content-type", "text/html"), ("x-echo", KEY)),
    "not a stream": respond(200, ECHO.encode(), ("content-type", f"text/{KEY}")),
    "compressed": script(
        Head(headers=(("content-type", "text/event-stream"), ("content-encoding", KEY)))
    ),
    "field": script(
        Head(headers=(("content-type", "text/event-stream"), ("x-request-id", KEY))),
        Send(chunk("a")),
        Send(DONE),
    ),
    "error": stream(chunk("a"), event({"error": {"message": ECHO}})),
    "malformed": stream(chunk("a"), b"data: {" + ECHO.encode() + b"\n\n", DONE),
    "not HTTP": script(Raw(ECHO.encode() + b"\r\n\r\n")),
}


def completion() -> bytes:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
    return json.dumps({"model": "m", "messages": messages, "stream": True}).encode()


def collect(server: Server, method: str, target: str, *fields: tuple[str, str],
            body: bytes = b"") -> tuple[int, bytes]:  # fmt: skip
    """A response's status, and its fields and body in one."""
    with Viewer(server, method, target, fields, body).head() as viewer:
        data = b"" if viewer.status == 204 else viewer.rest().data
        return viewer.status, repr(viewer.fields).encode() + data


@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_an_upstream_repeats_reaches_no_client_no_log_and_no_file(
    tmp_path: Path, name: str
) -> None:
    env = {"TAILRACE_UPSTREAM_API_KEY": KEY, "TAILRACE_TOKEN": TOKEN}
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, env=env) as server:
        upstream.script(*[ECHOES[name]] * 3)
        seen = [
            collect(server, "GET", ASK, SHOWN)[1],
            collect(server, "GET", ASK, SHOWN, EVENTS)[1],
            collect(server, "POST", "/v1/chat/completions", SHOWN, JSON, body=completion())[1],
        ]
        status, listed = collect(server, "GET", "/streams", SHOWN)
        assert status == 200
        asked = upstream.requests
        assert len(asked) == 3
        assert all(each.header("authorization") == f"Bearer {KEY}" for each in asked)
        assert server.terminate() == 0
        printed = server.output.encode()
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for text in (*seen, listed, printed, kept):
        assert KEY.encode() not in text
        assert TOKEN.encode() not in text
    for canary in (PROMPT, SYSTEM, QUERY):
        assert canary.encode() not in printed
        assert quote(canary).encode() not in printed


def test_nothing_private_is_printed_or_kept_outside_the_answer(tmp_path: Path) -> None:
    env = {"TAILRACE_UPSTREAM_API_KEY": KEY, "TAILRACE_TOKEN": TOKEN}
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, env=env) as server:
        upstream.script(*[stream(*chat_chunks([ANSWER]))] * 3)
        links = []
        for accept in ("*/*", "text/event-stream"):
            with get(server, ASK, SHOWN, ("Accept", accept)) as viewer:
                assert ANSWER.encode() in viewer.rest().data
                links.append(viewer.fields["content-location"])
        target = "/v1/chat/completions"
        assert collect(server, "POST", target, SHOWN, JSON, body=completion())[0] == 200
        wrong = ("Authorization", f"Bearer {CLIENT_KEY}")
        encoded = quote(PROMPT)
        for status, method, path, fields, body in [
            (401, "GET", ASK, (wrong,), b""),
            (401, "POST", target, (wrong, JSON), completion()),
            (400, "POST", target, (SHOWN, JSON), completion()[:-1]),
            (415, "POST", "/stream", (SHOWN,), PROMPT.encode()),
            (404, "GET", f"/{encoded}?{QUERY}", (SHOWN,), b""),
            (404, "GET", f"/streams/{encoded}?{QUERY}", (SHOWN,), b""),
            (400, "GET", f"/streams/{encoded}%00", (SHOWN,), b""),
            (405, "DELETE", ASK, (SHOWN,), b""),
            (400, "GET", f"{links[0]}?offset={QUERY}", (), b""),
            (400, "GET", f"{links[0]}?view={QUERY}", (), b""),
            (421, "GET", ASK, (("Host", QUERY), SHOWN), b""),
            (403, "GET", ASK, (("Origin", f"https://{QUERY}"), SHOWN), b""),
            (414, "GET", ASK + "a" * 70_000, (SHOWN,), b""),
            (431, "GET", ASK, (SHOWN, ("X-Large", PROMPT * 5000)), b""),
            (400, "GET", ASK, (SHOWN, ("Bad Name", PROMPT)), b""),
            (400, QUERY, ASK, (SHOWN,), b""),
        ]:
            got, answer = collect(server, method, path, *fields, body=body)
            assert got == status, (method, path[:200], answer[:500])
            assert KEY.encode() not in answer
            assert TOKEN.encode() not in answer
        assert server.terminate() == 0
        printed = server.output
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    secrets = (KEY, CLIENT_KEY, TOKEN, PROMPT, SYSTEM, QUERY)
    ids = [link.rpartition("/")[2] for link in links]
    for canary in (*secrets, ANSWER, *ids):
        assert canary not in printed
        assert quote(canary) not in printed
    assert "Traceback" not in printed
    assert "GET /stream 200" in printed, "the access log is what was searched"
    for canary in secrets:
        assert canary.encode() not in kept
    assert ANSWER.encode() in kept, "the store is what was searched"


ESCAPED = "".join(f"\\u{ord(each):04x}" for each in KEY)
# In answers that are whole otherwise: chunks, the answer's id, how it ends.
SPELLED = {
    "chunk": stream(role_chunk(), chunk(f"the key is {KEY}."), DONE),
    "escaped": stream(role_chunk(), chunk("@").replace(b"@", ESCAPED.encode()), DONE),
    "first letter": stream(
        chunk("a"), chunk("@").replace(b"@", b"\\u0073" + KEY[1:].encode()), DONE
    ),
    "in a URL": stream(chunk("a"), chunk("%73" + KEY[1:]), DONE),
    "id": stream(chunk("a").replace(b"chatcmpl", KEY.encode()), DONE),
    "escaped id": stream(chunk("a").replace(b"chatcmpl", ESCAPED.encode()), DONE),
    "over two reads": script(
        Head(),
        Send(chunk("a")),
        Send(chunk(KEY)[:-100]),
        Wait("rest"),
        Send(chunk(KEY)[-100:]),
        Send(DONE),
    ),
    "over two writes": script(Head(), Send(chunk("a")), Send(chunk(KEY), split=9), Send(DONE)),
    "reason": stream(
        chunk("a"), event({"error": {"message": "@"}}).replace(b"@", ESCAPED.encode())
    ),
    "field's name": script(
        Head(headers=(("content-type", "text/event-stream"), (f"X-{KEY}", "1"))),
        Send(chunk("a")),
        Send(DONE),
    ),
    "no stream": respond(200, json.dumps({"id": KEY, "text": f"a {KEY} b"}).encode()),
}


def test_a_key_in_an_answer_reaches_no_client_no_log_and_no_file_however_it_is_spelled(
    tmp_path: Path,
) -> None:
    env = {"TAILRACE_UPSTREAM_API_KEY": KEY}
    seen: dict[str, list[bytes]] = {}
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, env=env) as server:
        upstream.open("rest")
        for name, said in SPELLED.items():
            upstream.script(*[said] * 3)
            seen[name] = [
                collect(server, "GET", ASK, EVENTS)[1],
                collect(server, "POST", "/v1/chat/completions", JSON, body=completion())[1],
                collect(server, "POST", "/v1/embeddings", JSON, body=b'{"model":"m"}')[1],
            ]
        seen["streams"] = [collect(server, "GET", "/streams?limit=100")[1]]
        assert len(upstream.requests) == 3 * len(SPELLED)
        assert server.terminate() == 0
        seen["log"] = [server.output.encode()]
    seen["files"] = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for name, texts in seen.items():
        for spelled in (KEY, ESCAPED, KEY[1:]):
            assert spelled.lower().encode() not in b"".join(texts).lower(), name
        if name in SPELLED and name != "field's name":
            assert b"[redacted]" in texts[-1], name


def test_our_token_in_two_fields_reaches_no_upstream(tmp_path: Path) -> None:
    env = {"TAILRACE_TOKEN": TOKEN}
    with ThreadedUpstream() as upstream, serving(upstream.base_url, tmp_path, env=env) as server:
        for second in ("x-api-key", "api-key", "Authorization"):
            shown = [SHOWN, (second, TOKEN), ("Cookie", f"session={TOKEN}")]
            if second == "Authorization":
                shown = [("x-api-key", TOKEN), SHOWN, SHOWN]
            status, _ = collect(
                server, "POST", "/v1/chat/completions", JSON, *shown, body=completion()
            )
            assert status == 200
        assert len(upstream.requests) == 3
        for asked in upstream.requests:
            assert TOKEN not in repr(asked.headers)
