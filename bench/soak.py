"""``python -m bench.soak``: hours of use in minutes, and what the server holds afterwards.

Answers are asked for, read whole, left in the middle and resumed, stopped, or abandoned, many at a
time. Now and then everything is let come to rest, and then the server must hold no more than when
all that is bounded was first full: descriptors, threads and memory. What tasks it has cannot be
seen from outside but by these: each is of a connection or holds memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import sys
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench import servers
from bench.driver import Load, cores, ready
from bench.scenarios import placed
from bench.servers import running

# Clients at a time; the rest of the answers wait for their turn.
_AT_A_TIME: Final = 200
# Rest before each look: the unwatched timeout given below, and what follows from it.
_REST: Final = 3.0
# Before the first look that counts: by then retention is at work, and what the server keeps at
# hand of the last answers (log/history.py keeps 16 MiB) has been full for some time.
_FULL_AFTER: Final = 120_000
_RETENTION: Final = "8MiB"
# Megabytes of growth from there on: the allocator's arenas come and go by a few.
_GROWTH: Final = 12.0
# Descriptors and threads likewise: a pooled connection more or less, a pool's thread.
_FEW: Final = 8
_ID: Final = re.compile(rb"^id: (\S+)", re.MULTILINE)


class Held(NamedTuple):
    """What a process holds at one moment."""

    megabytes: float
    descriptors: int
    threads: int


class Soak:
    """Clients of one server."""

    def __init__(self, url: str, seed: int) -> None:
        self._host = urllib.parse.urlsplit(url).netloc
        self._random = random.Random(seed)
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self.done: dict[str, int] = {}

    async def turn(self, answers: int) -> None:
        """So many answers, each treated in one of the ways."""
        ways: tuple[Callable[[], Awaitable[None]], ...] = (
            self._read, self._resume, self._stop, self._abandon,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            for _ in range(answers):
                await self._room.acquire()
                group.create_task(self._one(self._random.choice(ways)))

    async def _one(self, way: Callable[[], Awaitable[None]]) -> None:
        try:
            await way()
            name = way.__name__.strip("_")
            self.done[name] = self.done.get(name, 0) + 1
        finally:
            self._room.release()

    async def _read(self) -> None:
        reader, writer = await self._ask()
        body = await reader.read()
        assert b"event: end" in body, body[-200:]
        await _close(writer)

    async def _resume(self) -> None:
        reader, writer = await self._ask()
        seen = await _until_a_token(reader)
        last = _ID.findall(seen)[-1].decode()
        await _close(writer)
        reader, writer = await self._ask(f"Last-Event-ID: {last}\r\n")
        body = await reader.read()
        assert b"event: end" in body, body[-200:]
        await _close(writer)

    async def _stop(self) -> None:
        reader, writer = await self._ask()
        head = await _until_a_token(reader)
        found = re.search(rb"content-location: (\S+)", head)
        assert found is not None
        stop, stopper = await self._send(
            f"POST {found[1].decode()} HTTP/1.1\r\nStream-Closed: true\r\nContent-Length: 0\r\n"
        )
        answer = await stop.read()
        assert answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 409")), answer[:200]
        assert b"event: end" in await reader.read()
        await _close(stopper)
        await _close(writer)

    async def _abandon(self) -> None:
        reader, writer = await self._ask()
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def _ask(self, more: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self._send(
            f"GET /stream?content=hi HTTP/1.1\r\nAccept: text/event-stream\r\n{more}"
        )

    async def _send(self, head: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self._host.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Host: {self._host}\r\nConnection: close\r\n\r\n".encode())
        return reader, writer


async def _until_a_token(reader: asyncio.StreamReader) -> bytes:
    """The response as far as its first token. One without any fails the run, and says itself."""
    try:
        return await reader.readuntil(b"~")
    except asyncio.IncompleteReadError as error:
        raise AssertionError(error.partial) from None


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def held_by(pid: int) -> Held:
    """Read from /proc."""
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    return Held(int(numbers["VmRSS"]) / 1024, descriptors, int(numbers["Threads"]))


def main() -> int:
    """0 if nothing grew."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--answers", type=int, default=200_000)
    parser.add_argument("--looks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    core, _ = cores()
    if core is not None:
        os.sched_setaffinity(0, {core})  # with the upstream; the server has the other
    start = servers.tailrace("--unwatched-timeout", "1", "--retention-size", _RETENTION)
    with ready() as bench, placed(bench) as place, running(start, place) as pid:
        looks = asyncio.run(_soak(place.url, pid, bench.load, chosen))
    return 0 if judge(looks) else 1


def judge(looks: Sequence[Held]) -> bool:
    """Say whether anything grew from the first look to the last."""
    first, last = looks[0], looks[-1]
    grew = last.megabytes - first.megabytes
    few = all(now <= before + _FEW for now, before in zip(last[1:], first[1:], strict=True))
    fine = grew < _GROWTH and few
    print(f"{'nothing grew' if fine else 'GREW'}: {grew:+.1f} MB, {first} to {last}")
    return fine


async def _soak(url: str, pid: int, load: Load, chosen: argparse.Namespace) -> list[Held]:
    load.run("script", rate=500, count=20)
    soak = Soak(url, chosen.seed)
    looks = []
    begin = time.monotonic()
    for number in range(chosen.looks + 1):
        await soak.turn(chosen.answers // chosen.looks if number else _FULL_AFTER)
        await asyncio.sleep(_REST)
        looks.append(held_by(pid))
        took = time.monotonic() - begin
        print(f"look {number}/{chosen.looks} {took:4.0f} s: {looks[-1]}, {soak.done}", flush=True)
    return looks


if __name__ == "__main__":
    sys.exit(main())
