"""The settings of the core. A use has a table of its own, such as `tailrace.chat.settings`.

From a row come the flag (``--max-body``), the variable (``TAILRACE_MAX_BODY``), the key in the
TOML file (``max_body``), the help text and the line in docs/configuration.md. To add a setting,
add a row to the table that it belongs to and run ``make format``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tailrace.config import kinds
from tailrace.config.row import row
from tailrace.config.units import DAY, GIB, KIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The core's settings, with their defaults. Durations are seconds, sizes are bytes."""

    host: str = row(
        "127.0.0.1",
        kinds.text(),
        "Listening",
        "Address or name to listen on; localhost is 127.0.0.1 and ::1. Beyond loopback a token is "
        "needed, because whoever can reach the port can spend the upstream's key.",
    )
    port: int = row(
        8080,
        kinds.integer(0, 65535),
        "Listening",
        "Port to listen on; with 0 the system picks a free one, which is printed.",
    )
    uds: str = row(
        "",
        kinds.path(),
        "Listening",
        "Path of a Unix socket to listen on, in place of host and port; removed at the end.",
        unset="none",
    )
    uds_mode: str = row(
        "0600",
        kinds.mode(),
        "Listening",
        "Permission bits of that socket: who may write to it may use the server; 0660 lets a "
        "proxy of the same group in.",
    )
    fd: str = row(
        "",
        kinds.descriptor(),
        "Listening",
        "Descriptor of a socket that whoever starts the server has opened, in place of host and "
        "port; systemd's first is 3.",
        unset="none",
    )
    data: str = row(
        "",
        kinds.path(),
        "Listening",
        "Directory for the store, unless `store` names one; a store has one server at a time.",
        unset="the user's data directory",
    )
    config: str = row(
        "",
        kinds.path(),
        "Listening",
        "TOML file with settings, one `key = value` a line.",
        unset="none",
        in_file=False,
    )
    log_format: Literal["text", "json"] = row(
        "text",
        kinds.choice("text", "json"),
        "Listening",
        "How requests and answers are logged: a line of text each, or a JSON object.",
    )
    plain_asgi: bool = row(
        False,
        kinds.switch(),
        "Listening",
        "Write streams through ASGI alone, as under any other server, and not straight to the "
        "transport: costs more for each event; for comparing, and for finding faults.",
    )
    keepalive_timeout: float = row(
        75.0,
        kinds.seconds(0, DAY),
        "Listening",
        "How long a connection may be idle between two requests; longer than the 60 s for which "
        "load balancers keep theirs, else they send a request into a connection that we close.",
    )
    shutdown_timeout: float = row(
        10.0,
        kinds.seconds(0, 3600),
        "Listening",
        "How long a graceful shutdown may take before what is left is aborted; container "
        "runtimes usually kill after 10 s.",
    )

    token: str = row(
        "",
        kinds.credential(),
        "Access",
        "Token that clients must show (`Authorization: Bearer …`); not a flag, because flags "
        "show in process lists.",
        unset="none: on loopback, programs and our own pages need none",
        has_flag=False,
        secret=True,
    )
    insecure: bool = row(
        False,
        kinds.switch(),
        "Access",
        "Serve beyond loopback without a token: anyone who reaches the port may ask and read.",
    )
    allowed_hosts: tuple[str, ...] = row(
        (),
        kinds.hosts(),
        "Access",
        "Names, besides loopback and the bound address, that a request's Host may have; others "
        "are refused, which stops DNS rebinding.",
        unset="none",
    )
    cors_origins: tuple[str, ...] = row(
        (),
        kinds.origins(),
        "Access",
        "Origins, besides our own, whose pages may use this server, such as "
        "https://chat.example.org, app://obsidian.md or chrome-extension://ID; * is any, but for "
        "null.",
        unset="none",
    )

    viewer_timeout: float = row(
        600.0,
        kinds.seconds(0.001, DAY),
        "Viewers",
        "A viewer that takes no byte for so long is disconnected; it may come back to its place.",
    )
    heartbeat: float = row(
        15.0,
        kinds.seconds(0.001, 3600),
        "Viewers",
        "After so much silence a viewer gets a heartbeat; proxies drop connections that are "
        "silent for 30 to 60 s.",
    )
    long_poll_timeout: float = row(
        30.0,
        kinds.seconds(0.001, 3600),
        "Viewers",
        "How long a long-poll waits for news before it is answered with none; proxies cut what "
        "is silent for a minute.",
    )
    sse_lifetime: float = row(
        60.0,
        kinds.seconds(0, DAY),
        "Viewers",
        "After so long an event stream asked for with `live=sse` ends, and its client asks for "
        "the rest: a cache before us can then serve many with one; 0 lets it last.",
    )

    max_streams: int = row(
        1_000_000,
        kinds.integer(1, 1_000_000_000),
        "Limits",
        "Streams that clients may have made at a time; each open one costs about 1.5 KiB of "
        "memory.",
    )
    max_producers: int = row(
        1000,
        kinds.integer(1, 1_000_000),
        "Limits",
        "Idempotent producers that one stream remembers; some 400 bytes each.",
    )
    max_long_polls: int = row(
        10_000,
        kinds.integer(1, 1_000_000),
        "Limits",
        "Long-polls that may wait at a time; each holds a connection.",
    )
    max_body: int = row(
        32 * MIB,
        kinds.size(0, GIB),
        "Limits",
        "Largest request body; a chat with a few images inside stays below.",
    )
    max_bodies: int = row(
        256 * MIB,
        kinds.size(MIB, 1024 * GIB),
        "Limits",
        "Bytes of all request bodies held at a time, those that wait for an upstream among them; "
        "beyond it requests get 503 before their bodies are read.",
    )
    max_messages: int = row(
        10_000,
        kinds.integer(1, 1_000_000),
        "Limits",
        "Messages in one append to a JSON stream; each is an event, and costs some 500 bytes.",
    )
    max_url: int = row(
        64 * KIB,
        kinds.size(256, MIB),
        "Limits",
        "Longest request target; /stream carries its prompt there.",
    )
    max_header: int = row(
        64 * KIB,
        kinds.size(256, MIB),
        "Limits",
        "Largest header section of a request; twice what most servers allow.",
    )
    window: int = row(
        256 * KIB,
        kinds.size(KIB, GIB),
        "Limits",
        "Bytes at the end of each open stream that are kept in memory; readers further behind "
        "read the store.",
    )

    store: str = row(
        "",
        kinds.text(),
        "Store",
        "Where streams live: `sqlite:PATH`, or `memory:`, which forgets at the end.",
        unset="tailrace.db in the data directory",
    )
