"""A program for the runner's tests.

``python streaming_server.py obedient|stubborn TIMEOUT [KEEPALIVE]``

Prints its port when it is ready and what happens to it. ``/short`` is answered, ``/`` streams for
ever; the obedient
application ends its streams when asked to drain, the stubborn one never returns from drain.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tailrace.cli import listener, runner
from tailrace.cli.signals import stop_on_signals


class Endless:
    def __init__(self, obedient: bool) -> None:
        self.obedient = obedient
        self.drained = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/short":
            await send({"type": "http.response.body", "body": b"short\n"})
            return
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        try:
            await self.drained.wait()
            await send({"type": "http.response.body", "body": b"farewell\n"})
        finally:
            print("request over", flush=True)

    async def drain(self, timeout: float) -> None:
        print("draining", flush=True)
        if not self.obedient:
            await asyncio.Event().wait()
        self.drained.set()


async def main() -> None:
    stop = asyncio.Event()
    listening = listener.listen("127.0.0.1", 0)
    port = listening.port
    with stop_on_signals(lambda signal: stop.set()):
        await runner.serve(
            Endless(sys.argv[1] == "obedient"),
            listening.sockets,
            protocol=HttpToolsProtocol,
            stop=stop,
            keepalive_timeout=float((*sys.argv, "75")[3]),
            shutdown_timeout=float(sys.argv[2]),
            ready=lambda: print(port, flush=True),
        )
    print("flushed", flush=True)


with asyncio.Runner(loop_factory=runner.loop_factory()) as loop:
    loop.run(main())
