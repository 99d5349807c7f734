"""Signals reach whoever handled them before, and us."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import pytest

from tailrace import Streams
from tailrace.embed.signals import Chain

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes cannot signal there")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_handler_is_chained_and_put_back() -> None:
    heard: list[str] = []

    def theirs(_number: int, _frame: FrameType | None) -> None:
        heard.append("theirs")

    signal.signal(signal.SIGTERM, theirs)
    chain = Chain(lambda: heard.append("ours"))
    chain.install()
    chain.install()
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == ["ours", "theirs"]
    chain.remove()
    assert signal.getsignal(signal.SIGTERM) is theirs


def test_a_later_handler_stays() -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    chain = Chain(lambda: None)
    chain.install()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    chain.remove()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_what_nobody_handles_is_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    chain = Chain(lambda: None)
    chain.install()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    chain.remove()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loops_own_handler_still_hears_it(loop: str) -> None:
    factory = pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else None

    async def main() -> None:
        heard = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
        async with Streams("memory:") as streams:
            handle = await streams.create("n")
            os.kill(os.getpid(), signal.SIGTERM)
            await heard.wait()
            with pytest.raises(Exception, match="ending"):
                async for _ in handle.follow():
                    pass
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
