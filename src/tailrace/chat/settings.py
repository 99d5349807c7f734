"""The settings of chat: rows of the one table, as `tailrace.config.settings` describes them."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.config import kinds
from tailrace.config.row import row
from tailrace.config.units import CENTURY, DAY, GIB, KIB, MIB, TIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """What can be set of answers and of the upstreams that give them."""

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
        kinds.seconds(0.001, DAY),
        "Upstream",
        "How long connecting to the upstream may take, TLS included; a host that is up answers "
        "within one or two retransmissions.",
    )
    first_byte_timeout: float = row(
        600.0,
        kinds.seconds(0.001, DAY),
        "Upstream",
        "How long the upstream may take to begin its response; a queue or a cold model can take "
        "minutes.",
    )
    silence_timeout: float = row(
        300.0,
        kinds.seconds(0.001, DAY),
        "Upstream",
        "How long the upstream may send nothing at all in mid-answer; a reasoning model may be "
        "silent for minutes, comments and pings count as life.",
    )
    total_timeout: float = row(
        3600.0,
        kinds.seconds(0.001, 7 * DAY),
        "Upstream",
        "How long one answer may take in all; it only bounds what would otherwise never end.",
    )
    content_timeout: float = row(
        600.0,
        kinds.seconds(0.001, DAY),
        "Upstream",
        "How long the upstream may send nothing of an answer, whatever comments and pings it "
        "sends: they keep a connection alive, and hide that what is behind it is dead.",
    )
    first_heartbeat: float = row(
        15.0,
        kinds.seconds(0.001, DAY),
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
        16 * MIB,
        kinds.size(KIB, GIB),
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
        kinds.seconds(0, CENTURY),
        "Viewers",
        "How long an answer goes on that nobody watches; a reload or a tunnel takes less than "
        "a minute, and an unwatched answer costs money.",
    )
    viewer_stall: float = row(
        60.0,
        kinds.seconds(0.001, DAY),
        "Viewers",
        "A viewer that takes no byte for so long does not count as watching.",
    )

    max_upload: int = row(
        0,
        kinds.size(0, 1024 * TIB),
        "Limits",
        "Largest request body that is passed on to the upstream as it is read, such as a file; it "
        "is never held here, so that `max_body` does not count for it.",
        unset="none; the upstream has its own",
    )

    max_assembled: int = row(
        64 * MIB,
        kinds.size(MIB, TIB),
        "Limits",
        "Largest answer, by its events' bytes, that is put together to be read whole by its id, "
        "and all that are being sent so at a time; a larger one can be read as a stream.",
    )

    retention_age: float = row(
        7 * DAY,
        kinds.seconds(0.001, CENTURY),
        "Store",
        "How long a chat's answer is kept after its end.",
    )
    retention_size: int = row(
        GIB,
        kinds.size(0, 1024 * TIB),
        "Store",
        "Bytes of chat answers kept in all; at the limit those that ended first go. In memory at "
        "most three quarters of memory_limit.",
    )
