"""The table of settings. Its rows are the fields of `Settings`; everything else follows.

From a row come the flag (``--max-body``), the variable (``TAILRACE_MAX_BODY``), the key in the
TOML file (``max_body``), the help text and the line in docs/configuration.md. To add a setting,
add a row here and run ``make format``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Final, Literal, TypeVar

from tailrace.config import kinds
from tailrace.config.kinds import Kind

T = TypeVar("T")

_ROW: Final = "tailrace row"
_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_TIB: Final = 1 << 40
_DAY: Final = 86400.0
# Beyond this a duration is a slip of the pen, and timers of some platforms overflow.
_CENTURY: Final = 36500 * _DAY


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: what it means and where it may come from."""

    kind: Kind[Any]
    default: Any
    section: str
    help: str
    unset: str
    """What the default amounts to, in words, where its spelling would not say it."""
    has_flag: bool
    in_file: bool
    secret: bool
    key: str = ""

    @property
    def flag(self) -> str | None:
        """Its command-line flag; None for what must not show in process lists."""
        return f"--{self.key.replace('_', '-')}" if self.has_flag else None

    @property
    def env(self) -> str:
        """Its environment variable."""
        return f"TAILRACE_{self.key.upper()}"

    @property
    def default_text(self) -> str:
        """The default as a person would write it."""
        return self.unset or self.kind.show(self.default)


def _row(
    default: T,
    kind: Kind[T],
    section: str,
    help: str,  # noqa: A002 -- the word that argparse and every reader knows
    *,
    unset: str = "",
    has_flag: bool = True,
    in_file: bool = True,
    secret: bool = False,
) -> T:
    """A dataclass field that carries its row. Typed as its value, as ``field`` itself is."""
    row = Row(kind, default, section, help, unset, has_flag, in_file, secret)
    declared: T = field(default=default, repr=not secret, metadata={_ROW: row})
    return declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, with their defaults. Durations are seconds, sizes are bytes."""

    host: str = _row(
        "127.0.0.1",
        kinds.text(),
        "Listening",
        "Address to listen on; beyond loopback a token is needed, because whoever can reach the "
        "port can spend the upstream's key.",
    )
    port: int = _row(
        8080,
        kinds.integer(0, 65535),
        "Listening",
        "Port to listen on; with 0 the system picks a free one, which is printed.",
    )
    data: str = _row(
        "",
        kinds.path(),
        "Listening",
        "Directory for the store and the lock; one server at a time may use it.",
        unset="the user's data directory",
    )
    config: str = _row(
        "",
        kinds.path(),
        "Listening",
        "TOML file with settings, one `key = value` a line.",
        unset="none",
        in_file=False,
    )
    plain_asgi: bool = _row(
        False,
        kinds.switch(),
        "Listening",
        "Write streams through ASGI alone, as under any other server, and not straight to the "
        "transport: costs more for each event; for comparing, and for finding faults.",
    )
    shutdown_timeout: float = _row(
        10.0,
        kinds.seconds(0, 3600),
        "Listening",
        "How long a graceful shutdown may take before what is left is aborted; container "
        "runtimes usually kill after 10 s.",
    )

    upstream: str = _row(
        "",
        kinds.base_url(),
        "Upstream",
        "Base URL of the model API, as SDKs take it, such as http://127.0.0.1:11434/v1.",
        unset="OpenAI if OPENAI_API_KEY is set, else the local model",
    )
    model: str = _row(
        "",
        kinds.text(),
        "Upstream",
        "Model that /stream asks for when the request names none; a path to a .gguf file is "
        "loaded by the local model.",
        unset="a small one at OpenAI, elsewhere the first that the upstream lists",
    )
    upstream_api_key: str = _row(
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
    upstream_api_key_env: str = _row(
        "",
        kinds.text(),
        "Upstream",
        "Name of the environment variable that holds the upstream's key, where that is not "
        "TAILRACE_UPSTREAM_API_KEY.",
        unset="none",
    )
    connect_timeout: float = _row(
        10.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long connecting to the upstream may take, TLS included; a host that is up answers "
        "within one or two retransmissions.",
    )
    first_byte_timeout: float = _row(
        600.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long the upstream may take to begin its response; a queue or a cold model can take "
        "minutes.",
    )
    silence_timeout: float = _row(
        300.0,
        kinds.seconds(0.001, _DAY),
        "Upstream",
        "How long the upstream may send nothing at all in mid-answer; a reasoning model may be "
        "silent for minutes, comments and pings count as life.",
    )
    total_timeout: float = _row(
        3600.0,
        kinds.seconds(0.001, 7 * _DAY),
        "Upstream",
        "How long one answer may take in all; it only bounds what would otherwise never end.",
    )
    max_event: int = _row(
        16 * _MIB,
        kinds.size(_KIB, _GIB),
        "Upstream",
        "Largest event taken from an upstream; images inside JSON reach several MiB.",
    )

    local_threads: int = _row(
        0,
        kinds.integer(0, 1024),
        "Local model",
        "Threads for the local model.",
        unset="one for each core",
    )
    local_context: int = _row(
        4096,
        kinds.integer(256, 1 << 24),
        "Local model",
        "Tokens of context of the local model, shared evenly by the two answers it can give at "
        "a time; the default model's cost 23 KiB of memory each.",
    )

    token: str = _row(
        "",
        kinds.credential(),
        "Access",
        "Token that clients must show (`Authorization: Bearer …`); not a flag, because flags "
        "show in process lists.",
        unset="none: on loopback, programs and our own pages need none",
        has_flag=False,
        secret=True,
    )
    insecure: bool = _row(
        False,
        kinds.switch(),
        "Access",
        "Serve beyond loopback without a token: anyone who reaches the port may ask and read.",
    )
    allowed_hosts: tuple[str, ...] = _row(
        (),
        kinds.hosts(),
        "Access",
        "Names, besides loopback and the bound address, that a request's Host may have; others "
        "are refused, which stops DNS rebinding.",
        unset="none",
    )
    cors_origins: tuple[str, ...] = _row(
        (),
        kinds.origins(),
        "Access",
        "Web origins, besides our own, whose pages may use this server; * is any.",
        unset="none",
    )

    unwatched_timeout: float = _row(
        60.0,
        kinds.seconds(0, _CENTURY),
        "Viewers",
        "How long an answer goes on that nobody watches; a reload or a tunnel takes less than "
        "a minute, and an unwatched answer costs money.",
    )
    viewer_stall: float = _row(
        60.0,
        kinds.seconds(0.001, _DAY),
        "Viewers",
        "A viewer that takes no byte for so long does not count as watching.",
    )
    viewer_timeout: float = _row(
        600.0,
        kinds.seconds(0.001, _DAY),
        "Viewers",
        "A viewer that takes no byte for so long is disconnected; it may come back to its place.",
    )
    heartbeat: float = _row(
        15.0,
        kinds.seconds(0.001, 3600),
        "Viewers",
        "After so much silence a viewer gets a heartbeat; proxies drop connections that are "
        "silent for 30 to 60 s.",
    )
    long_poll_timeout: float = _row(
        30.0,
        kinds.seconds(0.001, 3600),
        "Viewers",
        "How long a long-poll waits for news before it is answered with none; proxies cut what "
        "is silent for a minute.",
    )
    sse_lifetime: float = _row(
        60.0,
        kinds.seconds(0, _DAY),
        "Viewers",
        "After so long an event stream asked for with `live=sse` ends, and its client asks for "
        "the rest: a cache before us can then serve many with one; 0 lets it last.",
    )

    max_streams: int = _row(
        1_000_000,
        kinds.integer(1, 1_000_000_000),
        "Limits",
        "Streams that clients may have made at a time; each open one costs about 1.5 KiB of "
        "memory.",
    )
    max_producers: int = _row(
        1000,
        kinds.integer(1, 1_000_000),
        "Limits",
        "Idempotent producers that one stream remembers; some 400 bytes each.",
    )
    max_long_polls: int = _row(
        10_000,
        kinds.integer(1, 1_000_000),
        "Limits",
        "Long-polls that may wait at a time; each holds a connection.",
    )
    max_body: int = _row(
        32 * _MIB,
        kinds.size(0, _GIB),
        "Limits",
        "Largest request body; a chat with a few images inside stays below.",
    )
    max_url: int = _row(
        64 * _KIB,
        kinds.size(256, _MIB),
        "Limits",
        "Longest request target; /stream carries its prompt there.",
    )
    max_header: int = _row(
        64 * _KIB,
        kinds.size(256, _MIB),
        "Limits",
        "Largest header section of a request; twice what most servers allow.",
    )
    window: int = _row(
        256 * _KIB,
        kinds.size(_KIB, _GIB),
        "Limits",
        "Bytes at the end of each open stream that are kept in memory; readers further behind "
        "read the store.",
    )
    memory_limit: int = _row(
        256 * _MIB,
        kinds.size(_MIB, _TIB),
        "Limits",
        "Bytes of events that `--store memory:` holds in all.",
    )

    store: str = _row(
        "",
        kinds.text(),
        "Store",
        "Where streams live: `sqlite:PATH`, or `memory:`, which forgets at the end.",
        unset="tailrace.db in the data directory",
    )
    durability: Literal["full", "process"] = _row(
        "full",
        kinds.choice("full", "process"),
        "Store",
        "What an acknowledged event survives: `full` is loss of power, `process` only the end of "
        "this process, at less cost to the disk.",
    )
    commit_interval: float = _row(
        0.02,
        kinds.seconds(0, 10),
        "Store",
        "How long events may wait to be committed together: many share the cost of one commit, "
        "and what was shown is durable this much later.",
    )
    max_uncommitted: int = _row(
        16 * _MIB,
        kinds.size(64 * _KIB, _TIB),
        "Store",
        "Bytes that may wait to be committed; beyond, answers pause and appends are refused.",
    )
    journal_limit: int = _row(
        32 * _MIB,
        kinds.size(_MIB, _TIB),
        "Store",
        "Size of the journal at which open streams move into segments; it bounds recovery.",
    )
    retention_age: float = _row(
        7 * _DAY,
        kinds.seconds(0.001, _CENTURY),
        "Store",
        "How long a chat's answer is kept after its end.",
    )
    retention_size: int = _row(
        _GIB,
        kinds.size(0, 1024 * _TIB),
        "Store",
        "Bytes of chat answers kept in all; at the limit those that ended first go.",
    )
    erase_within: float = _row(
        5.0,
        kinds.seconds(0, _DAY),
        "Store",
        "Deleted bytes are overwritten in the store's file within this time; prompts are private.",
    )


@cache
def rows() -> tuple[Row, ...]:
    """The table, in the order in which it is written."""
    return tuple(replace(item.metadata[_ROW], key=item.name) for item in fields(Settings))
