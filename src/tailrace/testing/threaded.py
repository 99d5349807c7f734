"""The scripted upstream in a thread of its own, for tests that run no event loop.

with ThreadedUpstream() as up:
    up.script(stream(chunk("Hi"), STALL_EVENTS...))
    subprocess.run(["curl", f"{up.base_url}/chat/completions", …])
    assert up.disconnected(up.request())
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from tailrace.testing.chunks import MODEL
from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.upstream import Reply, ScriptedUpstream

T = TypeVar("T")
# Beyond any wait of a test's own: only a broken loop gets here.
_PATIENCE = 60.0


class ThreadedUpstream:
    """A `ScriptedUpstream` with its own loop and thread; its methods may be called anywhere."""

    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread

    def __init__(
        self,
        default: Reply | None = None,
        scripts: Mapping[str, Reply] | None = None,
        *,
        models: Sequence[str] = (MODEL,),
    ) -> None:
        self._scripted = ScriptedUpstream(default, scripts, models=models)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-upstream")
        self._thread.start()
        try:
            self._run(self._scripted.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._run(self._scripted.close())
        finally:
            self._end()

    @property
    def url(self) -> str:
        """As `ScriptedUpstream.url`."""
        return self._scripted.url

    @property
    def base_url(self) -> str:
        """As `ScriptedUpstream.base_url`."""
        return self._scripted.base_url

    @property
    def requests(self) -> list[ScriptedExchange]:
        """Every request so far: a copy of the list."""
        return self._call(lambda: list(self._scripted.requests))

    @property
    def connections(self) -> int:
        """How many connections were ever made."""
        return self._call(lambda: self._scripted.connections)

    def script(self, *replies: Reply) -> None:
        """As `ScriptedUpstream.script`."""
        self._call(lambda: self._scripted.script(*replies))

    def add(self, name: str, reply: Reply) -> None:
        """Let requests name ``reply``."""
        self._call(lambda: self._scripted.scripts.update({name: reply}))

    def request(self, number: int = 1, within: float = 10.0) -> ScriptedExchange:
        """As `ScriptedUpstream.request`."""
        return self._run(self._scripted.request(number, within))

    def disconnected(self, exchange: ScriptedExchange, within: float = 10.0) -> bool:
        """As `Exchange.disconnected`."""
        return self._run(exchange.disconnected(within))

    def finished(self, exchange: ScriptedExchange, within: float = 10.0) -> bool:
        """As `Exchange.finished`."""
        return self._run(exchange.finished(within))

    def open(self, gate: str) -> None:
        """As `Gate.open`."""
        self._call(lambda: self._scripted.gate(gate).open())

    def admit(self, gate: str, count: int = 1) -> None:
        """As `Gate.admit`."""
        self._call(lambda: self._scripted.gate(gate).admit(count))

    def reached(self, gate: str, arrivals: int = 1, within: float = 10.0) -> None:
        """As `Gate.reached`."""
        self._run(self._scripted.gate(gate).reached(arrivals, within))

    def drop_idle(self) -> None:
        """As `ScriptedUpstream.drop_idle`."""
        self._call(self._scripted.drop_idle)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def _call(self, function: Callable[[], T]) -> T:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                done.set_result(function())
            except Exception as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(_PATIENCE)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
