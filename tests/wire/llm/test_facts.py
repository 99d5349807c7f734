"""What single events say of an answer; usage that was not asked for; estimates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.llm.apis import APIS, CHAT, COMPLETIONS, MESSAGES, RESPONSES, Api
from tailrace.wire.llm.estimate import estimated_tokens
from tailrace.wire.llm.facts import Usage, answer_id, sequence_number, usage
from tailrace.wire.llm.records import AnswerParser, RecordKind
from tailrace.wire.llm.usage import is_usage_only, without_null_usage

CAPTURES = Path(__file__).with_name("data")
EVERY = tuple(APIS.values())


def captured(api: Api) -> list[bytes]:
    stream = (CAPTURES / f"{api.name}.sse").read_bytes()
    records = AnswerParser(api.grammar, 1 << 20).feed(stream)
    return [record.data for record in records if record.kind is not RecordKind.DONE]


@pytest.mark.parametrize(
    ("api", "ident"),
    [
        (CHAT, "chatcmpl-OidOvzkEw5SI9yuEhanQvbjpABl0Qc7n"),
        (COMPLETIONS, "chatcmpl-hXdYi1eBP9B14Iwguos34swYJBuwtnFg"),
        (RESPONSES, "resp_VrAOQL8ZhdxZH0GET7Vz36kxjkAmpw6X"),
        (MESSAGES, "chatcmpl-qOORaV0U4rpdRC8WlxJfEOrcpNiCC3YY"),
    ],
    ids=list(APIS),
)
def test_a_real_answer_begins_with_its_id(api: Api, ident: str) -> None:
    assert answer_id(api, captured(api)[0]) == ident


@pytest.mark.parametrize(
    ("api", "data"),
    [(CHAT, b"{}"), (CHAT, b'{"id":7}'), (CHAT, b"no"), (RESPONSES, b'{"id":"a","response":1}'),
     (MESSAGES, b'{"message":{"id":null}}')],
)  # fmt: skip
def test_an_event_need_not_have_an_id(api: Api, data: bytes) -> None:
    assert answer_id(api, data) == ""


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b'{"type":"a","sequence_number":12,"delta":"x"}', 12),
        (b'{"sequence_number": 0}', 0),
        (b'{"response":{"sequence_number":7},"sequence_number":8}', 8),
        (b'{"response":{"sequence_number":7}}', None),
        (b'{"delta":"\\"sequence_number\\":7,"}', None),
        (b'{"sequence_number":-1}', None),
        (b'{"sequence_number":"7"}', None),
        (b'{"sequence_number":1.5}', None),
        (b'{"a":{},"sequence_number":true}', None),
        (b'{"type":"a"}', None),
    ],
)
def test_an_event_has_the_number_that_it_was_given(data: bytes, number: int | None) -> None:
    assert sequence_number(data) == number


@pytest.mark.parametrize(
    ("api", "counts"),
    [
        (CHAT, [Usage(46, 120, 0)]),
        (COMPLETIONS, [Usage(2, 16, 0)]),
        (RESPONSES, [Usage(36, 20, 24)]),
        (MESSAGES, [Usage(33, 0, 26), Usage(None, 40, None)]),
    ],
    ids=list(APIS),
)
def test_a_real_answer_says_its_usage(api: Api, counts: list[Usage]) -> None:
    found = [said for said in (usage(api, data) for data in captured(api)) if said is not None]
    assert found == counts


def test_later_counts_hold_over_earlier_ones() -> None:
    assert Usage(None, 40, None).over(Usage(33, 0, 26)) == Usage(33, 40, 26)
    assert Usage(1, 2, 0).over(Usage(3, 4, 5)) == Usage(1, 2, 0)


@pytest.mark.parametrize("api", EVERY, ids=lambda api: api.name)
@pytest.mark.parametrize(
    "data",
    [b'{"usage":null}', b'{"usage":{', b'{"x":{"usage":{}}}', b'{"response":{"x":{"usage":{}}}}',
     b'{"delta":"\\"usage\\":{}"}'],
)  # fmt: skip
def test_an_event_need_not_say_usage(api: Api, data: bytes) -> None:
    assert usage(api, data) is None


def test_counts_that_are_none_are_left_out() -> None:
    odd = b'{"usage":{"prompt_tokens":-1,"completion_tokens":true,"prompt_tokens_details":null}}'
    assert usage(CHAT, odd) == Usage(None, None, None)
    cached = b'{"message":{"usage":{"input_tokens":1,"cache_creation_input_tokens":5}}}'
    assert usage(MESSAGES, cached) == Usage(6, None, None)


# --- usage that was not asked for ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        (b'{"id":"c","choices":[],"usage":{"total_tokens":3}}', True),
        (b'{"usage": {}, "choices": [ ]}', True),
        (b'{"choices":[],"usage":null}', False),
        (b'{"choices":[{"delta":{}}],"usage":{}}', False),
        (b'{"choices":[{"x":{"choices":[]}}],"usage":{}}', False),
        (b'{"prompt_filter_results":[],"choices":[]}', False),
        (b'{"choices":[],"usage":{}', False),
    ],
)
def test_the_extra_chunk_has_usage_and_no_choices(data: bytes, extra: bool) -> None:
    assert is_usage_only(data) is extra


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b'{"choices":[],"usage":null}', b'{"choices":[]}'),
        (b'{"a":1,"usage":null,"obfuscation":"aZ9"}', b'{"a":1,"obfuscation":"aZ9"}'),
        (b'{"usage":null}', b'{"usage":null}'),
        (b'{"usage":null,"a":1}', b'{"a":1}'),
        (b'{"a": 1, "usage": null, "b": 2}', b'{"a": 1, "b": 2}'),
        (b'{"a":1 ,\n "usage" : null}', b'{"a":1 }'),
        (b'{"a":{"x":1,"usage":null},"b":1}', b'{"a":{"x":1,"usage":null},"b":1}'),
        (b'{"a":{"x":1,"usage":null},"usage":null,"b":1}', b'{"a":{"x":1,"usage":null},"b":1}'),
        (b'{"a":"x,\\"usage\\":null"}', b'{"a":"x,\\"usage\\":null"}'),
        (b'{"a":1,"usage":{}}', b'{"a":1,"usage":{}}'),
        (b'[1,"usage":null}', b"[1}"),
        (b'["usage":null,1]', b'["usage":null,1]'),
    ],
)
def test_only_the_chunks_own_null_is_taken_out(data: bytes, left: bytes) -> None:
    assert without_null_usage(data) == left


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=6) | st.just(',"usage":null'),
    lambda inner: (
        st.dictionaries(st.sampled_from(["usage", "a", "b"]), inner, max_size=3)
        | st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["usage", "a", "obfuscation"]), VALUES), st.booleans())
def test_nothing_else_is_ever_changed(chunk: dict[str, object], spaced: bool) -> None:
    chunk = {"choices": [], **chunk}
    data = json.dumps(chunk, separators=(", ", ": ") if spaced else (",", ":")).encode()
    kept = {name: value for name, value in chunk.items() if (name, value) != ("usage", None)}
    separators = (", ", ": ") if spaced else (",", ":")
    assert without_null_usage(data) == json.dumps(kept, separators=separators).encode()


# --- estimates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("   ", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("internationalization", 4),
        ("1234", 2),
        ("水が流れる", 5),
        ("水 flows", 2),
        ("Привет, мир", 4),
        ("a\n\n\nb", 3),
        ("=" * 9, 3),
        ("f(x)", 4),
        ("🌊", 1),
    ],
)
def test_a_text_is_about_so_many_tokens(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


@pytest.mark.parametrize("run", ['"', "\U0001f30a", "\u03b1", "a", "7", "\u4e16"])
@pytest.mark.parametrize("count", [299, 300, 301, 400, 401, 1203])
def test_a_long_run_is_as_many_tokens_as_its_parts(run: str, count: int) -> None:
    parts = 12  # of so many characters each kind has whole tokens
    whole, left = divmod(count, parts)
    one = estimated_tokens(run * parts)
    assert estimated_tokens(run * count) == whole * one + estimated_tokens(run * left)


def test_a_usage_that_is_looked_for_again_and_again_is_left_where_it_is() -> None:
    nulls = b",".join([b'{"usage":null,"a":1}'] * 3000)
    small = b'{"x":[%b],"usage" : null,"choices":[1]}' % nulls
    assert without_null_usage(small) == small


@given(st.text(), st.text())
def test_an_estimate_is_between_nothing_and_its_characters(one: str, other: str) -> None:
    assert 0 <= estimated_tokens(one) <= len(one)
    together = estimated_tokens(f"{one} {other}")
    assert together <= estimated_tokens(one) + estimated_tokens(other)
