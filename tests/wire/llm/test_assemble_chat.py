"""A streamed chat put together is what it would have been without streaming."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.model import EndingKind
from tailrace.wire.llm.apis import CHAT, COMPLETIONS, Api
from tailrace.wire.llm.assemble_chat import ChatAssembly
from tailrace.wire.llm.records import AnswerParser, RecordKind

CAPTURES = Path(__file__).with_name("data")
DONE = EndingKind.COMPLETED


def assemble(*chunks: object, ending: EndingKind | None = DONE, reason: str = "") -> dict[str, Any]:
    assembly = ChatAssembly()
    for chunk in chunks:
        assembly.add(chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode())
    return assembly.result(ending, reason)


def delta(index: int = 0, **members: object) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": members, "finish_reason": None}]}


def message(*chunks: object) -> dict[str, Any]:
    answer = assemble(*chunks)["choices"][0]["message"]
    assert isinstance(answer, dict)
    return answer


def captured(api: Api) -> list[bytes]:
    stream = (CAPTURES / f"{api.name}.sse").read_bytes()
    records = AnswerParser(api.grammar, 1 << 20).feed(stream)
    return [record.data for record in records if record.kind is RecordKind.CHUNK]


def test_a_real_chat_is_put_together() -> None:
    chunks = captured(CHAT)
    first, last = json.loads(chunks[0]), json.loads(chunks[-1])
    text = b"".join(map(CHAT.text_reader(), chunks)).decode()
    assert assemble(*chunks) == {
        **{name: first[name] for name in ("id", "created", "model", "system_fingerprint")},
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "length",
            }
        ],
        "usage": last["usage"],
        "timings": last["timings"],
    }


def test_a_real_completion_is_put_together() -> None:
    chunks = captured(COMPLETIONS)
    last = json.loads(chunks[-1])
    text = b"".join(map(COMPLETIONS.text_reader(), chunks)).decode()
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    assert assemble(*chunks) == {**last, "choices": [choice]}


# --- generated answers --------------------------------------------------------------------------

TEXT = st.text(max_size=12)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text("abc_1", min_size=1, max_size=4),
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {"name": st.text("fgh", min_size=1), "arguments": TEXT}
            ),
        }
    ),
    max_size=3,
)
TOKENS = st.lists(
    st.fixed_dictionaries({"token": TEXT, "logprob": st.floats(-9, 0), "bytes": st.none()})
)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, object]:
    made: dict[str, object] = {"role": "assistant", "content": draw(st.none() | TEXT)}
    for name in ("refusal", "reasoning_content", "something_new"):
        if draw(st.booleans()):
            made[name] = draw(st.none() | TEXT)
    if calls := draw(CALLS):
        made["tool_calls"] = calls
    if draw(st.booleans()):
        made["function_call"] = {"name": "f", "arguments": draw(TEXT)}
    return made


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    choices = [
        {
            "index": index,
            "message": draw(messages()),
            "logprobs": draw(st.none() | st.fixed_dictionaries({"content": TOKENS})),
            "finish_reason": draw(st.sampled_from([None, "stop", "length"])),
        }
        for index in range(draw(st.integers(1, 3)))
    ]
    frame: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    if draw(st.booleans()):
        frame["service_tier"] = draw(st.none() | st.just("default"))
    if draw(st.booleans()):
        frame["usage"] = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {**frame, "choices": choices}


def cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def deltas_of(draw: st.DrawFn, made: dict[str, Any]) -> list[dict[str, Any]]:
    """The deltas of one message, as a server might cut it."""
    deltas: list[dict[str, Any]] = []
    for name, value in made.items():
        if name == "tool_calls":
            for index, call in enumerate(value):
                deltas.append({name: [{**copy.deepcopy(call), "index": index}]})
                first, *rest = cut(draw, call["function"]["arguments"])
                deltas[-1][name][0]["function"]["arguments"] = first
                deltas += [
                    {name: [{"index": index, "function": {"arguments": each}}]} for each in rest
                ]
        elif name == "function_call":
            first, *rest = cut(draw, value["arguments"])
            deltas.append({name: {"name": value["name"], "arguments": first}})
            deltas += [{name: {"arguments": each}} for each in rest]
        elif isinstance(value, str) and name != "role":
            deltas += [{name: each} for each in cut(draw, value)]
        else:
            deltas.append({name: value})
    return deltas


@given(answers(), st.data())
def test_what_was_streamed_is_what_would_have_been(answer: dict[str, Any], data: Any) -> None:
    frame = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    frame["object"] = "chat.completion.chunk"
    usage = {"usage": None} if "usage" in answer else {}
    queues = []
    for choice in answer["choices"]:
        parts = [
            {"index": choice["index"], "delta": each, "logprobs": None, "finish_reason": None}
            for each in deltas_of(data.draw, choice["message"])
        ]
        if choice["logprobs"] is not None:
            parts[0]["logprobs"] = {"content": []}
            parts += [
                {"index": choice["index"], "delta": {}, "logprobs": {"content": [token]}}
                for token in choice["logprobs"]["content"]
            ]
        finish = {"delta": {}, "finish_reason": choice["finish_reason"]}
        queues.append([*parts, {"index": choice["index"], **finish}])
    chunks = []
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        extra = {"obfuscation": "x"} if data.draw(st.booleans()) else {}
        chunks.append({**frame, "choices": [queue.pop(0)], **usage, **extra})
    if "usage" in answer:
        chunks.append({**frame, "choices": [], "usage": answer["usage"]})
    assert assemble(*chunks) == answer


# --- cases --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deltas", "made"),
    [
        ([{"content": "a"}, {"content": None}, {"content": "b"}], {"content": "ab"}),
        ([{"content": None}], {"content": None}),
        ([{"role": "assistant"}, {"role": "assistant"}], {"content": None}),
        ([{"reasoning_details": [{"index": 0, "text": "a", "type": "t"}]},
          {"reasoning_details": [{"index": 0, "text": "b", "type": "t"}]}],
         {"content": None, "reasoning_details": [{"text": "ab", "type": "t"}]}),
        ([{"annotations": [{"a": 1}]}, {"annotations": []}, {"annotations": [{"a": 2}]}],
         {"content": None, "annotations": [{"a": 1}, {"a": 2}]}),
        ([{"tool_calls": [{"index": 1, "id": "b"}]}, {"tool_calls": [{"index": 0, "id": "a"}]},
          {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]},
          {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}],
         {"content": None, "tool_calls": [{"id": "a", "function": {"name": "f"}}, {"id": "b"}]}),
        ([{"content": "\ud83c"}, {"content": "\udf0a"}], {"content": "\ud83c\udf0a"}),
    ],
)  # fmt: skip
def test_deltas_become_this_message(deltas: list[dict[str, Any]], made: dict[str, Any]) -> None:
    assert message(*[delta(**each) for each in deltas]) == {"role": "assistant", **made}


def test_several_choices_come_in_any_order() -> None:
    answer = assemble(delta(1, content="b"), delta(0, content="a"), delta(1, content="c"))
    assert [each["message"]["content"] for each in answer["choices"]] == ["a", "bc"]


def test_an_answer_that_is_not_whole_says_so() -> None:
    running = assemble({**delta(content="a"), "id": "c"}, ending=None)
    assert running["choices"][0]["finish_reason"] is None
    assert "error" not in running
    cut_off = assemble(delta(content="a"), ending=EndingKind.CUT)
    assert cut_off["error"] == {
        "message": "The answer ended: cut.",
        "type": "stream_cut",
        "code": "cut",
        "param": None,
    }
    stopped = assemble(delta(content="a"), ending=EndingKind.CANCELLED, reason="enough")
    assert stopped["error"]["message"] == "enough"


def test_there_is_a_result_at_any_time() -> None:
    assembly = ChatAssembly()
    texts = []
    for text in ("a", "b", "c"):
        assembly.add(json.dumps(delta(content=text)).encode())
        texts.append(assembly.result(None, "")["choices"][0]["message"]["content"])
    assert texts == ["a", "ab", "abc"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "delta", "message", "content", "tool_calls", "logprobs", "text", "id"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


# Found by chance: a text that was null before it was one.
@example([{"choices": [{"text": None}]}, {"choices": [{"text": "a"}]}])
@given(st.lists(json_values.map(lambda v: {"choices": [v], "id": v}) | json_values, max_size=5))
def test_whatever_comes_something_is_made_of_it(chunks: list[object]) -> None:
    json.dumps(assemble(*chunks))


@pytest.mark.parametrize(
    "data",
    [b"", b"[DONE]", b"\xff", b"[1]", b'{"choices":' + b"[" * 5000 + b"]" * 5000 + b"}",
     b'{"error":{"message":"no"}}'],
)  # fmt: skip
def test_what_cannot_be_read_adds_nothing(data: bytes) -> None:
    assert assemble(data) == assemble()


def test_a_number_of_any_length_is_one() -> None:
    answer = assemble(b'{"choices":[],"created":1750000000,"n":' + b"9" * 5000 + b"}")
    assert answer["created"] == 1_750_000_000
    assert answer["n"] == float("inf")
