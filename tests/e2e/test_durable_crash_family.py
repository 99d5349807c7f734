"""SIGKILL in mid-request under families of streams: forks of forks, soft deletes, closing batches.

Each writer has a family to itself and one request under way at most. After a restart the streams
that this request touched are all as before it, or all as after it; whatever was found then has to
stay. Every other stream is exactly what was acknowledged: its events, its ending, its producer,
its ``Stream-Seq``, the offsets that were given out; a name that was deleted shows nothing of its
former life. A batch that was not answered is sent again: taken where it was missing, else known.

The server is killed while a request is on its way, at times while it recovers from the kill before,
and its journal is small, so that open streams move into segments all along.

    TAILRACE_SEED=1 TAILRACE_KILLS=300 pytest -rP tests/e2e/test_durable_crash_family.py
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.durable_family import (
    Known,
    Places,
    State,
    Step,
    changed,
    expected,
    generation,
    producer,
    with_stream,
    without,
)
from tests.e2e.harness import WITHIN, Server

KILLS = int(os.environ.get("TAILRACE_KILLS", "40"))
WRITERS = 4
# Streams of a family, and steps until its writer begins another one.
MEMBERS, STEPS = 7, 60
NAMES = tuple(f"s{number}" for number in range(MEMBERS + 1))
# Requests that a life answers at most, and milliseconds from the last of them to the kill: a
# commit takes some.
LONGEST_LIFE, LATEST = 60, 6
# Long enough to be killed anywhere between its first line and its first answer.
LONGEST_START = 0.5
FLAGS = ("--upstream", "http://127.0.0.1:9/v1", "--model", "m", "--journal-limit", "1MiB")
_JSON = {"Content-Type": "application/json"}
_GONE = (OSError, http.client.HTTPException)


class Bomb:
    """Counts requests, and goes off at one of them."""

    def __init__(self, after: int) -> None:
        self._left = after
        self._lock = threading.Lock()
        self.lit = threading.Event()

    def count(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self.lit.set()


class Client:
    """One connection to one life of the server."""

    def __init__(self, server: Server, bomb: Bomb) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=WITHIN)
        self._bomb = bomb

    def ask(
        self, method: str, path: str, body: bytes = b"", fields: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        pieces = (fields or {}).get("Transfer-Encoding") and iter([body[:7], body[7:]])
        connection = self._connection
        connection.request(
            method, path, pieces or body or None, fields or {}, encode_chunked=bool(pieces)
        )
        self._bomb.count()
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data

    def items(self, path: str, offset: str = "-1") -> tuple[list[str], dict[str, str]]:
        found: list[str] = []
        while True:
            status, fields, data = self.ask("GET", f"{path}?offset={offset}")
            assert status == 200, (path, status)
            found += json.loads(data)
            offset = fields["stream-next-offset"]
            if "stream-up-to-date" in fields:
                return found, fields

    def close(self) -> None:
        self._connection.close()


class Writer:
    def __init__(self, number: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = number
        self.families = 0
        self.prefix = ""
        self.makings = 0
        self.items = 0
        self.steps = 0
        self.state: State = {}
        self.doubt: Step | None = None
        self.places: Places = {}
        self.old: list[tuple[str, State, Places]] = []
        self.done: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        if self.families:
            self.old.append((self.prefix, self.state, self.places))
        self.families += 1
        self.prefix = f"/streams/family/{self.number}/{self.families}/"
        self.state, self.places, self.steps = {}, {}, 0

    # --- choosing -----------------------------------------------------------------------------

    def fresh(self) -> tuple[str, ...]:
        """A few messages that were never used."""
        first, self.items = self.items, self.items + self.random.randint(1, 4)
        size = self.random.choice((0, 30, 3000))
        return tuple(f"{self.number}:{number}:{'x' * size}" for number in range(first, self.items))

    def making(self) -> int:
        self.makings += 1
        return self.makings

    def choose(self) -> Step:
        live = sorted(name for name, known in self.state.items() if not known.deleted)
        chance = self.random.random()
        if not live or (chance < 0.1 and len(self.state) < MEMBERS):
            return self.make()
        name = self.random.choice(live)
        if chance < 0.3 and len(self.state) < MEMBERS:
            return self.fork(name)
        if chance < 0.45:
            return self.step("DELETE", name, 204, without(self.state, name))
        return self.append(name)

    def free(self) -> str:
        """A name that is nobody's; often one that was somebody's."""
        return self.random.choice([n for n in NAMES if n not in self.state])

    def step(
        self, method: str, name: str, status: int, after: State, body: bytes = b"",
        fields: dict[str, str] | None = None, *, is_batch: bool = False,
    ) -> Step:  # fmt: skip
        touched = changed(self.state, after)
        return Step(method, name, status, after, body, fields or {}, touched, is_batch)

    def make(self) -> Step:
        name, items = self.free(), self.random.choice(((), self.fresh()))
        closed = self.random.random() < 0.2
        after = with_stream(self.state, name, Known(self.making(), items, closed))
        fields = {**_JSON, **({"Stream-Closed": "true"} if closed else {})}
        body = json.dumps(items).encode() if items else b""
        return self.step("PUT", name, 201, after, body=body, fields=fields)

    def fork(self, source: str) -> Step:
        name, known = self.free(), self.state[source]
        fields = {"Stream-Forked-From": f"{self.prefix}{source}"}
        items = known.items
        places = self.places.get(known.making, {})
        if places and self.random.random() < 0.7:
            count = self.random.choice(sorted(places))
            beyond = self.random.randint(0, min(3, len(items) - count))
            fields["Stream-Fork-Offset"] = places[count]
            if beyond:
                fields["Stream-Fork-Sub-Offset"] = str(beyond)
            items = items[: count + beyond]
        own = self.random.choice(((), self.fresh()))
        if own:
            fields |= _JSON
        after = with_stream(self.state, name, Known(self.making(), (*items, *own), source=source))
        body = json.dumps(own).encode() if own else b""
        return self.step("PUT", name, 201, after, body=body, fields=fields)

    def append(self, name: str) -> Step:
        known = self.state[name]
        if known.closed:
            body = json.dumps(self.fresh()).encode()
            return self.step("POST", name, 409, self.state, body=body, fields=_JSON)
        closes = self.random.random() < 0.12
        items = () if closes and self.random.random() < 0.3 else self.fresh()
        after = replace(known, items=known.items + items, closed=closes)
        fields = dict(_JSON)
        if closes:
            fields["Stream-Closed"] = "true"
        if items and self.random.random() < 0.2:
            fields["Transfer-Encoding"] = "chunked"
        kind, status = self.random.random(), 204
        if kind < 0.5:
            epoch, seq = known.producer or (0, -1)
            if known.producer and self.random.random() < 0.15:
                epoch, seq = epoch + 1, -1
            after = replace(after, producer=(epoch, seq + 1), closed_by_batch=closes)
            fields |= producer(epoch, seq + 1)
            status = 200 if items else 204
        elif kind < 0.7:
            after = replace(after, writer_seq=known.writer_seq + 1)
            fields["Stream-Seq"] = f"{after.writer_seq:06d}"
        body = json.dumps(items).encode() if items else b""
        state = with_stream(self.state, name, after)
        return self.step("POST", name, status, state, body=body, fields=fields, is_batch=kind < 0.5)

    # --- working ------------------------------------------------------------------------------

    def work(self, server: Server, bomb: Bomb) -> None:
        client = Client(server, bomb)
        try:
            while not bomb.lit.is_set():
                if self.steps >= STEPS:
                    self.begin()
                self.take(client, self.choose())
        except _GONE:
            return
        finally:
            client.close()

    def take(self, client: Client, step: Step) -> None:
        self.steps += 1
        self.doubt = step
        path = self.prefix + step.name
        status, fields, body = client.ask(step.method, path, step.body, step.fields)
        assert status == step.status, (status, body, step)
        self.settle(step, fields)

    def settle(self, step: Step, fields: dict[str, str]) -> None:
        self.done[f"{step.method} {step.status}"] += 1
        self.state, self.doubt = step.after, None
        known = self.state.get(step.name)
        if known and not known.deleted:
            given = self.places.setdefault(known.making, {})
            given[len(known.items)] = fields["stream-next-offset"]

    # --- checking -----------------------------------------------------------------------------

    def check(self, client: Client) -> None:
        if (step := self.doubt) is not None:
            self.resolve(client, step)
        for name in NAMES:
            self.verify(client, self.prefix, name, self.state, self.places)
        for prefix, state, places in self.random.sample(self.old, min(2, len(self.old))):
            for name in NAMES:
                self.verify(client, prefix, name, state, places)

    def resolve(self, client: Client, step: Step) -> None:
        """Which of the two states it is; and then it is that one for good."""
        was = {n: seen(client, self.prefix + n) for n in sorted(step.touched)}
        before = all(was[n] == expected(self.state.get(n)) for n in was)
        after = all(was[n] == expected(step.after.get(n)) for n in was)
        assert before or after, (step, was)
        if not step.is_batch:
            fields = client.ask("HEAD", self.prefix + step.name)[1]
            self.done["kept" if after else "lost"] += 1
            if after:
                self.settle(step, fields)
            self.doubt = None
            return
        assert before != after
        status, fields, _ = client.ask("POST", self.prefix + step.name, step.body, step.fields)
        if step.body:
            assert status == (204 if after else 200), (status, step)
        self.done["batch " + ("known" if after else "taken")] += 1
        self.settle(step, fields)

    def verify(self, client: Client, prefix: str, name: str, state: State, places: Places) -> None:
        known = state.get(name)
        assert seen(client, prefix + name) == expected(known), (prefix, name, known)
        if known is None or known.deleted:
            return
        given = places.get(known.making)
        if given:
            count = self.random.choice(sorted(given))
            assert client.items(prefix + name, given[count])[0] == list(known.items[count:])
        makings = {one.making for one in state.values()}
        kept = {generation(t) for making in makings for t in places.get(making, {}).values()}
        stale = [t for all_ in places.values() for t in all_.values() if generation(t) not in kept]
        if stale:
            token = self.random.choice(stale)
            assert client.ask("GET", f"{prefix}{name}?offset={token}")[0] == 410
        probe(client, prefix + name, known)


def probe(client: Client, path: str, known: Known) -> None:
    """What the stream remembers of its writers, by requests that change nothing."""
    epoch, seq = known.producer or (0, -1)
    if known.closed:
        fields = {**_JSON, **producer(epoch, max(seq, 0)), "Stream-Closed": "true"}
        status = client.ask("POST", path, b'["never"]', fields)[0]
        assert status == (204 if known.closed_by_batch else 409), (path, known)
        return
    fields = {**_JSON, **producer(epoch, seq + 2)}
    status, answer, _ = client.ask("POST", path, b'["never"]', fields)
    assert (status, answer.get("producer-expected-seq")) == (409, str(seq + 1)), (path, known)
    if epoch:
        fields = {**_JSON, **producer(epoch - 1, 0)}
        assert client.ask("POST", path, b'["never"]', fields)[0] == 403
    if known.writer_seq:
        fields = {**_JSON, "Stream-Seq": f"{known.writer_seq:06d}"}
        assert client.ask("POST", path, b'["never"]', fields)[0] == 409


def seen(client: Client, path: str) -> tuple[int, list[str], bool]:
    status, fields, _ = client.ask("HEAD", path)
    if status != 200:
        return status, [], False
    return 200, client.items(path)[0], "stream-closed" in fields


def live_and_die(data: Path, writers: list[Writer], chance: random.Random) -> None:
    server = Server(*FLAGS, "--data", str(data))
    bomb = Bomb(chance.randint(1, LONGEST_LIFE))
    delay = chance.random() * LATEST / 1000
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
            bomb.lit.set()

    try:
        check_all(server, writers)
        threads = [
            threading.Thread(target=run, args=(lambda w=writer: w.work(server, bomb),))
            for writer in writers
        ]
        for thread in threads:
            thread.start()
        assert bomb.lit.wait(WITHIN)
        time.sleep(delay)
    finally:
        server.kill()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def check_all(server: Server, writers: list[Writer]) -> None:
    client = Client(server, Bomb(sys.maxsize))
    try:
        for writer in writers:
            writer.check(client)
    finally:
        client.close()


def die_while_starting(data: Path, after: float) -> None:
    command = [sys.executable, "-m", "tailrace", "serve", "--port", "0", *FLAGS]
    with subprocess.Popen(
        [*command, "--data", str(data)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        time.sleep(after)
        process.kill()


@pytest.mark.timeout(60 + 5 * KILLS)
def test_after_a_kill_each_request_happened_or_did_not_and_all_acknowledged_ones_did(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("TAILRACE_SEED", random.randrange(2**32)))
    print(f"TAILRACE_SEED={seed} TAILRACE_KILLS={KILLS}")
    chance = random.Random(seed)
    writers = [Writer(number, chance.randrange(2**32)) for number in range(WRITERS)]
    kills = 0
    while kills < KILLS:
        if chance.random() < 0.15:
            die_while_starting(tmp_path, chance.random() * LONGEST_START)
            kills += 1
        live_and_die(tmp_path, writers, chance)
        kills += 1
    server = Server(*FLAGS, "--data", str(tmp_path))
    try:
        check_all(server, writers)
    finally:
        server.kill()
    total: Counter[str] = sum((writer.done for writer in writers), Counter())
    print(f"{kills} kills, {dict(sorted(total.items()))}")
    assert total["PUT 201"] + total["POST 200"] >= KILLS
