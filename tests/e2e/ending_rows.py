"""What can end an answer: `ROWS` is the list, in the order of the tables of docs/endings.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

from tailrace.testing.apis import APIS, api_at
from tailrace.testing.chunks import MODEL
from tailrace.testing.exchange import ScriptedExchange
from tailrace.testing.faults import FAULTS, faults_of
from tailrace.testing.response_events import RESPONSE_ID
from tailrace.testing.script import STALL, Head, Raw, Script, Send, Step, Wait, script


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happens to an answer."""

    name: str
    note: str
    ending: str
    """How the streams that it happens to have to end; empty: there is none left to ask."""
    text: str = ""
    """What the answer had said by then."""
    script: str = "half"
    """What the upstream plays."""
    room: str = "patient"
    """Which server it happens to."""
    act: str = ""
    """What we do to it, once half of it is there: a method of ``ending_rooms._Acts``."""
    refused: bool = False
    """No answer begins: where a client waits to be told so by status, it is."""


HALF: Final = ("Wasser ", "läuft")
IMPATIENT: Final = ("stall", "stall-head", "stall-first-byte", "stall-in-event", "comments-only")
STATUSES: Final = ("400", "401", "429", "500", "503", "502-html", "307")
"""Refusals that are handed on where a client asks in the upstream's own API."""
_BROKEN: Final = (
    *("html", "json", "gzip", "no-content", "not-http", "garbage"),
    *("closes", "resets", "half-a-head", "endless-head"),
)
_REFUSED: Final = (*STATUSES, *_BROKEN, "stall-head")

# The endings that are not `completed`. Written by hand: what the code does is compared with it.
_ENDINGS: Final = {
    **dict.fromkeys(
        (
            "cut",
            "cut-in-event",
            "cut-after-finish",
            "reset",
            "no-done",
            "no-done-after-finish",
            "empty-body",
            "short-length",
            "eof-without-done",
            "bad-chunk-size",
        ),
        "cut",
    ),
    **dict.fromkeys(IMPATIENT, "stalled"),
    **dict.fromkeys(
        (
            "stall-head",  # no head: nothing of an answer was there to fall silent
            "malformed-event",
            "error-event",
            "error-event-first",
            "error-event-done",
            *STATUSES,
            *_BROKEN,
        ),
        "failed",
    ),
}


def _upstream_row(name: str) -> Row:
    fault = FAULTS[name]
    room = "impatient" if name in IMPATIENT else "patient"
    ending = _ENDINGS.get(name, "completed")
    refused = name in _REFUSED
    return Row(name, fault.note, ending, fault.text, script=name, room=room, refused=refused)


def _own_row(name: str, note: str, ending: str, room: str, act: str = "") -> Row:
    return Row(name, note, ending, "".join(HALF), room=room, act=act)


_OWN: Final = (
    Row(
        "event-over-max-event",
        "an event larger than `max_event`",
        "failed",
        script="oversized-event",
        room="impatient",
    ),
    _own_row("overtime", "more time than `total_timeout`", "stalled", "hurried"),
    Row(
        "unreachable",
        "nothing listens where the upstream should be",
        "failed",
        room="alone",
        refused=True,
    ),
    _own_row("stopped", "a client stops it: POST with `Stream-Closed: true`", "cancelled",
             "patient", "stop"),
    _own_row("unwatched", "everybody left, for longer than `unwatched_timeout`", "cancelled",
             "unwatched", "leave"),
    _own_row("deleted", "DELETE, while it is watched", "expired", "patient", "delete"),
    Row("deleted-before", "asked for after DELETE", "", act="ask_after_delete"),
    _own_row("shutdown", "our server is told to end (SIGTERM), while it is watched",
             "interrupted", "mortal", "terminate"),
    _own_row("shutdown-before", "asked for after that server's restart", "interrupted",
             "mortal", "ask_after_terminate"),
    _own_row("killed", "our server is killed (SIGKILL), while it is watched", "interrupted",
             "mortal", "kill"),
    _own_row("killed-before", "asked for after that server's restart", "interrupted",
             "mortal", "ask_after_kill"),
)  # fmt: skip

ROWS: Final[Mapping[str, Row]] = MappingProxyType(
    {row.name: row for row in (*map(_upstream_row, FAULTS), *_OWN)}
)


# --- what the upstream plays --------------------------------------------------------------------

LATE: Final = "late."
"""Before a row's name: a script that waits at the gate of its own name, and then plays the row."""


def played(row: Row, api: str) -> Script:
    """What the upstream answers in that API. Each row's Response has an id of its own."""
    if row.script == "half":
        answer = APIS[api].answer(HALF, MODEL)
        events = (*answer.opening, *answer.deltas)
        chosen = script(Head(), *[Send(event) for event in events], STALL)
    else:
        chosen = faults_of(api)[row.script].script
    if api != "responses":
        return chosen
    # Of the same length, since some of the scripts have lengths in them.
    identity = f"resp_{row.name:0<20}"[: len(RESPONSE_ID)].encode()
    return replace(chosen, steps=tuple(_renamed(step, identity) for step in chosen.steps))


def _renamed(step: Step, identity: bytes) -> Step:
    if not isinstance(step, Send | Raw):
        return step
    return replace(step, data=step.data.replace(RESPONSE_ID.encode(), identity))


def sent_body(row: Row, api: str) -> bytes:
    """What that answer has for a body."""
    return b"".join(step.data for step in played(row, api).steps if isinstance(step, Send))


def _reply(name: str, exchange: ScriptedExchange) -> Script:
    api = api_at(exchange.target).name
    plays = played(ROWS[name.removeprefix(LATE)], api)
    if not name.startswith(LATE):
        return plays
    return replace(plays, steps=(Wait(name), *plays.steps))


SCRIPTS: Final[Mapping[str, Callable[[ScriptedExchange], Script]]] = MappingProxyType(
    {name: partial(_reply, name) for row in ROWS for name in (row, f"{LATE}{row}")}
)
"""By the names of the rows, in the API that is asked."""

GATES: Final = frozenset(
    step.gate
    for row in ROWS.values()
    for step in played(row, "chat").steps
    if isinstance(step, Wait) and step.gate not in ("stall", "reset")
)
"""Those that stand in the way of an answer that is to come to its end."""
