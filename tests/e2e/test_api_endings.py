"""Every way an answer can end, at the endpoints of the three other APIs and in their views."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
import pytest

from tailrace.testing.faults import faults_of
from tailrace.testing.script import Cut, Framing, Head, Raw, Script, Send, script
from tailrace.testing.threaded import ThreadedUpstream
from tests.e2e.ending_readers import API_FRONTS, LAST, OWN_VIEW, Seen, events_of, views_of
from tests.e2e.ending_rooms import Observed, Rooms, answer, observe, rooms
from tests.e2e.ending_rows import ROWS, STATUSES, Row, played, sent_body
from tests.e2e.ending_tables import api_table, keep_true
from tests.e2e.harness import NEEDS_CONNECTION, Body, Viewer, fetch, serving

Happened = Callable[[str], Observed]

TYPED: Final = ("responses", "messages")
# Of these the server went away before it could say how it ended.
SPEECHLESS: Final = ("shutdown", "killed", "deleted-before")
# Of these the upstream's own last words are an error, which in typed streams are an event to keep.
REPORTED: Final = ("error-event", "error-event-first", "error-event-done")
READ: Final = [name for name, row in ROWS.items() if row.ending]
BEGUN: Final = [name for name, row in ROWS.items() if not (row.refused or row.act)]
REFUSED: Final = [name for name, row in ROWS.items() if row.refused]
WATCHED: Final = ("stopped", "deleted")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    with rooms(tmp_path_factory.mktemp("api_endings")) as all_rooms:
        yield all_rooms


@pytest.fixture(scope="module")
def happened(everything: Rooms) -> Happened:
    """Makes a row happen to an answer of each API at once, and once."""
    seen: dict[str, Observed] = {}

    def observed(name: str) -> Observed:
        if name not in seen:
            seen[name] = observe(everything, ROWS[name], API_FRONTS)
        return seen[name]

    return observed


def own_cell(api: str, row: Row) -> str:
    """What the API's own view has to end with."""
    if row.ending == "completed":
        return f"`{LAST[api].decode().partition(': ')[2]}`"
    if row.name in REPORTED and api in TYPED:
        failed = api == "responses" and row.name == "error-event-done"
        return f"`{'response.failed' if failed else 'error'}`, as it came"
    if api == "messages":
        return f"`error` {'overloaded' if row.ending == 'interrupted' else 'api'}_error"
    return f"`error` {row.ending}"


# --- endings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_a_stream_has_the_same_ending_in_every_api(happened: Happened, name: str) -> None:
    row, seen = ROWS[name], happened(name)
    told = row.ending not in ("", "expired") and name != "unreachable"
    assert seen.endings == (dict.fromkeys(API_FRONTS, row.ending) if told else {})


@pytest.mark.parametrize(
    "name", [name for name in READ if name not in (*SPEECHLESS, "unreachable")]
)
@pytest.mark.parametrize("api", API_FRONTS)
def test_every_view_tells_the_ending_and_only_a_whole_answer_looks_whole(
    happened: Happened, name: str, api: str
) -> None:
    row = ROWS[name]
    assert {view: seen.cell for view, seen in happened(name).views[api].items()} == {
        "sse": f"`end` {row.ending}",
        "ndjson": f"`end` {row.ending}",
        "text": "whole" if row.ending == "completed" else "cut",
        OWN_VIEW[api]: own_cell(api, row),
    }


@pytest.mark.parametrize("name", READ)
def test_no_word_of_the_model_is_lost_or_added_in_any_api(happened: Happened, name: str) -> None:
    row = ROWS[name]
    if row.script in faults_of("chat") and name != "event-over-max-event":
        assert {faults_of(api)[row.script].text for api in API_FRONTS} == {row.text}
    streams = {
        place: seen
        for place, seen in happened(name).all.items()
        if seen.status == 200 and not seen.cell.endswith("200, as it came")
    }
    assert streams or name == "unreachable"
    assert {place: seen.said for place, seen in streams.items()} == dict.fromkeys(streams, row.text)


@pytest.mark.parametrize("name", ROWS)
def test_the_end_of_an_answer_is_the_upstreams_own_and_never_forged(
    happened: Happened, name: str
) -> None:
    """Where a chunk was lost on the way, a typed stream has it all the same, and then an error."""
    row = ROWS[name]
    for place, seen in happened(name).all.items():
        api, _, view = place.removeprefix("/").partition(" ")
        owns = view in ("", OWN_VIEW[api]) and seen.status == 200
        lossy = name == "malformed-event" and api in TYPED
        whole = owns and (row.ending == "completed" or lossy)
        assert seen.body.data.count(LAST[api]) == int(whole), place
        for event in events_of(seen.body.data) if owns else ():
            if LAST[api] == b"event: %b" % event.type.encode():
                assert event.data in b"".join(
                    step.data for step in played(row, api).steps if isinstance(step, Send | Raw)
                )


@pytest.mark.parametrize("name", BEGUN)
def test_who_asked_sees_what_later_readers_of_that_view_see(happened: Happened, name: str) -> None:
    seen = happened(name)
    assert seen.links.keys() == set(API_FRONTS)
    assert len(set(seen.links.values())) == 3
    for api in API_FRONTS:
        assert seen.fronts[api].body == seen.views[api][OWN_VIEW[api]].body


def test_the_other_apis_answers_read_the_same_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    names = ("plain", "malformed-event", "cut", "error-event", "stopped")
    with rooms(tmp_path_factory.mktemp("restart")) as all_rooms:
        before = [observe(all_rooms, ROWS[name], API_FRONTS) for name in names]
        assert all_rooms.server("patient").terminate() == 0
        heir = all_rooms.start("patient")
        for seen in before:
            for api in API_FRONTS:
                for view in views_of(api):
                    again = fetch(heir, f"{seen.links[api]}?view={view}")
                    assert again == seen.views[api][view].body, (seen.row.name, api, view)
            again_by_id = answer(heir, "GET", f"/v1/responses/{seen.identity}")
            assert again_by_id == seen.retrieved, seen.row.name


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STATUSES)
def test_a_refusal_of_the_upstream_is_handed_on_in_every_api(happened: Happened, name: str) -> None:
    for api, seen in happened(name).fronts.items():
        assert seen.status == int(name.partition("-")[0])
        assert seen.body == Body(sent_body(ROWS[name], api), True)
        assert seen.fields.get("retry-after") == {"429": "7", "503": "1"}.get(name)


@pytest.mark.parametrize("name", [each for each in REFUSED if each not in STATUSES])
def test_a_refusal_of_ours_has_the_shape_of_the_apis_errors(happened: Happened, name: str) -> None:
    for api, seen in happened(name).fronts.items():
        if name in ("json", "no-content"):
            assert seen.cell == f"{200 if name == 'json' else 204}, as it came"
            continue
        assert (seen.status, seen.body.whole) == (504 if name == "stall-head" else 502, True)
        problem = json.loads(seen.body.data)
        error = problem.pop("error")
        assert isinstance(error.pop("message"), str)
        if api == "messages":
            assert (problem, error) == ({"type": "error"}, {"type": "api_error"})
        else:
            assert problem == {}
            assert error.pop("code").startswith("upstream_")
            assert error == {"type": "api_error", "param": None}


@pytest.mark.parametrize("name", [each for each in REFUSED if each != "unreachable"])
def test_a_refusal_that_comes_too_late_for_a_status_is_said_in_the_stream(
    happened: Happened, name: str
) -> None:
    seen = happened(name)
    for api in API_FRONTS:
        late = seen.late[api]
        assert (late.status, late.body) == (200, seen.views[api][OWN_VIEW[api]].body)


@pytest.mark.parametrize("name", [name for name in READ if name not in SPEECHLESS])
def test_an_error_of_ours_in_a_stream_has_the_shape_of_the_apis_errors(
    happened: Happened, name: str
) -> None:
    row = ROWS[name]
    for api, views in happened(name).views.items():
        if row.ending == "completed" or (name in REPORTED and api in TYPED):
            continue
        last = events_of(views[OWN_VIEW[api]].body.data)[-1]
        event = json.loads(last.data)
        error = event.pop("error")
        message = error.pop("message")
        assert message
        if api == "messages":
            assert (last.type, event) == ("error", {"type": "error"})
            assert error.keys() == {"type"}
            continue
        words = {"code": row.ending, "param": None}
        assert error == {**words, "type": f"stream_{row.ending}"}
        if api == "responses":
            assert last.type == "error"
            assert isinstance(event.pop("sequence_number"), int)
            assert event == {**words, "message": message, "type": "error"}
        else:
            assert (last.type, event) == ("", {})


@pytest.mark.parametrize(
    ("api", "end"),
    [
        ("completions", "[DONE]"),
        ("responses", "response.completed"),
        ("messages", "message_stop"),
    ],
)
def test_an_answer_that_stops_early_is_said_to_lack_the_end_that_its_api_knows(
    happened: Happened, api: str, end: str
) -> None:
    last = events_of(happened("no-done").views[api]["sse"].body.data)[-1]
    assert json.loads(last.data)["reason"] == f"The upstream's answer ended without {end}."


# --- ours ---------------------------------------------------------------------------------------


@NEEDS_CONNECTION
def test_a_server_that_is_told_to_end_says_so_in_the_apis_own_words(happened: Happened) -> None:
    cells = {place: seen.cell for place, seen in happened("shutdown").all.items()}
    for api in API_FRONTS:
        own = f"{own_cell(api, ROWS['shutdown'])}, cut"
        shown = [cells.pop(f"/{api}"), *(cells.pop(f"{api} {view}") for view in views_of(api))]
        assert shown == [own, "`retry`, cut", "cut", "cut", own]
    assert not cells


def test_a_server_that_is_killed_leaves_every_body_of_every_api_cut(happened: Happened) -> None:
    assert {seen.cell for seen in happened("killed").all.values()} == {"cut"}


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.act])
def test_what_we_end_ends_at_the_upstream_too_in_every_api(
    everything: Rooms, happened: Happened, name: str
) -> None:
    asked = happened(name).asked
    assert [each.target for each in asked] == [f"/v1/{api}" for api in API_FRONTS]
    assert all(everything.upstream.disconnected(each) for each in asked)


# --- the Response by its id ---------------------------------------------------------------------

STATUS: Final = {"completed": "completed", "cancelled": "cancelled"}


@pytest.mark.parametrize("name", READ)
def test_a_response_asked_for_by_its_id_says_truthfully_what_became_of_it(
    happened: Happened, name: str
) -> None:
    seen, row = happened(name), ROWS[name]
    status, response = seen.retrieved
    if not seen.identity:
        nothing_came = ("empty-body", "stall-first-byte", "comments-only", "error-event-first")
        assert row.refused or name in nothing_came
        return
    if row.ending == "expired":
        assert status == 404  # the upstream's own
        return
    assert (status, response["id"]) == (200, seen.identity)
    # The upstream's own last word on a whole answer, of which we lost a piece on the way.
    lossy = name == "malformed-event"
    assert response["status"] == ("completed" if lossy else STATUS.get(row.ending, "failed"))
    content = [part["text"] for item in response["output"] for part in item["content"]]
    reported = name == "error-event-done"  # an upstream's response.failed says itself what it has
    assert "".join(content) == ("" if reported else row.text)
    if response["status"] == "failed":
        assert response["error"]["code"] == "server_error"
        end = json.loads(
            events_of(fetch(seen.server, f"{seen.links['responses']}?view=sse").data)[-1].data
        )
        assert response["error"]["message"] in end["reason"]


@pytest.mark.parametrize("name", READ)
def test_to_cancel_an_answer_that_has_ended_changes_nothing_however_often(
    happened: Happened, name: str
) -> None:
    seen = happened(name)
    path = f"/v1/responses/{seen.identity}"
    for _ in range(2 if seen.retrieved[0] == 200 else 0):
        assert answer(seen.server, "POST", f"{path}/cancel") == seen.retrieved
    if seen.retrieved[0] == 200:
        assert answer(seen.server, "GET", path) == seen.retrieved


@pytest.mark.parametrize("name", READ)
def test_what_follows_a_number_is_the_rest_with_the_upstreams_numbers(
    happened: Happened, name: str
) -> None:
    seen = happened(name)
    if seen.retrieved[0] != 200:
        return
    whole = seen.views["responses"]["responses"].body.data
    if name in SPEECHLESS:  # what was seen then had no end
        whole = fetch(seen.server, f"{seen.links['responses']}?view=responses").data
    blocks = [block + b"\n\n" for block in whole.split(b"\n\n")[:-1]]
    ours = [not json.loads(block.split(b"data: ")[1]).get("error") for block in blocks].count(True)
    path = f"/v1/responses/{seen.identity}?stream=true&starting_after="
    for place in sorted({0, ours // 2, ours - 1}):
        number = json.loads(blocks[place].split(b"data: ")[1])["sequence_number"]
        assert fetch(seen.server, f"{path}{number}") == (b"".join(blocks[place + 1 :]), True)


# --- through the libraries ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def replay() -> Iterator[ThreadedUpstream]:
    with ThreadedUpstream() as upstream:
        yield upstream


def played_again(seen: Seen) -> Script:
    """A response as our server gave it."""
    head = Head(seen.status, (("content-type", seen.fields["content-type"]),), Framing.CHUNKED)
    end = () if seen.body.whole else (Cut(),)
    return Script((head, *([Send(seen.body.data)] if seen.body.data else []), *end))


def read_by_sdk(api: str, upstream: ThreadedUpstream) -> list[Any]:
    """What the API's official SDK yields of it."""
    if api == "messages":
        with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0) as claude:
            asked: list[Any] = [{"role": "user", "content": "Hi"}]
            return list(
                claude.messages.create(model="m", max_tokens=9, messages=asked, stream=True)
            )
    with openai.OpenAI(base_url=upstream.base_url, api_key="k", max_retries=0) as client:
        if api == "responses":
            return list(client.responses.create(model="m", input="Hi", stream=True))
        return list(client.completions.create(model="m", prompt="Hi", stream=True))


@pytest.mark.parametrize(
    "name", [name for name in READ if name not in ("oversized-event", "307", "json", "no-content")]
)
@pytest.mark.parametrize("api", API_FRONTS)
def test_an_official_sdk_raises_unless_the_answer_is_whole(
    happened: Happened, replay: ThreadedUpstream, api: str, name: str
) -> None:
    """But for an error of the upstream's that openai-python takes for an event: it yields it."""
    row, seen = ROWS[name], happened(name)
    shown = seen.fronts[api] if seen.fronts else seen.views[api][OWN_VIEW[api]]
    replay.script(played_again(shown))
    if row.ending == "completed" or (name in REPORTED and api == "responses"):
        events = read_by_sdk(api, replay)
        if api == "responses" and row.ending != "completed":
            assert events[-1].type in ("error", "response.failed")
        return
    # A connection that breaks is an exception of the HTTP library's, and none of the SDK's.
    broken = name == "killed"
    error = Exception if broken else (openai.APIError, anthropic.APIError)
    with pytest.raises(error) as raised:
        read_by_sdk(api, replay)
    if shown.status != 200:
        assert getattr(raised.value, "status_code", 0) == shown.status


# --- the page -----------------------------------------------------------------------------------


@NEEDS_CONNECTION
def test_the_page_shows_what_happens_in_every_api(happened: Happened) -> None:
    table = api_table(happened(name) for name in ROWS)
    keep_true("apis", table, "tests/e2e/test_api_endings.py")


def test_an_answer_whose_last_event_comes_with_the_close_ends_without_an_error_of_ours(
    tmp_path: Path,
) -> None:
    # Compiled, it was a TypeError: mypyc took the stream's source for what it had been before.
    last = b'event:response.completed\ndata:{"":{}}'
    upstream_ends = script(Head(framing=Framing.EOF), Send(last))
    with (
        ThreadedUpstream(upstream_ends) as upstream,
        serving(upstream.base_url, tmp_path) as server,
        Viewer(
            server,
            "POST",
            "/v1/responses",
            [("Content-Type", "application/json")],
            b'{"stream":true}',
        ) as viewer,
    ):
        assert viewer.head().status == 200
        assert b"response.completed" in viewer.rest().data
        assert "Traceback" not in server.output
