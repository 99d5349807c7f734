"""The table of settings. Its rows are the fields of `Settings`; everything else follows.

From a row come the flag (``--max-body``), the variable (``TAILRACE_MAX_BODY``), the key in the
TOML file (``max_body``), the help text and the line in docs/configuration.md. To add a setting,
add a row here and run ``make format``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Final, Literal

from tailrace.config import kinds
from tailrace.config.row import ROW, Row, row

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_TIB: Final = 1 << 40
_DAY: Final = 86400.0
# Beyond this a duration is a slip of the pen, and timers of some platforms overflow.
_CENTURY: Final = 36500 * _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, with their defaults. Durations are seconds, sizes are bytes."""

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
        kinds.seconds(0, _DAY),
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

    upstream: str = row(
        "",
        kinds.base_url(),
        "Upstream",
        "Base URL of the model API, as SDKs take it, such as http://127.0.0.1:11434/v1.",
        unset="OpenAI if OPENAI_API_KEY is set, else the local model",
    )
    model: str = row(
        "",
        kinds.text(),
        "Upstream",
        "Model that /stream asks for when the request names none; a path to a .gguf file is "
        "loaded by the local model.",
        unset="a small one at OpenAI, elsewhere the first that the upstream lists",
    )
    upstream_api_key: str = row(
        "",
        kinds.credential(),
        "Upstream",
        "Key for the upstream, sent in place of the client's own; only from the environment, "
        "because flags show in process lists and files get committed.",
        unset="none",
        has_flag=False,
        in_file=False,
        secret=True,
    )
    upstream_api_key_env: str = row(
        "",
        kinds.text(),
        "Upstream",
        "Name of the environment variable that holds the upstream's key, where that is not "
        "TAILRACE_UPSTREAM_API_KEY.",
        unset="none",
    )
    connect_timeout: float = row(
        10.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long connecting to the upstream may take, TLS included; a host that is up answers "
        "within one or two retransmissions.",
    )
    first_byte_timeout: float = row(
        600.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long the upstream may take to begin its response; a queue or a cold model can take "
        "minutes.",
    )
    silence_timeout: float = row(
        300.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long the upstream may send nothing at all in mid-answer; a reasoning model may be "
        "silent for minutes, comments and pings count as life.",
    )
    total_timeout: float = row(
        3600.0,
        kinds.seconds(0.001, 7 * _DAY),
        "Upstream",
        "How long one answer may take in all; it only bounds what would otherwise never end.",
    )
    content_timeout: float = row(
        600.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long the upstream may send nothing of an answer, whatever comments and pings it "
        "sends: they keep a connection alive, and hide that what is behind it is dead.",
    )
    first_heartbeat: float = row(
        15.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "After so long without a word of the upstream a client is answered with 200 and "
        "heartbeats, because load balancers cut what is silent for 60 s; until then an error "
        "still has its own status.",
    )
    ask_usage: bool = row(
        True,
        kinds.switch(),
        "Upstream",
        "Ask the upstream how many tokens a streamed answer took, where the client does not "
        "(`stream_options`); it is noted, and not shown to a client who did not ask.",
    )
    retry_budget: float = row(
        3.0,
        kinds.seconds(0, 3600),
        "Upstream",
        "How long after a first failure an answer without a token yet may still be asked for "
        "again; people wait that long without a word; 0 asks once.",
    )
    retries: int = row(
        8,
        kinds.integer(0, 100),
        "Upstream",
        "How often a request may be asked again within that, of all upstreams together; one "
        "upstream that answers is asked twice at most.",
    )
    continue_answers: bool = row(
        False,
        kinds.switch(),
        "Upstream",
        "Ask another upstream for the rest of a chat's answer that breaks off, as text alone; the "
        "place is marked in the stream. Two models then speak in one answer. A request says "
        "otherwise with `Tailrace-Continue: true` or `false`.",
    )
    breaker: bool = row(
        True,
        kinds.switch(),
        "Upstream",
        "Leave an upstream that nearly always fails alone for a few seconds at a time while "
        "another one answers for the model; where none can be reached, say so at once.",
    )
    max_event: int = row(
        16 * _MIB,
        kinds.size(_KIB, _GIB),
        "Upstream",
        "Largest event taken from an upstream; images inside JSON reach several MiB.",
    )

    local_threads: int = row(
        0,
        kinds.integer(0, 1024),
        "Local model",
        "Threads for the local model.",
        unset="one for each core",
    )
    local_context: int = row(
        4096,
        kinds.integer(256, 1 << 24),
        "Local model",
        "Tokens of context of the local model, shared evenly by the two answers it can give at "
        "a time; the default model's cost 23 KiB of memory each.",
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

    disconnect: str = row(
        "",
        kinds.disconnect(),
        "Viewers",
        "What it means for an answer that everybody has left: `cancel` it at once, `keep` it for "
        "unwatched_timeout (or `keep=N` seconds), or `detach`: it runs to its end. A request "
        "says otherwise with `Tailrace-Disconnect`.",
        unset="`keep=1` below /v1 for clients that show no way to come back, else `keep`",
    )
    unwatched_timeout: float = row(
        60.0,
        kinds.seconds(0, _CENTURY),
        "Viewers",
        "How long an answer goes on that nobody watches; a reload or a tunnel takes less than "
        "a minute, and an unwatched answer costs money.",
    )
    viewer_stall: float = row(
        60.0,
        kinds.seconds(0.001, _DAY),
        "Viewers",
        "A viewer that takes no byte for so long does not count as watching.",
    )
    viewer_timeout: float = row(
        600.0,
        kinds.seconds(0.001, _DAY),
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
        kinds.seconds(0, _DAY),
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
        32 * _MIB,
        kinds.size(0, _GIB),
        "Limits",
        "Largest request body; a chat with a few images inside stays below.",
    )
    max_bodies: int = row(
        256 * _MIB,
        kinds.size(_MIB, 1024 * _GIB),
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
    max_upload: int = row(
        0,
        kinds.size(0, 1024 * _TIB),
        "Limits",
        "Largest request body that is passed on to the upstream as it is read, such as a file; it "
        "is never held here, so that `max_body` does not count for it.",
        unset="none; the upstream has its own",
    )
    max_assembled: int = row(
        64 * _MIB,
        kinds.size(_MIB, _TIB),
        "Limits",
        "Largest answer, by its events' bytes, that is put together to be read whole by its id, "
        "and all that are being sent so at a time; a larger one can be read as a stream.",
    )
    max_url: int = row(
        64 * _KIB,
        kinds.size(256, _MIB),
        "Limits",
        "Longest request target; /stream carries its prompt there.",
    )
    max_header: int = row(
        64 * _KIB,
        kinds.size(256, _MIB),
        "Limits",
        "Largest header section of a request; twice what most servers allow.",
    )
    window: int = row(
        256 * _KIB,
        kinds.size(_KIB, _GIB),
        "Limits",
        "Bytes at the end of each open stream that are kept in memory; readers further behind "
        "read the store.",
    )
    memory_limit: int = row(
        256 * _MIB,
        kinds.size(_MIB, _TIB),
        "Limits",
        "Bytes of events that `--store memory:` holds in all.",
    )

    store: str = row(
        "",
        kinds.text(),
        "Store",
        "Where streams live: `sqlite:PATH`, or `memory:`, which forgets at the end.",
        unset="tailrace.db in the data directory",
    )
    durability: Literal["full", "process"] = row(
        "full",
        kinds.choice("full", "process"),
        "Store",
        "What an acknowledged event survives: `full` is loss of power, `process` only the end of "
        "this process, at less cost to the disk.",
    )
    commit_interval: float = row(
        0.02,
        kinds.seconds(0, 10),
        "Store",
        "How long events may wait to be committed together: many share the cost of one commit, "
        "and what was shown is durable this much later.",
    )
    max_uncommitted: int = row(
        16 * _MIB,
        kinds.size(64 * _KIB, _TIB),
        "Store",
        "Bytes that may wait to be committed; beyond, answers pause and appends are refused.",
    )
    journal_limit: int = row(
        32 * _MIB,
        kinds.size(_MIB, _TIB),
        "Store",
        "Size of the journal at which open streams move into segments; it bounds recovery.",
    )
    retention_age: float = row(
        7 * _DAY,
        kinds.seconds(0.001, _CENTURY),
        "Store",
        "How long a chat's answer is kept after its end.",
    )
    retention_size: int = row(
        _GIB,
        kinds.size(0, 1024 * _TIB),
        "Store",
        "Bytes of chat answers kept in all; at the limit those that ended first go. In memory at "
        "most three quarters of memory_limit.",
    )
    erase_within: float = row(
        5.0,
        kinds.seconds(0, _DAY),
        "Store",
        "Deleted bytes are overwritten in the store's file within this time; prompts are private.",
    )


@cache
def rows() -> tuple[Row, ...]:
    """The table, in the order in which it is written."""
    return tuple(replace(item.metadata[ROW], key=item.name) for item in fields(Settings))
