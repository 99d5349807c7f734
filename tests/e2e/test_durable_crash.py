"""SIGKILL at random moments under writers and readers of streams that clients made.

Each life of the server ends in mid-work. Writers keep what was not answered and send it again in
the next life; readers come back with the offset that they had. What has to hold:

- what was acknowledged is there, once, in its writer's order;
- a batch that is sent again is taken exactly if the stream does not have it: no producer state
  without its data, no data without its producer state;
- a fork is what its source began with; a closed stream stays closed, a deleted one away;
- readers by long-poll, by the protocol's events and by plain ones with Last-Event-ID end with
  exactly the stream's bytes, and were never shown any that the stream then did not have.

    TAILRACE_SEED=1 TAILRACE_KILLS=300 pytest -rP tests/e2e/test_durable_crash.py
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tailrace.wire.sse import Parser
from tests.e2e.harness import Server

KILLS = int(os.environ.get("TAILRACE_KILLS", "25"))
WRITERS = 4
SHARED = "/streams/shared"
# A life is killed so long after its start, in seconds: from before the first answer on.
LONGEST_LIFE = 0.25
# Streams of each kind that a writer looks at after each restart, new ones and old ones.
CHECKED = 12
_T = TypeVar("_T")
_GONE = (OSError, http.client.HTTPException)


class Life:
    """One server, and whether it is still meant to be there."""

    def __init__(self, data: Path) -> None:
        flags = ("--upstream", "http://127.0.0.1:9/v1", "--model", "m", "--data", str(data))
        env = {"TAILRACE_LONG_POLL_TIMEOUT": "5"}
        self.server = Server(*flags, env=env)

    def request(
        self, method: str, path: str, body: bytes = b"", **fields: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=30)
        try:
            names = {key.replace("_", "-"): value for key, value in fields.items()}
            connection.request(method, path, body or None, names)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data
        finally:
            connection.close()

    def content(self, path: str) -> bytes:
        found, offset = b"", "-1"
        while True:
            status, fields, data = self.request("GET", f"{path}?offset={offset}")
            assert status == 200, (path, status)
            found += data
            offset = fields["stream-next-offset"]
            if "stream-up-to-date" in fields:
                return found


class Writer:
    """Appends lines of its own to the shared stream, and makes, forks, closes, deletes others."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        self.random = random.Random(seed)
        self.next = 0
        self.acknowledged = -1
        self.waits = False
        """The line of ``next`` was sent, and nobody knows what became of it."""
        self.there: bool | None = None
        """Whether the stream had that line when this life began."""
        self.made = 0
        self.plain: dict[str, list[tuple[bytes, bool]]] = {}
        """Lines of streams of its own: whether each was acknowledged."""
        self.closed: set[str] = set()
        self.deleted: set[str] = set()
        self.unsure: set[str] = set()
        """Streams of which a close or a delete was not answered."""
        self.forks: dict[str, int] = {}
        """Lines of its own that were acknowledged before the fork was asked for."""

    def line(self, number: int) -> bytes:
        return b"%d:%d:%s\n" % (self.number, number, b"x" * (number * 37 % 300))

    def work(self, life: Life, stopped: Callable[[], bool]) -> None:
        while not stopped():
            chance = self.random.random()
            try:
                if chance < 0.6 or self.waits:
                    self.append(life)
                elif chance < 0.8:
                    self.append_plain(life)
                elif chance < 0.87:
                    self.fork(life)
                else:
                    self.end_one(life)
            except _GONE:
                return

    def append(self, life: Life) -> None:
        retried, there = self.waits, self.there
        self.waits, self.there = True, None
        status, fields, body = life.request(
            "POST", SHARED, self.line(self.next), Content_Type="text/plain",
            Producer_Id=str(self.number), Producer_Epoch="0", Producer_Seq=str(self.next),
        )  # fmt: skip
        assert status in (200, 204), body
        if not retried:
            assert status == 200
        elif there is not None:
            assert status == (204 if there else 200), (self.number, self.next)
        assert fields["producer-seq"] == str(self.next)
        self.acknowledged, self.waits = self.next, False
        self.next += 1

    def append_plain(self, life: Life) -> None:
        if not self.plain or self.random.random() < 0.2:
            self.made += 1
            name = f"/streams/own/{self.number}/{self.made}"
            status, *_ = life.request("PUT", name, Content_Type="text/plain")
            assert status == 201
            self.plain[name] = []
        name = self.random.choice(sorted(self.plain))
        line = b"%d\n" % len(self.plain[name])
        self.plain[name].append((line, False))
        if name in self.closed or name in self.unsure:
            return
        status, *_ = life.request("POST", name, line, Content_Type="text/plain")
        assert status == 204
        self.plain[name][-1] = (line, True)

    def fork(self, life: Life) -> None:
        self.made += 1
        name, acknowledged = f"/streams/fork/{self.number}/{self.made}", self.acknowledged
        status, *_ = life.request("PUT", name, Stream_Forked_From=SHARED)
        assert status == 201
        self.forks[name] = acknowledged

    def end_one(self, life: Life) -> None:
        names = sorted(set(self.plain) - self.closed - self.deleted - self.unsure)
        if not names:
            return
        name = self.random.choice(names)
        self.unsure.add(name)
        if self.random.random() < 0.5:
            status, *_ = life.request("POST", name, Stream_Closed="true")
            self.closed.add(name)
        else:
            status, *_ = life.request("DELETE", name)
            self.deleted.add(name)
            del self.plain[name]
        assert status == 204
        self.unsure.discard(name)

    def check(self, life: Life, shared: bytes) -> None:
        """After a restart."""
        mine = [
            line
            for line in shared.splitlines(keepends=True)
            if line.startswith(b"%d:" % self.number)
        ]
        assert mine == [self.line(number) for number in range(len(mine))]
        assert self.acknowledged + 1 <= len(mine) <= self.next + 1
        self.there = len(mine) == self.next + 1 if self.waits else None
        for name, acknowledged in self.some(self.forks).items():
            fork = life.content(name)
            assert shared.startswith(fork)
            assert self.line(acknowledged) in fork or acknowledged < 0
        for name in self.some(dict.fromkeys(self.deleted - self.unsure)):
            assert life.request("HEAD", name)[0] == 404
        for name, lines in self.some(self.plain).items():
            if name not in self.unsure:
                self.check_plain(life, name, lines)

    def some(self, streams: dict[str, _T]) -> dict[str, _T]:
        """The newest, and as many of the others: all, time after time."""
        newest = list(streams)[-CHECKED:]
        others = self.random.sample(sorted(streams), min(CHECKED, len(streams)))
        return {name: streams[name] for name in {*newest, *others}}

    def check_plain(self, life: Life, name: str, lines: list[tuple[bytes, bool]]) -> None:
        kept = life.content(name).splitlines(keepends=True)
        assert kept == [line for line, _ in lines if line in kept]
        assert [line for line, sure in lines if sure and line not in kept] == []
        closed = "stream-closed" in life.request("HEAD", name)[1]
        assert closed == (name in self.closed)


class Reader:
    """Follows the shared stream over all lives."""

    def __init__(self, live: str) -> None:
        self.live = live
        self.offset = "-1"
        self.got = b""
        """Up to ``offset``."""
        self.shown = b""
        """All that it ever saw, be it that no offset came with it: none of it may be taken back."""

    def work(self, life: Life, stopped: Callable[[], bool]) -> None:
        while not stopped():
            try:
                self.read(life)
            except _GONE:
                return

    def read(self, life: Life) -> None:
        """One answer, to its end."""
        self.poll(life) if self.live == "long-poll" else self.follow(life)

    def poll(self, life: Life) -> None:
        status, fields, data = life.request("GET", f"{SHARED}?offset={self.offset}&live=long-poll")
        assert status in (200, 204)
        self.keep(data, fields["stream-next-offset"])
        self.shown = max(self.shown, self.got, key=len)

    def follow(self, life: Life) -> None:
        connection = http.client.HTTPConnection(life.server.host, life.server.port, timeout=30)
        place = {} if self.offset == "-1" else {"Last-Event-ID": self.offset}
        try:
            if self.live == "sse":
                connection.request("GET", f"{SHARED}?offset={self.offset}&live=sse")
            else:
                connection.request("GET", SHARED, headers={"Accept": "text/event-stream", **place})
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            parser, data = Parser(max_event=1 << 26), b""
            while piece := answer.read1(65536):
                for event in parser.feed(piece):
                    if event.type in ("data", ""):
                        data += event.data
                        self.shown = max(self.shown, self.got + data, key=len)
                    if event.type == "control":
                        self.keep(data, json.loads(event.data)["streamNextOffset"])
                        data = b""
                    elif not event.type:
                        self.keep(data, event.id)
                        data = b""
        finally:
            connection.close()

    def keep(self, data: bytes, offset: str) -> None:
        self.got += data
        self.offset = offset


def live_and_die(data: Path, writers: list[Writer], readers: list[Reader], after: float) -> None:
    life = Life(data)
    stopped = threading.Event()
    failures: list[BaseException] = []

    def run(work: Callable[[Life, Callable[[], bool]], None]) -> None:
        try:
            work(life, stopped.is_set)
        except BaseException as error:
            failures.append(error)

    work = [writer.work for writer in writers] + [reader.work for reader in readers]
    threads = [threading.Thread(target=run, args=(each,)) for each in work]
    try:
        shared = life.content(SHARED)
        for writer in writers:
            writer.check(life, shared)
        for reader in readers:
            assert shared.startswith(reader.shown)
        for thread in threads:
            thread.start()
        stopped.wait(after)
    finally:
        life.server.kill()
        stopped.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    assert not failures, failures[0]


@pytest.mark.timeout(60 + 5 * KILLS)
def test_kill_9_loses_nothing_acknowledged_doubles_nothing_and_shows_nothing_it_takes_back(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("TAILRACE_SEED", random.randrange(2**32)))
    print(f"TAILRACE_SEED={seed} TAILRACE_KILLS={KILLS}")
    chance = random.Random(seed)
    life = Life(tmp_path)
    assert life.request("PUT", SHARED, Content_Type="text/plain")[0] == 201
    life.server.kill()
    writers = [Writer(number, chance.randrange(2**32)) for number in range(WRITERS)]
    readers = [Reader("long-poll"), Reader("sse"), Reader("events")]
    for _ in range(KILLS):
        live_and_die(tmp_path, writers, readers, chance.random() * LONGEST_LIFE)

    life = Life(tmp_path)
    try:
        shared = life.content(SHARED)
        for writer in writers:
            writer.check(life, shared)
        assert life.request("POST", SHARED, Stream_Closed="true")[0] == 204
        for reader in readers:
            while (before := len(reader.got)) < len(shared):
                reader.read(life)
                assert len(reader.got) > before
            assert reader.got == shared
    finally:
        life.server.kill()
    lines = shared.count(b"\n")
    print(f"{KILLS} kills, {lines} lines, {sum(len(w.forks) for w in writers)} forks")
    assert lines >= KILLS
