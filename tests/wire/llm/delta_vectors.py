"""Chunks, and what the article's server writes for them.

The expected bytes were made by Go 1.19's encoding/json, unmarshalling each payload into the
article's struct; a million mutations of such payloads showed no other difference.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class DeltaVector(NamedTuple):
    title: str
    payload: bytes
    text: bytes


TAIL: Final = b',"choices":[{"delta":{"content":"a"}}]}'

VECTORS: Final = [
    # Ordinary chunks
    DeltaVector(
        "a token",
        b'{"id":"x","choices":[{"index":0,"delta":{"content":" day"},"finish_reason":null}]}',
        b" day",
    ),
    DeltaVector(
        "spaces after colons and commas",
        b'{"id": "x", "choices": [{"index": 0, "delta": {"content": " day"}}], "usage": null}',
        b" day",
    ),
    DeltaVector(
        "no content yet", b'{"choices":[{"delta":{"role":"assistant","content":null}}]}', b""
    ),
    DeltaVector("an empty content", b'{"choices":[{"delta":{"content":""}}]}', b""),
    DeltaVector("no choices", b'{"choices":[],"usage":{"total_tokens":166}}', b""),
    DeltaVector("an empty delta", b'{"choices":[{"delta":{},"finish_reason":"stop"}]}', b""),
    DeltaVector(
        "several choices in order",
        b'{"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}',
        b"ba",
    ),
    DeltaVector(
        "other members of any kind",
        b'{"x":[{"choices":1}],"choices":[{"delta":{"content":"a","tool_calls":[1,{"content":2}]}}],"y":1e999}',
        b"a",
    ),
    DeltaVector(
        "white space of all four kinds around tokens",
        b' \t\r\n{ "choices"\n:[ {"delta" :{"content": "a" } }]\r}\n',
        b"a",
    ),
    DeltaVector("an error object", b'{"error":{"message":"no"}}', b""),
    # Strings
    DeltaVector(
        "every short escape",
        b'{"choices":[{"delta":{"content":"\\"\\\\\\/\\b\\f\\n\\r\\t"}}]}',
        b'"\\/\x08\x0c\n\r\t',
    ),
    DeltaVector(
        "a \\u escape",
        b'{"choices":[{"delta":{"content":"\\u00e9\\u0000\\u20AC"}}]}',
        b"\xc3\xa9\x00\xe2\x82\xac",
    ),
    DeltaVector(
        "a surrogate pair",
        b'{"choices":[{"delta":{"content":"\\ud83d\\ude00"}}]}',
        b"\xf0\x9f\x98\x80",
    ),
    DeltaVector(
        "a lone high surrogate",
        b'{"choices":[{"delta":{"content":"a\\ud83db"}}]}',
        b"a\xef\xbf\xbdb",
    ),
    DeltaVector(
        "a lone low surrogate", b'{"choices":[{"delta":{"content":"\\ude00"}}]}', b"\xef\xbf\xbd"
    ),
    DeltaVector(
        "a pair the wrong way round",
        b'{"choices":[{"delta":{"content":"\\ude00\\ud83d"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "a high surrogate before another escape",
        b'{"choices":[{"delta":{"content":"\\ud83d\\u0041"}}]}',
        b"\xef\xbf\xbdA",
    ),
    DeltaVector(
        "a high surrogate before a pair",
        b'{"choices":[{"delta":{"content":"\\ud83d\\ud83d\\ude00"}}]}',
        b"\xef\xbf\xbd\xf0\x9f\x98\x80",
    ),
    DeltaVector(
        "a high surrogate and a low one in the next choice",
        b'{"choices":[{"delta":{"content":"\\ud83d"}},{"delta":{"content":"\\ude00"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "raw UTF-8",
        b'{"choices":[{"delta":{"content":"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"}}]}',
        b"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80",
    ),
    DeltaVector(
        "U+2028, U+0085 and DEL",
        b'{"choices":[{"delta":{"content":"\xe2\x80\xa8\xc2\x85\x7f"}}]}',
        b"\xe2\x80\xa8\xc2\x85\x7f",
    ),
    DeltaVector("a stray byte", b'{"choices":[{"delta":{"content":"a\xffb"}}]}', b"a\xef\xbf\xbdb"),
    DeltaVector(
        "a character cut after two of three bytes",
        b'{"choices":[{"delta":{"content":"\xe2\x82"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "a character cut after three of four bytes",
        b'{"choices":[{"delta":{"content":"\xf0\x9f\x98"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "an encoded surrogate",
        b'{"choices":[{"delta":{"content":"\xed\xa0\xbd"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "an overlong form",
        b'{"choices":[{"delta":{"content":"\xc0\x80\xe0\x80\x80"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "beyond U+10FFFF",
        b'{"choices":[{"delta":{"content":"\xf4\x90\x80\x80"}}]}',
        b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
    ),
    DeltaVector(
        "a stray byte in a string nobody reads",
        b'{"id":"\xff","choices":[{"delta":{"content":"a"}}]}',
        b"a",
    ),
    DeltaVector("a raw newline", b'{"choices":[{"delta":{"content":"a\nb"}}]}', b""),
    DeltaVector("a raw NUL", b'{"choices":[{"delta":{"content":"\x00"}}]}', b""),
    DeltaVector("an unknown escape", b'{"choices":[{"delta":{"content":"\\x41"}}]}', b""),
    DeltaVector("an escaped apostrophe", b'{"choices":[{"delta":{"content":"\\\'"}}]}', b""),
    DeltaVector("a short \\u escape", b'{"choices":[{"delta":{"content":"\\u12"}}]}', b""),
    DeltaVector("a \\u escape with a sign", b'{"choices":[{"delta":{"content":"\\u+123"}}]}', b""),
    # Names
    DeltaVector("names in other cases", b'{"CHOICES":[{"Delta":{"cOnTeNt":"a"}}]}', b"a"),
    DeltaVector(
        "names with escapes", b'{"choice\\u0073":[{"d\\u0065lta":{"conten\\u0074":"a"}}]}', b"a"
    ),
    DeltaVector("long s folds to s", b'{"choice\xc5\xbf":[{"delta":{"content":"a"}}]}', b"a"),
    DeltaVector("long s as an escape", b'{"choice\\u017f":[{"delta":{"content":"a"}}]}', b"a"),
    DeltaVector(
        "the Kelvin sign folds to none of these letters",
        b'{"choices":[{"delta":{"content\xe2\x84\xaa":"a"}}]}',
        b"",
    ),
    DeltaVector("dotless i is not i", b'{"cho\xc4\xb1ces":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("a name with a space", b'{"choices ":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector(
        "an earlier exact name does not win over a later folded one",
        b'{"choices":[{"delta":{"content":"a","Content":"b"}}]}',
        b"b",
    ),
    # Members that come twice
    DeltaVector(
        "the last content counts", b'{"choices":[{"delta":{"content":"a","content":"b"}}]}', b"b"
    ),
    DeltaVector(
        "null leaves the content alone",
        b'{"choices":[{"delta":{"content":"a","content":null}}]}',
        b"a",
    ),
    DeltaVector(
        "a second delta keeps what it does not mention",
        b'{"choices":[{"delta":{"content":"a"},"delta":{"role":"x"}}]}',
        b"a",
    ),
    DeltaVector(
        "a null delta keeps all", b'{"choices":[{"delta":{"content":"a"},"delta":null}]}', b"a"
    ),
    DeltaVector(
        "second choices keep what they do not mention",
        b'{"choices":[{"delta":{"content":"a"}}],"choices":[{}]}',
        b"a",
    ),
    DeltaVector(
        "second choices are added to",
        b'{"choices":[{"delta":{"content":"a"}}],"choices":[{},{"delta":{"content":"b"}}]}',
        b"ab",
    ),
    DeltaVector(
        "shorter choices hide the rest",
        b'{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}],"choices":[{}]}',
        b"a",
    ),
    DeltaVector(
        "hidden choices come back",
        b'{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}],"choices":[{}],"choices":[null,null]}',
        b"ab",
    ),
    DeltaVector(
        "null choices forget",
        b'{"choices":[{"delta":{"content":"a"}}],"choices":null,"choices":[{}]}',
        b"",
    ),
    DeltaVector(
        "empty choices forget",
        b'{"choices":[{"delta":{"content":"a"}}],"choices":[],"choices":[{}]}',
        b"",
    ),
    DeltaVector(
        "nine choices, then seven, then nine",
        b'{"choices":[{"delta":{"content":"0"}},{"delta":{"content":"1"}},{"delta":{"content":"2"}},{"delta":{"content":"3"}},{"delta":{"content":"4"}},{"delta":{"content":"5"}},{"delta":{"content":"6"}},{"delta":{"content":"7"}},{"delta":{"content":"8"}}],"choices":[{},{},{},{},{},{},{}],"Choices":[null,null,null,null,null,null,null,null,null]}',
        b"012345678",
    ),
    # Types
    DeltaVector("null for the whole", b"null", b""),
    DeltaVector("an array for the whole", b"[]", b""),
    DeltaVector("a string for the whole", b'"choices"', b""),
    DeltaVector("choices is an object", b'{"choices":{}}', b""),
    DeltaVector("choices is a string", b'{"choices":""}', b""),
    DeltaVector("choices is false", b'{"choices":false}', b""),
    DeltaVector("choices is zero", b'{"choices":0}', b""),
    DeltaVector("a choice is null", b'{"choices":[null,{"delta":{"content":"a"}}]}', b"a"),
    DeltaVector("a choice is a number", b'{"choices":[1,{"delta":{"content":"a"}}]}', b""),
    DeltaVector("delta is null", b'{"choices":[{"delta":null},{"delta":{"content":"a"}}]}', b"a"),
    DeltaVector("delta is an array", b'{"choices":[{"delta":[]},{"delta":{"content":"a"}}]}', b""),
    DeltaVector(
        "content is a number",
        b'{"choices":[{"delta":{"content":1}},{"delta":{"content":"a"}}]}',
        b"",
    ),
    DeltaVector(
        "content is an array of parts",
        b'{"choices":[{"delta":{"content":[{"type":"text","text":"a"}]}}]}',
        b"",
    ),
    DeltaVector("content is an object", b'{"choices":[{"delta":{"content":{}}}]}', b""),
    DeltaVector("content is true", b'{"choices":[{"delta":{"content":true}}]}', b""),
    DeltaVector(
        "a wrong type mended by a later member",
        b'{"choices":[{"delta":{"content":1,"content":"a"}}]}',
        b"",
    ),
    DeltaVector(
        "a wrong type in a hidden choice",
        b'{"choices":[{},{"delta":1}],"choices":[{"delta":{"content":"a"}}]}',
        b"",
    ),
    # What is JSON
    DeltaVector("a huge number", b'{"x":1e999,"choices":[{"delta":{"content":"a"}}]}', b"a"),
    DeltaVector(
        "a huge integer",
        b'{"x":9999999999999999999999999999999999999999,"choices":[{"delta":{"content":"a"}}]}',
        b"a",
    ),
    DeltaVector("minus zero", b'{"x":-0,"choices":[{"delta":{"content":"a"}}]}', b"a"),
    DeltaVector("NaN", b'{"x":NaN,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("Infinity", b'{"x":Infinity,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("minus Infinity", b'{"x":-Infinity,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("a leading zero", b'{"x":01,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("a plus sign", b'{"x":+1,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("a bare point", b'{"x":1.,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("an underscore", b'{"x":1_0,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector(
        "digits of another script", b'{"x":\xd9\xa1,"choices":[{"delta":{"content":"a"}}]}', b""
    ),
    DeltaVector("True", b'{"x":True,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("an integer of 5000 digits", b'{"x":' + b"9" * 5000 + TAIL, b"a"),
    DeltaVector("9998 levels in an object", b'{"x":' + b"[" * 9999 + b"]" * 9999 + TAIL, b"a"),
    DeltaVector("one level too many", b'{"x":' + b"[" * 10000 + b"]" * 10000 + TAIL, b""),
    DeltaVector(
        "brackets that do not match far down",
        b'{"x":' + b"[" * 5000 + b"}" + b"]" * 4999 + TAIL,
        b"",
    ),
    DeltaVector(
        "brackets in a string far down",
        b'{"x":' + b"[" * 5000 + b'"]}\\""' + b"]" * 5000 + TAIL,
        b"a",
    ),
    DeltaVector("many brackets side by side", b'{"x":[' + b"[]," * 10_001 + b"{}]" + TAIL, b"a"),
    DeltaVector("a trailing comma", b'{"choices":[{"delta":{"content":"a"}},]}', b""),
    DeltaVector("something after it", b'{"choices":[{"delta":{"content":"a"}}]} x', b""),
    DeltaVector(
        "two values",
        b'{"choices":[{"delta":{"content":"a"}}]}{"choices":[{"delta":{"content":"b"}}]}',
        b"",
    ),
    DeltaVector("a byte order mark", b'\xef\xbb\xbf{"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector(
        "a no-break space around it", b'\xc2\xa0{"choices":[{"delta":{"content":"a"}}]}', b""
    ),
    DeltaVector("a form feed around it", b'\x0c{"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("cut in the middle", b'{"choices":[{"delta":{"content":"a"}', b""),
    DeltaVector("a name that is no string", b"{1:2}", b""),
    DeltaVector("apostrophes", b"{'choices':[]}", b""),
    DeltaVector("a comment", b'{/**/"x":1,"choices":[{"delta":{"content":"a"}}]}', b""),
    DeltaVector("nothing", b"", b""),
]
