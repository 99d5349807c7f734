r"""Whole answers of upstreams, byte for byte, ordinary and odd.

They serve to compare two readers of one body. `RECORDED` gives for each the bytes, whether they
end with ``[DONE]``, and where the recorder saw the reads divided. The framing is sound (chunked,
ended properly, unless ``cut``): what is odd is inside.

What makes two honest readers differ, and therefore is here: characters cut by a read; JSON text
that UTF-8 cannot say (lone surrogates, ``\ud83d`` without its other half); bytes that are no
UTF-8, in each of the ways of Unicode's table 3-7 (truncated, overlong, surrogates, beyond
U+10FFFF, stray continuation bytes); line ends; keys in another case or twice; values of another
type. ``strict_lines`` is false where the WHATWG event-stream grammar and a reader that takes
lines ending in LF and beginning with ``data: `` see different events (the missing last blank
line apart, which a lenient reader forgives and the grammar does not).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tailrace.testing.chunks import (
    ANSWER_ID,
    CREATED,
    DONE,
    MODEL,
    chat_chunks,
    chunk,
    error_body,
    event,
    role_chunk,
    usage_chunk,
)
from tailrace.testing.script import Cut, Head, Script, Send, Split, inside_characters, script


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded body."""

    body: bytes
    ends_done: bool = True
    """Whether a ``[DONE]`` event comes."""
    split: Split = 0
    """How it was divided into HTTP chunks, each written on its own."""
    cut: bool = False
    """Whether the connection ended without the last HTTP chunk."""
    strict_lines: bool = True
    """Whether every line is one that a reader of ``data: `` lines reads as the grammar does."""

    @property
    def script(self) -> Script:
        """A script that plays it."""
        steps = (Head(), Send(self.body, self.split))
        return script(*steps, Cut()) if self.cut else script(*steps)


_STOP: Final = chunk(finish_reason="stop")
_FRAME: Final = f'"id":"{ANSWER_ID}","object":"chat.completion.chunk","created":{CREATED}'.encode()
# A line may have 65 535 bytes before its LF where a reader's buffer is 64 KiB.
_LONG: Final = 65_000


def _content(literal: bytes) -> bytes:
    """An event whose content is the JSON string literal ``literal``, byte for byte."""
    return (
        b'data: {%b,"model":"%b","choices":[{"index":0,"delta":{"content":%b},'
        b'"finish_reason":null}]}\n\n' % (_FRAME, MODEL.encode(), literal)
    )


def _said(*literals: bytes) -> bytes:
    """A whole answer whose contents are these JSON string literals, without their quotes."""
    contents = [_content(b'"%b"' % literal) for literal in literals]
    return b"".join((role_chunk(), *contents, _STOP, DONE))


def _around(*odd: bytes) -> bytes:
    """A whole answer with ``odd`` lines between two ordinary events."""
    return b"".join((role_chunk(), chunk("before "), *odd, chunk("after"), _STOP, DONE))


def _tool_delta(**call: Any) -> bytes:  # noqa: ANN401 - whatever JSON a tool call holds
    return chunk(delta={"tool_calls": [{"index": 0, **call}]})


def _each(make: Callable[[Any], bytes], *values: object) -> bytes:
    """What ``make`` makes of each value, between two ordinary events."""
    return _around(*[make(value) for value in values])


_EMOJI: Final = b"".join(chat_chunks(["A ", "👩‍👩‍👧‍👦 family", ", a 🏳️‍🌈", " and 🇪🇺."]))
_PLAIN: Final = b"".join(chat_chunks(["One", " day", ",", " a", " fox", " came", "."]))

_ORDINARY: Final = {
    "plain": Recording(_PLAIN),
    "one-read": Recording(_PLAIN, split=len(_PLAIN)),
    "byte-reads": Recording(b"".join(chat_chunks(["Hé", "llo"])), split=1),
    "unicode": Recording(b"".join(chat_chunks(["Größe ", "水が", "流れる ", "Ελλάδα ", "שלום"]))),
    "emoji": Recording(_EMOJI),
    "emoji-cut": Recording(_EMOJI, split=inside_characters(_EMOJI)),
    "two-choices": Recording(b"".join(chat_chunks(["a", "b", "c"], choices=2))),
    "choices-in-one-event": Recording(
        event(
            {"choices": [{"index": i, "delta": {"content": t}} for i, t in enumerate("xyz")]},
        )
        + DONE
    ),
    "usage": Recording(b"".join(chat_chunks(["count", " me"], include_usage=True))),
    "usage-with-text": Recording(
        chunk("a", extra={"usage": {"total_tokens": 1}}) + usage_chunk(1) + DONE
    ),
    "tool-calls": Recording(
        chunk(delta={"role": "assistant", "content": None})
        + _tool_delta(id="call_1", type="function", function={"name": "get", "arguments": ""})
        + _tool_delta(function={"arguments": '{"city":'})
        + _tool_delta(function={"arguments": '"Köln"}'})
        + chunk(finish_reason="tool_calls")
        + DONE
    ),
    "text-and-tool-call": Recording(
        chunk("I look. ")
        + chunk(delta={"content": "Now.", "tool_calls": [{"index": 0, "id": "call_1"}]})
        + chunk(finish_reason="tool_calls")
        + DONE
    ),
    "reasoning": Recording(
        chunk(delta={"reasoning_content": "hm, hm"}) + chunk("Yes.") + _STOP + DONE
    ),
    "refusal": Recording(chunk(delta={"refusal": "I will not."}) + _STOP + DONE),
    "null-content": Recording(
        chunk(delta={"role": "assistant", "content": None}) + chunk("then text") + _STOP + DONE
    ),
    "empty-content": Recording(chunk("") + chunk("x") + chunk("") + _STOP + DONE),
    "empty-choices": Recording(_around(event({"choices": []}))),
    "null-choices": Recording(_around(event({"choices": None}), event({}))),
    "null-delta": Recording(_around(event({"choices": [{"delta": None}, None]}))),
    "only-done": Recording(DONE),
    "after-done": Recording(_PLAIN + chunk("never shown") + DONE),
}

_TEXT: Final = {
    "escapes": Recording(
        _said(rb"\"quoted\" \\ \/ \b\f\n\r\t", rb"\u0041\u00e9\u6c34 \ud83c\udf0a")
    ),
    "nul-and-controls": Recording(_said(rb"a\u0000b\u001f\u007f", b"\x7f")),
    "raw-control": Recording(_around(_content(b'"a\x01b"'), _content(b'"tab\there"'))),
    "bad-escape": Recording(_around(_content(rb'"\x41"'), _content(rb'"\u12g4"'))),
    "html-characters": Recording(_said(b"<b>&amp;</b> ' \xe2\x80\xa8 \\u003c")),
    "line-separators": Recording(
        _said("U+2028 \u2028 U+2029 \u2029 U+0085 \x85 VT \\u000b".encode(), rb"\u2028\u0085")
    ),
    "bom-inside": Recording(_said("\ufefftext\ufeff".encode())),
    "noncharacters": Recording(_said("\ufffe\uffff\U0010ffff\ufffd".encode(), rb"\uffff\ufffd")),
    "surrogate-high": Recording(_said(rb"a\ud83db", rb"\ud83d")),
    "surrogate-low": Recording(_said(rb"a\udf0ab", rb"\udf0a")),
    "surrogates-reversed": Recording(_said(rb"\udf0a\ud83c", rb"\ud83c\ud83c\udf0a")),
    "surrogates-halved": Recording(_said(rb"\ud83c", rb"\udf0a")),
    "surrogate-then-escape": Recording(_said(rb"\ud83c\n", rb"\ud83c\u0041", rb"\ud83c\\")),
    "surrogate-upper-case": Recording(_said(rb"\uD83C\uDF0A \uDBFF\uDFFF \uDC00")),
    "utf8-truncated": Recording(_said(b"\xf0\x9f\x8c", b"\xe6\xb0", b"\xc3", b"a\xf0\x9f\x8cb")),
    "utf8-overlong": Recording(
        _said(b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf")
    ),
    "utf8-surrogates": Recording(
        _said(b"\xed\xa0\xbd", b"\xed\xb0\x80", b"\xed\xa0\xbc\xed\xbc\x8a")
    ),
    "utf8-too-large": Recording(_said(b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xfe\xff")),
    "utf8-stray": Recording(_said(b"\x80", b"a\xbf\xbfb", b"\xe6\xb0\xb4\x80")),
    "utf8-restart": Recording(_said(b"\xe6\xe6\xb0\xb4", b"\xf0\x9f\xc3\xa9", b"\xf0\x9f\x8c\\n")),
    "utf8-in-a-key": Recording(
        _around(b'data: {"\xff":1,"choices":[{"delta":{"con\xfftent":"no","content":"yes"}}]}\n\n')
    ),
    "long-line": Recording(_said(b"x" * _LONG), split=4096),
    "long-unicode-line": Recording(_said("水".encode() * (_LONG // 3)), split=1000),
}

_SHAPES: Final = {
    "key-case": Recording(
        b'data: {"CHOICES":[{"Delta":{"CONTENT":"upper "}}]}\n\n'
        b'data: {"Choices":[{"dELTA":{"Content":"mixed "}}]}\n\n'
        b'data: {"choice\xc5\xbf":[{"delta":{"content":"long s"}}]}\n\n' + DONE
    ),
    "key-escaped": Recording(
        _around(rb'data: {"\u0063hoices":[{"delta":{"content":"c"}}]}' + b"\n\n")
    ),
    "duplicate-content": Recording(
        _around(b'data: {"choices":[{"delta":{"content":"first","content":"second"}}]}\n\n')
    ),
    "duplicate-content-null": Recording(
        _around(b'data: {"choices":[{"delta":{"content":"kept","content":null}}]}\n\n')
    ),
    "duplicate-case": Recording(
        _around(b'data: {"choices":[{"delta":{"content":"exact","Content":"folded"}}]}\n\n')
    ),
    "duplicate-delta": Recording(
        _around(b'data: {"choices":[{"delta":{"content":"kept"},"delta":{"role":"x"}}]}\n\n')
    ),
    "duplicate-choices": Recording(
        _around(
            b'data: {"choices":[{"delta":{"content":"one"}},{"delta":{"content":"two"}}],'
            b'"choices":[{"delta":{}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"gone"}}],"choices":null}\n\n',
        )
    ),
    "content-types": Recording(
        _each(lambda value: _content(json.dumps(value).encode()), 1, True, [], {}, 1.5)
    ),
    "content-type-then-text": Recording(
        _around(b'data: {"choices":[{"delta":{"content":7}},{"delta":{"content":"second"}}]}\n\n')
    ),
    "choices-types": Recording(
        _each(lambda value: event({"choices": value}), "no", 1, {"delta": {}}, [1], ["x"])
    ),
    "delta-types": Recording(
        _each(lambda value: event({"choices": [{"delta": value}]}), "no", 1, [], False)
    ),
    "top-level-types": Recording(_each(event, None, 1, "text", [], [{"choices": []}], True)),
    "malformed": Recording(
        _around(
            b'data: {"choices":[{"delta":{"content":"lost\n\n',
            b"data: {'choices': []}\n\n",
            b'data: {"choices":[{"delta":{"content":"a"}}],}\n\n',
            b'data: {"choices":[{"delta":{"content":"b"}}]} trailing\n\n',
        )
    ),
    "malformed-numbers": Recording(
        _around(
            b'data: {"n":01,"choices":[{"delta":{"content":"zero"}}]}\n\n',
            b'data: {"n":NaN,"choices":[{"delta":{"content":"nan"}}]}\n\n',
            b'data: {"n":1e999,"choices":[{"delta":{"content":"huge"}}]}\n\n',
        )
    ),
    "deep-nesting": Recording(
        _around(
            b'data: {"x":'
            + b"[" * 500
            + b"]" * 500
            + b',"choices":[{"delta":{"content":"deep "}}]}\n\n',
            b'data: {"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n\n",
        )
    ),
    "white-space": Recording(
        _around(b'data:  \t{ "choices" : [ { "delta" : { "content" : "spaced " } } ] } \t\n\n')
    ),
}

_LINES: Final = {
    "crlf": Recording(_PLAIN.replace(b"\n", b"\r\n")),
    "crlf-cut": Recording(
        _PLAIN.replace(b"\n", b"\r\n"),
        split=tuple(i + 1 for i, byte in enumerate(_PLAIN.replace(b"\n", b"\r\n")) if byte == 13),
    ),
    "comments": Recording(_around(b": OPENROUTER PROCESSING\n\n", b":\n", b":ping\n\n")),
    "event-and-id-fields": Recording(
        b"event: message\nid: 7\nretry: 1000\n" + chunk("named") + DONE
    ),
    "blank-lines": Recording(_PLAIN.replace(b"\n\n", b"\n\n\n\n")),
    "no-final-newline": Recording(_PLAIN.rstrip()),
    "one-final-newline": Recording(_PLAIN.rstrip() + b"\n"),
    "done-like-text": Recording(b"".join(chat_chunks(["[DONE]", "data: [DONE]", "\n\n"]))),
    "bom": Recording(
        b"\xef\xbb\xbf" + chunk("first ") + chunk("second") + _STOP + DONE, strict_lines=False
    ),
    "no-space": Recording(_PLAIN.replace(b"data: {", b"data:{"), strict_lines=False),
    "no-blank-lines": Recording(_PLAIN.replace(b"\n\n", b"\n"), strict_lines=False),
    "two-data-lines": Recording(
        _around(b'data: {"choices":[{"delta":\ndata: {"content":"joined"}}]}\n\n'),
        strict_lines=False,
    ),
    "bare-json-line": Recording(
        _around(b'{"choices":[{"delta":{"content":"no field name"}}]}\n\n'), strict_lines=False
    ),
    "bare-done": Recording(_PLAIN.replace(b"data: [DONE]", b"[DONE]"), strict_lines=False),
    "done-without-space": Recording(_PLAIN.replace(b"data: [", b"data:["), strict_lines=False),
    "cr-only": Recording(_PLAIN.replace(b"\n", b"\r"), strict_lines=False),
}

_NOT_DONE: Final = {
    "cut": Recording(role_chunk() + chunk("half"), ends_done=False, cut=True),
    "cut-in-event": Recording(
        role_chunk() + chunk("half") + chunk("lost")[:60], ends_done=False, cut=True
    ),
    "clean-end": Recording(role_chunk() + chunk("half"), ends_done=False),
    "clean-end-in-event": Recording(role_chunk() + chunk("half").rstrip(), ends_done=False),
    "clean-end-in-character": Recording(role_chunk() + "data: 水".encode()[:-1], ends_done=False),
    "finish-without-done": Recording(role_chunk() + chunk("all") + _STOP, ends_done=False),
    "error-object": Recording(
        role_chunk() + chunk("half") + b"data: " + error_body("overloaded") + b"\n\n",
        ends_done=False,
    ),
    "empty": Recording(b"", ends_done=False),
    "comments-only": Recording(b": ping\n\n: ping\n\n", ends_done=False),
    "html": Recording(b"<!doctype html>\n<title>oops</title>\n", ends_done=False),
}

RECORDED: Final[Mapping[str, Recording]] = MappingProxyType(
    {**_ORDINARY, **_TEXT, **_SHAPES, **_LINES, **_NOT_DONE}
)
"""Name → recording."""


def recorded_scripts() -> dict[str, Script]:
    """Their scripts by name, as `ScriptedUpstream` takes them: prompt ``script:crlf``."""
    return {name: recording.script for name, recording in RECORDED.items()}
