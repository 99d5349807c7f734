"""The child process in which the local model runs: ``python -m tailrace.upstream.local_worker``.

Standard input carries one line of JSON (``WorkerOrder``) and then stays open for as long as the
parent lives: its end is the portable sign that the parent is gone, however it went. Standard
output carries one line, the address of llama.cpp's server, once it answers. Standard error is
llama.cpp's.

It is a process of its own because a crash in native code must not take the server with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Final, Protocol, TypedDict

# Answers at a time. Two, so that a second tab or n=2 need not wait; on a few cores more only
# make each other slower, and each takes its share of the context.
_PARALLEL: Final = 2
# Errors only: with more, llama.cpp prints about each request, and we keep no such record.
_VERBOSITY: Final = 1
_PR_SET_PDEATHSIG: Final = 1


class WorkerOrder(TypedDict):
    """What the parent wants started."""

    weights: str
    alias: str
    port: int
    context: int
    threads: int
    api_key: str
    parent: int


class _Server(Protocol):
    """What we use of ``xllamacpp.Server``."""

    @property
    def listening_address(self) -> str: ...


def main() -> None:
    """Serve until standard input ends."""
    # Ctrl-C and service managers signal the whole group, but running answers must get their
    # honest end from the parent first; we go when it lets go of our standard input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    order: WorkerOrder = json.loads(sys.stdin.buffer.readline())
    if sys.platform == "linux":
        _die_with(order["parent"])
    try:
        server = _serve(order)
    except RuntimeError:
        # llama.cpp said why on standard error, and this exception only that it did.
        sys.exit(1)
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    while sys.stdin.buffer.read(4096):
        pass
    # Not sys.exit: llama.cpp would first finish the answers that nobody waits for.
    os._exit(0)


def _die_with(parent: int) -> None:
    """Let the kernel kill us with the parent even while the model loads.

    Loading holds the interpreter's lock, so that the end of standard input goes unnoticed
    until it is done; elsewhere than on Linux that is how long an orphan lives.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _serve(order: WorkerOrder) -> _Server:
    """Load the model and start llama.cpp's server, which runs until the result is dropped."""
    import xllamacpp  # noqa: PLC0415 -- an optional extra, wanted in this process only

    params = xllamacpp.CommonParams()
    params.model.path = order["weights"]
    params.model_alias = {order["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = order["port"]
    # Other users of this machine and web pages reach loopback too; they lack this key.
    params.api_keys = [order["api_key"]]
    params.cors_origins = ""
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = _VERBOSITY
    params.n_ctx = order["context"]
    params.n_parallel = _PARALLEL
    # llama.cpp's default keeps up to 8 GiB of earlier prompts.
    params.cache_ram_mib = 0
    if order["threads"]:
        params.cpuparams.n_threads = order["threads"]
        params.cpuparams_batch.n_threads = order["threads"]
    server: _Server = xllamacpp.Server(params)
    return server


if __name__ == "__main__":
    main()
