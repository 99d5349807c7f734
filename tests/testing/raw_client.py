"""A client that shows what is on the wire: no repairs, no guesses, no library."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

SECONDS = 20.0


def request(prompt: str = "Hi", *, close: bool = True, **more: Any) -> bytes:
    """The bytes of a chat completion request, streamed unless ``more`` says otherwise."""
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    body = json.dumps({**asked, **more}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    end = "Connection: close\r\n\r\n" if close else "\r\n"
    return (head + end).encode() + body


@contextmanager
def connected(base_url: str) -> Iterator[socket.socket]:
    """A connection to the upstream at ``base_url``."""
    url = urlsplit(base_url)
    assert url.hostname is not None
    assert url.port is not None
    with socket.create_connection((url.hostname, url.port), timeout=SECONDS) as connection:
        yield connection


def reads(connection: socket.socket) -> Iterator[bytes]:
    """What each read gives, to the end; raises ConnectionResetError where the end is RST."""
    while data := connection.recv(1 << 16):
        yield data


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """Everything up to the first time that ``end`` is the end of what has come."""
    data = b""
    for read in reads(connection):
        data += read
        if data.endswith(end):
            break
    return data


def ask(base_url: str, **asked: Any) -> bytes:
    """The whole answer to one request, to the end of the connection."""
    with connected(base_url) as connection:
        connection.sendall(request(**asked))
        return b"".join(reads(connection))


def split(answer: bytes) -> tuple[bytes, bytes]:
    """The last head and the body of an answer, interim responses left out."""
    head, found, body = answer.partition(b"\r\n\r\n")
    assert found, answer
    if head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
        return split(body)
    return head, body


def dechunked(body: bytes) -> tuple[bytes, bool]:
    """What a chunked body holds, as far as it goes, and whether its last chunk is there."""
    content = b""
    while body:
        line, found, body = body.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return content, False
        if not found:
            return content, False
        if size == 0:
            return content, True
        content, body = content + body[:size], body[size + 2 :]
    return content, False


def content(answer: bytes) -> tuple[bytes, bool]:
    """The body without its framing, and whether it ended as its framing asks."""
    head, body = split(answer)
    if b"transfer-encoding: chunked" in head:
        return dechunked(body)
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length: "):
            return body, len(body) == int(line.partition(b": ")[2])
    return body, True


def said(body: bytes) -> tuple[str, bool]:
    """What the events of an event-stream body say in choice 0, and whether ``[DONE]`` came."""
    text = ""
    for line in body.split(b"\n"):
        payload = line.removesuffix(b"\r").removeprefix(b"data: ")
        if payload == b"[DONE]":
            return text, True
        try:
            text += json.loads(payload)["choices"][0]["delta"].get("content") or ""
        except (ValueError, KeyError, LookupError, TypeError):
            continue
    return text, False
