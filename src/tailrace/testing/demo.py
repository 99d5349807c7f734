"""The scripted upstream on its own: Tailrace without any model, and load for a benchmark.

    python -m tailrace.testing --rate 20 --tokens 200

prints its base URL and answers every chat completion with as many words as ``--tokens`` says,
``--rate`` of them a second, until it is interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import Sequence
from typing import Final

from tailrace.testing.chunks import MODEL, chat_chunks, completion
from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.script import Script, respond, stream
from tailrace.testing.upstream import Reply, ScriptedUpstream

_SENTENCE: Final = (
    "The ", "water ", "that ", "has ", "done ", "its ", "work ", "runs ", "off ", "through ",
    "the ", "tailrace", "; ", "nobody ", "has ", "to ", "stand ", "by ", "the ", "wheel ",
    "to ", "see ", "all ", "of ", "it ", "pass", ". ", "水も ", "言葉も ", "流れる ", "🌊\n",
)  # fmt: skip
"""Two scripts and an emoji, so that a broken UTF-8 path shows at once."""


def words(tokens: int, rate: float) -> Reply:
    """An answer of ``tokens`` words at ``rate`` a second, or as fast as it goes at rate 0."""
    texts = tuple(itertools.islice(itertools.cycle(_SENTENCE), tokens))

    def make(exchange: ScriptedExchange) -> Script:
        asked = exchange.asked
        model = asked.get("model") or MODEL
        if not exchange.streaming:
            return respond(200, completion(texts, model=model))
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        events = chat_chunks(texts, include_usage=usage, model=model)
        return stream(*events, delay=1 / rate if rate else 0.0)

    return make


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted; gives the exit status."""
    options = _parser().parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, words(options.tokens, options.rate)))
    return 0


async def _serve(port: int, reply: Reply) -> None:
    stopped = asyncio.Event()
    # Windows' loops have no signal handlers; there Ctrl-C is a KeyboardInterrupt.
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with ScriptedUpstream(reply, port=port) as upstream:
        sys.stdout.write(f"{upstream.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tailrace.testing",
        description="An OpenAI-compatible upstream without a model, on a loopback port.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose (default)")
    parser.add_argument("--tokens", type=int, default=200, help="words in an answer (200)")
    parser.add_argument("--rate", type=float, default=20, help="words a second, 0: no limit (20)")
    return parser
