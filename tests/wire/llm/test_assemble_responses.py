"""A streamed Response put together is what it would have been without streaming."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import EndingKind
from tailrace.wire.llm.apis import RESPONSES
from tailrace.wire.llm.assemble_responses import ResponseAssembly
from tailrace.wire.llm.records import AnswerParser

CAPTURE = Path(__file__).with_name("data") / "responses.sse"
BEGUN = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
Json = dict[str, Any]


def assembled(events: list[Any]) -> ResponseAssembly:
    assembly = ResponseAssembly()
    for event in events:
        assembly.add(event if isinstance(event, bytes) else json.dumps(event).encode())
    return assembly


def event(kind: str, **members: object) -> Json:
    return {"type": f"response.{kind}", **members}


def captured() -> list[bytes]:
    records = AnswerParser(RESPONSES.grammar, 1 << 20).feed(CAPTURE.read_bytes())
    return [record.data for record in records]


def test_a_real_answer_is_the_response_of_its_last_event() -> None:
    events = captured()
    whole = json.loads(events[-1])["response"]
    assert assembled(events).result(EndingKind.COMPLETED, "") == whole


def test_a_real_answer_without_its_last_event_is_nearly_the_same() -> None:
    events = captured()
    whole = json.loads(events[-1])["response"]
    made = assembled(events[:-1]).result(None, "")
    assert made == {**BEGUN, "id": whole["id"], "output": whole["output"]}


def test_a_real_answer_that_was_cut_has_the_text_that_came() -> None:
    events = captured()[:8]
    made = assembled(events).result(EndingKind.CUT, "")
    (item,) = made["output"]
    assert item["content"] == [{"type": "output_text", "text": "Hello. I'm"}]
    assert item["status"] == "incomplete"
    assert made["status"] == "failed"
    assert made["error"] == {"code": "server_error", "message": "The answer ended: cut."}


# --- generated answers --------------------------------------------------------------------------

TEXT = st.text(max_size=10)
PARTS = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("output_text"),
            "text": TEXT,
            "annotations": st.lists(st.fixed_dictionaries({"url": TEXT}), max_size=2),
        }
    ),
    st.fixed_dictionaries({"type": st.just("refusal"), "refusal": TEXT}),
)
SUMMARIES = st.fixed_dictionaries({"type": st.just("summary_text"), "text": TEXT})
REASONING = st.fixed_dictionaries({"type": st.just("reasoning_text"), "text": TEXT})
ITEMS = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("message"),
            "status": st.just("in_progress"),
            "role": st.just("assistant"),
            "content": st.lists(PARTS, max_size=2),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("reasoning"),
            "summary": st.lists(SUMMARIES, max_size=2),
            "content": st.lists(REASONING, max_size=2),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("function_call"), "name": st.just("f"), "arguments": TEXT}
    ),
    st.fixed_dictionaries({"type": st.just("custom_tool_call"), "input": TEXT}),
    st.fixed_dictionaries({"type": st.just("code_interpreter_call"), "code": TEXT}),
)
DELTAS = {
    "output_text": ("output_text", "text"),
    "refusal": ("refusal", "refusal"),
    "summary_text": ("reasoning_summary_text", "text"),
    "reasoning_text": ("reasoning_text", "text"),
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
    "code_interpreter_call": ("code_interpreter_call_code", "code"),
}


def cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def told(draw: st.DrawFn, value: Json, where: Json) -> list[Json]:
    """The deltas of one text, sometimes with the whole of it behind."""
    subject, member = DELTAS[value["type"]]
    events = [event(f"{subject}.delta", **where, delta=each) for each in cut(draw, value[member])]
    if draw(st.booleans()):
        events.append(event(f"{subject}.done", **where, **{member: value[member]}))
    return events


def streamed(draw: st.DrawFn, place: int, item: Json, indices: bool) -> list[Json]:
    where: Json = {"item_id": item["id"], **({"output_index": place} if indices else {})}
    begun = copy.deepcopy(item)
    events: list[Json] = []
    for holder, index, added in (
        ("content", "content_index", "content_part"),
        ("summary", "summary_index", "reasoning_summary_part"),
    ):
        for number, part in enumerate(item.get(holder, ())):
            at = {**where, **({index: number} if indices else {})}
            _, member = DELTAS[part["type"]]
            empty = {**part, member: ""}
            annotations = empty.pop("annotations", None)
            if annotations is not None:
                empty["annotations"] = []
            events.append(event(f"{added}.added", **at, part=empty))
            events += told(draw, part, at)
            events += [
                event("output_text.annotation.added", **at, annotation=each)
                for each in annotations or ()
            ]
            if draw(st.booleans()):
                events.append(event(f"{added}.done", **at, part=part))
        if holder in begun:
            begun[holder] = []
    if item["type"] in DELTAS:
        begun[DELTAS[item["type"]][1]] = ""
        events += told(draw, item, where)
    first = event("output_item.added", item=begun, **({"output_index": place} if indices else {}))
    done = event("output_item.done", item=item, **({"output_index": place} if indices else {}))
    return [first, *events, *([done] if draw(st.booleans()) else [])]


@given(st.lists(ITEMS, max_size=3), st.booleans(), st.data())
def test_what_was_streamed_is_what_would_have_been(
    items: list[Json], indices: bool, data: Any
) -> None:
    for place, item in enumerate(items):
        item["id"] = f"item_{place}"
    queues = [streamed(data.draw, place, item, indices) for place, item in enumerate(items)]
    events = [event("created", response=BEGUN), event("in_progress", response=BEGUN)]
    for queue in queues:
        events += queue
    assert assembled(events).result(None, "") == {**BEGUN, "output": items}
    completed = {**BEGUN, "status": "completed", "output": items, "usage": {"input_tokens": 1}}
    events.append(event("completed", response=completed))
    assert assembled(events).result(EndingKind.COMPLETED, "") == completed


# --- cases --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [
        (None, "in_progress", None),
        (EndingKind.CANCELLED, "cancelled", None),
        (EndingKind.FAILED, "failed", {"code": "server_error", "message": "why"}),
        (EndingKind.CUT, "failed", {"code": "server_error", "message": "why"}),
        (EndingKind.STALLED, "failed", {"code": "server_error", "message": "why"}),
        (EndingKind.INTERRUPTED, "failed", {"code": "server_error", "message": "why"}),
    ],
)
def test_the_status_is_what_became_of_it(
    ending: EndingKind | None, status: str, error: object
) -> None:
    made = assembled([event("created", response=BEGUN)]).result(ending, "why")
    assert (made["status"], made.get("error")) == (status, error)


def test_a_queued_answer_is_queued() -> None:
    queued = {**BEGUN, "status": "queued"}
    assert assembled([event("queued", response=queued)]).result(None, "") == queued


def test_nothing_at_all_is_a_response_in_progress() -> None:
    assert assembled([]).result(None, "") == {k: v for k, v in BEGUN.items() if k != "id"}


@pytest.mark.parametrize("kind", ["incomplete", "failed", "cancelled"])
def test_what_the_upstream_says_last_holds(kind: str) -> None:
    said = {**BEGUN, "status": kind}
    events = [event("created", response=BEGUN), event(kind, response=said)]
    assert assembled(events).result(EndingKind.FAILED, "why") == said


def test_items_are_in_the_order_of_their_indices_and_keep_their_parts_apart() -> None:
    def added(index: int) -> Json:
        return event("output_item.added", output_index=index, item={"id": f"m{index}"})

    def delta(index: int, part: int, text: str) -> Json:
        return event("output_text.delta", output_index=index, content_index=part, delta=text)

    made = assembled(
        [added(1), added(0), delta(1, 0, "a"), delta(0, 0, "b"), delta(1, 1, "c"), delta(1, 0, "d")]
    ).result(None, "")
    texts = [[part["text"] for part in item["content"]] for item in made["output"]]
    assert texts == [["b"], ["ad", "c"]]


def test_what_comes_after_an_item_is_done_changes_nothing() -> None:
    item = {"id": "m", "type": "function_call", "arguments": "{}"}
    events = [
        event("output_item.done", output_index=0, item=item),
        event("function_call_arguments.delta", item_id="m", delta="x"),
    ]
    assert assembled(events).result(None, "")["output"] == [item]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "text", "id", "summary"]), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS = ["created", "output_item.added", "output_item.done", "content_part.added", "x", "completed",
         "output_text.delta", "output_text.annotation.added", "function_call_arguments.delta",
         "reasoning_summary_part.done", "refusal.done"]  # fmt: skip
MEMBERS = ["response", "item", "item_id", "output_index", "content_index", "part", "delta", "text"]


@given(
    st.lists(
        st.builds(
            lambda kind, rest: {**rest, "type": f"response.{kind}"},
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(MEMBERS), json_values),
        )
        | json_values,
        max_size=8,
    ),
    st.none() | st.sampled_from(EndingKind),
)
def test_whatever_comes_something_is_made_of_it(
    events: list[object], ending: EndingKind | None
) -> None:
    json.dumps(assembled(events).result(ending, ""))
