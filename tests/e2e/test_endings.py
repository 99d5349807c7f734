"""Every way an answer can end, as every endpoint and view shows it, and the page that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tailrace.testing.faults import FAULTS
from tests.e2e.ending_readers import CHAT_FRONTS, LAST, views_of
from tests.e2e.ending_rooms import Observed, Rooms, observe, rooms
from tests.e2e.ending_rows import ROWS, STATUSES
from tests.e2e.ending_tables import chat_table, keep_true
from tests.e2e.harness import NEEDS_CONNECTION, fetch

Happened = Callable[[str], Observed]

# Where the upstream answers at all, and with an event stream, an answer begins at every endpoint.
_BEGUN: Final = tuple(
    name
    for name, row in ROWS.items()
    if (not row.act and row.ending != "failed") or name in ("malformed-event", "error-event")
)
# Of these the server went away before it could say how it ended.
_SPEECHLESS: Final = ("shutdown", "killed", "deleted-before")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with rooms(tmp_path_factory.mktemp("endings")) as all_rooms:
        yield all_rooms


@pytest.fixture(scope="module")
def happened(everything: Rooms) -> Happened:
    """Makes a row happen, once."""
    seen: dict[str, Observed] = {}

    def observed(name: str) -> Observed:
        if name not in seen:
            seen[name] = observe(everything, ROWS[name], CHAT_FRONTS)
        return seen[name]

    return observed


def test_every_fault_has_a_row_and_every_ending_is_there() -> None:
    assert FAULTS.keys() < ROWS.keys()
    assert {row.ending for row in ROWS.values()} == {
        "",
        "completed",
        "cancelled",
        "failed",
        "cut",
        "stalled",
        "interrupted",
        "expired",
    }


@pytest.mark.parametrize("name", ROWS)
def test_a_stream_has_the_one_ending_that_it_ought_to_have(happened: Happened, name: str) -> None:
    row, seen = ROWS[name], happened(name)
    expected = set() if row.ending in ("", "expired") else {row.ending}
    assert set(seen.endings.values()) == expected
    assert seen.endings.keys() == (seen.links.keys() if expected else set())


@pytest.mark.parametrize("name", [name for name in ROWS if name not in _SPEECHLESS])
def test_every_view_tells_the_ending_and_only_a_whole_answer_looks_whole(
    happened: Happened, name: str
) -> None:
    ending = ROWS[name].ending
    whole = ending == "completed"
    cells = {view: seen.cell for view, seen in happened(name).views["chat"].items()}
    assert cells == {
        "sse": f"`end` {ending}",
        "ndjson": f"`end` {ending}",
        "text": "whole" if whole else "cut",
        "openai": "`[DONE]`" if whole else f"`error` {ending}",
    }


@pytest.mark.parametrize("name", ROWS)
def test_done_is_said_where_the_answer_is_whole_and_never_forged(
    happened: Happened, name: str
) -> None:
    seen = happened(name)
    for place, answer in seen.all.items():
        said = answer.body.data.count(LAST["chat"])
        ours = place in ("chat openai", "/v1") and ROWS[name].ending == "completed"
        assert said == int(ours), place


@pytest.mark.parametrize("name", ROWS)
def test_no_word_of_the_model_is_lost_or_added(happened: Happened, name: str) -> None:
    seen = happened(name)
    # A refusal has no words of the model's; what made a stream has all that came.
    streams = [place for place in seen.all if seen.all[place].status == 200]
    if name == "json":
        streams.remove("/v1")  # handed on as it came: no stream
    assert streams or name == "deleted-before"
    for place in streams:
        assert seen.all[place].said == ROWS[name].text, place


@pytest.mark.parametrize("name", _BEGUN)
def test_who_asked_sees_what_later_readers_see(happened: Happened, name: str) -> None:
    seen = happened(name)
    fronts, views = seen.fronts, seen.views["chat"]
    assert seen.links.keys() == set(CHAT_FRONTS)
    assert len(set(seen.links.values())) == 3
    assert fronts["stream"].body == views["text"].body
    assert fronts["v1"].body == views["openai"].body
    greeting, _, rest = fronts["events"].body.data.partition(b"\n\n")
    assert b"event: stream" in greeting
    assert (rest, fronts["events"].body.whole) == views["sse"].body


@NEEDS_CONNECTION
def test_a_server_that_is_told_to_end_sends_readers_away_to_come_back(happened: Happened) -> None:
    seen = happened("shutdown")
    assert {place: answer.cell for place, answer in seen.all.items()} == {
        **dict.fromkeys(("/events", "chat sse"), "`retry`, cut"),
        **dict.fromkeys(("/stream", "chat text", "chat ndjson"), "cut"),
        **dict.fromkeys(("/v1", "chat openai"), "`error` interrupted, cut"),
    }


def test_a_server_that_is_killed_leaves_every_body_cut(happened: Happened) -> None:
    assert {answer.cell for answer in happened("killed").all.values()} == {"cut"}


@pytest.mark.parametrize("name", STATUSES)
def test_a_refusal_is_502_where_we_ask_and_handed_on_where_a_client_does(
    happened: Happened, name: str
) -> None:
    fronts = happened(name).fronts
    assert fronts["stream"].cell == "502 `upstream_refused`"
    assert fronts["events"].cell == "`end` failed"
    assert fronts["v1"].cell == f"{name.partition('-')[0]}, as it came"


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.act])
def test_what_we_end_ends_at_the_upstream_too(
    everything: Rooms, happened: Happened, name: str
) -> None:
    asked = happened(name).asked
    assert len(asked) == 3
    assert all(everything.upstream.disconnected(each) for each in asked)


def test_endings_read_the_same_after_a_restart(tmp_path: Path) -> None:
    names = ("plain", "malformed-event", "cut", "error-event", "429", "html", "stopped")
    with rooms(tmp_path) as all_rooms:
        before = {name: observe(all_rooms, ROWS[name], CHAT_FRONTS) for name in names}
        assert all_rooms.server("patient").terminate() == 0
        heir = all_rooms.start("patient")
        for name, seen in before.items():
            for view in views_of("chat"):
                again = fetch(heir, f"{seen.links['events']}?view={view}")
                assert again == seen.views["chat"][view].body, (name, view)


@NEEDS_CONNECTION
def test_the_page_shows_what_happens(happened: Happened) -> None:
    table = chat_table(happened(name) for name in ROWS)
    keep_true("table", table, "tests/e2e/test_endings.py")
